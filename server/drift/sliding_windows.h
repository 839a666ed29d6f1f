#ifndef PRECIS_SERVER_DRIFT_SLIDING_WINDOWS_H_
#define PRECIS_SERVER_DRIFT_SLIDING_WINDOWS_H_

#include <array>
#include <cstdint>

#include "absl/time/time.h"

namespace precis::server {

// Sums over the last minute, the last ten minutes and since the beginning, in slices of kSlice: a window ends now and begins at the
// edge of a slice, so that it is up to one slice shorter than its name. `Sum` begins empty and has Merge(const Sum&). Times must not
// go back by more than a slice. Not thread-safe.
template <typename Sum>
class SlidingWindows {
 public:
  static constexpr absl::Duration kSlice = absl::Seconds(10);
  static constexpr absl::Duration kMinute = absl::Minutes(1), kTenMinutes = absl::Minutes(10);

  void Add(const Sum& sum, absl::Time now) {
    const int64_t number = NumberOf(now);
    Slice& slice = slices_[static_cast<size_t>(number % kSlices)];
    if (slice.number != number) slice = {number, Sum()};
    slice.sum.Merge(sum);
    total_.Merge(sum);
  }

  const Sum& total() const { return total_; }
  // `window` is at most kTenMinutes.
  Sum Last(absl::Duration window, absl::Time now) const {
    Sum sum;
    const int64_t last = NumberOf(now), first = last - window / kSlice + 1;
    for (const Slice& slice : slices_) {
      if (slice.number >= first && slice.number <= last) sum.Merge(slice.sum);
    }
    return sum;
  }

 private:
  static constexpr int64_t kSlices = 60;  // ten minutes
  static int64_t NumberOf(absl::Time now) { return (now - absl::UnixEpoch()) / kSlice; }

  struct Slice {
    int64_t number = -1;
    Sum sum;
  };
  std::array<Slice, kSlices> slices_;
  Sum total_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_DRIFT_SLIDING_WINDOWS_H_
