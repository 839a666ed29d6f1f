#ifndef PRECIS_LOADTEST_LATENCY_HISTOGRAM_H_
#define PRECIS_LOADTEST_LATENCY_HISTOGRAM_H_

#include <cstdint>
#include <vector>

namespace precis::loadtest {

// Counts of durations in nanoseconds, in buckets whose width follows the value: a percentile is within 0.1 % of the true
// one at any scale, however many values there are, and histograms add up. This is the layout of HdrHistogram (Gil Tene,
// hdrhistogram.org), which Debian packages for Java and Go but not for C or C++. A plain value.
class LatencyHistogram {
 public:
  // Negative values count as 0.
  void Record(int64_t nanoseconds);
  void Merge(const LatencyHistogram& other);

  int64_t count() const { return count_; }
  // The rest requires count() > 0. min, max and mean are exact.
  int64_t min() const { return min_; }
  int64_t max() const { return max_; }
  double mean() const { return sum_ / static_cast<double>(count_); }
  // The smallest value with at least `percent` (0 to 100) of the values at or below it: the nearest rank.
  int64_t Percentile(double percent) const;

 private:
  std::vector<int64_t> buckets_;  // as far as the largest value reaches
  int64_t count_ = 0, min_ = 0, max_ = 0;
  double sum_ = 0;
};

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_LATENCY_HISTOGRAM_H_
