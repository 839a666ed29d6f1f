#ifndef PRECIS_ENGINE_QUANT_CALIBRATION_TABLE_H_
#define PRECIS_ENGINE_QUANT_CALIBRATION_TABLE_H_

// What calibration learns about one value of the network, gathered sample by sample in constant memory.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "engine/quant/histogram.h"
#include "engine/quant/quantize.h"

namespace precis::quant {

// How samples enter the histogram.
enum class Weighting {
  kCount,     // every number counts 1
  kRelative,  // a position counts by the reciprocal of its energy: see ValueStatistics::Add
};

struct ValueStatistics {
  float min = 0, max = 0;                   // over all samples
  double sum_of_mins = 0, sum_of_maxs = 0;  // of the samples' own minima and maxima
  int64_t samples = 0;
  bool finite = true;  // false once an infinity or NaN was seen; such samples are not counted
  Histogram histogram;
  std::vector<double> channel_sums;  // over the positions looked at; empty unless asked for
  int64_t positions = 0;             // looked at for channel_sums
  std::vector<float> channel_max;    // largest |x| per channel, over all positions; empty unless asked for
  // Channel j was divided by smoothing[j] before anything above was counted (see smooth.h); empty: it was not.
  std::vector<float> smoothing;

  // What to gather besides minima and maxima.
  struct Wanted {
    bool histogram = false;
    bool channel_sums = false;
    bool channel_max = false;
    size_t channel_axis = 1;
    Weighting weighting = Weighting::kCount;
  };

  // Adds one sample. Minima, maxima and channel_max see every number; histogram and channel_sums a fixed stride of positions (a position
  // is one vector along the channel axis) that yields about kHistogramElements numbers, which bounds their cost.
  //
  // kRelative: the numbers of a position whose mean square is e weigh 1 / (e + E), E being the sample's mean square. Squared error under these
  // weights is relative to what stands at the position, so that a few positions with huge numbers, which the next layers saturate or
  // normalise anyway, do not buy their range with everyone else's resolution.
  void Add(const Observation& observation, const Wanted& wanted);

  // Merges what another value contributes to a shared range: minima, maxima and histogram.
  void Merge(const ValueStatistics& other);

  double mean_min() const { return samples == 0 ? 0 : sum_of_mins / static_cast<double>(samples); }
  double mean_max() const { return samples == 0 ? 0 : sum_of_maxs / static_cast<double>(samples); }
};

inline constexpr int64_t kHistogramElements = 16384;

class CalibrationTable {
 public:
  ValueStatistics& operator[](const std::string& value) { return values_[value]; }
  const ValueStatistics* Find(const std::string& value) const;
  const absl::flat_hash_map<std::string, ValueStatistics>& values() const { return values_; }

 private:
  absl::flat_hash_map<std::string, ValueStatistics> values_;
};

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_CALIBRATION_TABLE_H_
