// Values below 2^(b+1) have a bucket each. Above, a value keeps its b+1 leading bits: every power of two is cut into 2^b
// buckets of equal width.

#include "loadtest/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace precis::loadtest {
namespace {

constexpr int kLeadingBits = 9;  // half a bucket is 2^-10 of its value

size_t BucketOf(uint64_t value) {
  const int shift = std::max(0, std::bit_width(value) - 1 - kLeadingBits);
  return (static_cast<size_t>(shift) << kLeadingBits) + (value >> shift);
}

int64_t MiddleOf(size_t bucket) {
  const int shift = std::max(0, static_cast<int>(bucket >> kLeadingBits) - 1);
  const int64_t leading = static_cast<int64_t>(bucket) - (int64_t{shift} << kLeadingBits);
  return (leading << shift) + ((int64_t{1} << shift) >> 1);
}

}  // namespace

void LatencyHistogram::Record(int64_t nanoseconds) {
  const int64_t value = std::max<int64_t>(nanoseconds, 0);
  const size_t bucket = BucketOf(value);
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value);
  ++count_;
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  if (other.count_ == 0) return;
  if (other.buckets_.size() > buckets_.size()) buckets_.resize(other.buckets_.size());
  for (size_t i = 0; i < other.buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
  count_ += other.count_;
}

int64_t LatencyHistogram::Percentile(double percent) const {
  const int64_t rank = std::max<int64_t>(1, std::llround(std::ceil(percent / 100 * static_cast<double>(count_))));
  int64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::clamp(MiddleOf(i), min_, max_);
  }
  return max_;
}

}  // namespace precis::loadtest
