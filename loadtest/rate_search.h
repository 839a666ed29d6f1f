#ifndef PRECIS_LOADTEST_RATE_SEARCH_H_
#define PRECIS_LOADTEST_RATE_SEARCH_H_

#include <optional>
#include <vector>

namespace precis::loadtest {

// Finds the highest rate at which a bound is kept, as MLPerf's Server scenario asks: doubles until a rate fails, halves the
// gap between the highest kept and the lowest failed one until it is within `precision` of the former, and tries that once
// more. A rate that fails its second trial counts as failed. Measurements are noisy: a rate is believed, not proven.
class RateSearch {
 public:
  // Begins at `first`, above 0. `precision` relative, above 0.
  RateSearch(double first, double precision);

  // The rate to try next; nothing when the search is over.
  std::optional<double> Next() const;
  // Whether the bound was kept at Next(), which must be a rate.
  void Report(bool kept);
  // The highest rate that was kept; 0 before there is one.
  double best() const { return kept_.empty() ? 0 : kept_.back(); }

 private:
  bool IsNarrow() const;

  const double first_, precision_;
  std::vector<double> kept_;  // rising
  std::optional<double> failed_;
  bool confirmed_ = false;
};

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_RATE_SEARCH_H_
