#ifndef PRECIS_ENGINE_QUANT_HISTOGRAM_H_
#define PRECIS_ENGINE_QUANT_HISTOGRAM_H_

#include <cstdint>
#include <utility>
#include <vector>

namespace precis::quant {

// Weighted histogram of a stream of numbers whose range is not known beforehand: kBins equal bins over [-range, range). When a number
// lies outside, the range doubles and neighbouring bins merge around zero, so memory is constant and no count is lost; a count only ever
// moves to the bin that covers its own.
//
// Not thread-safe.
class Histogram {
 public:
  static constexpr int kBins = 8192;

  Histogram() = default;
  // One that has counted already: `bins` is empty or kBins long.
  Histogram(float range, std::vector<double> bins) : range_(range), bins_(std::move(bins)) {}

  // Makes room for |x| <= abs_max (finite), keeping what was counted.
  void Cover(float abs_max);
  // Adds `count` numbers of weight `weight` each. Cover must have made room for them.
  void Add(const float* x, int64_t count, double weight);
  // Adds another histogram's counts. Ranges may differ.
  void Merge(const Histogram& other);

  bool empty() const { return bins_.empty(); }
  float range() const { return range_; }
  double bin_width() const { return 2.0 * range_ / kBins; }
  // Middle of bin `i`.
  double Center(int i) const { return (i + 0.5) * bin_width() - range_; }
  const std::vector<double>& bins() const { return bins_; }

 private:
  void Double();

  float range_ = 0;
  std::vector<double> bins_;  // empty until the first Cover
};

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_HISTOGRAM_H_
