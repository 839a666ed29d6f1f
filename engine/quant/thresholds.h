#ifndef PRECIS_ENGINE_QUANT_THRESHOLDS_H_
#define PRECIS_ENGINE_QUANT_THRESHOLDS_H_

// Calibration methods: from what was seen of a value to the range that its levels cover. Numbers outside are clipped.

#include "engine/quant/calibration_table.h"
#include "engine/quant/policy.h"

namespace precis::quant {

// low <= 0 <= high: zero always has a level of its own, so padding and the zeros after a ReLU are exact.
struct Range {
  float low = 0, high = 0;
};

// One function per method. Each needs statistics with at least one sample; all but the first two a histogram.
Range MinMaxRange(const ValueStatistics& s);
// From the mean of the samples' minima to the mean of their maxima.
Range MovingAverageRange(const ValueStatistics& s);
// Clips at the smallest bin edge t with P(|x| <= t) >= percentile / 100.
Range PercentileRange(const ValueStatistics& s, double percentile);
// Clips at the t that loses the least information, KL(P || Q), when |x| goes from 2048 bins to `levels` of them (TensorRT's calibration;
// S. Migacz, "8-bit inference with TensorRT", GTC 2017): 2^bits where all numbers are non-negative, half of it otherwise.
Range EntropyRange(const ValueStatistics& s, int bits = 8);
// The range with the least expected squared error (under the histogram's weights) at 2^bits levels, low and high searched apart.
Range LeastSquaresRange(const ValueStatistics& s, int bits = 8);

// The policy's method; kDefault is LeastSquaresRange over a histogram of Weighting::kRelative.
Range ChooseRange(const ValueStatistics& s, const CalibrationPolicy& policy, int bits = 8);
Weighting WeightingOf(CalibrationMethod method);

// Signal over quantization noise, in dB, when the histogram's numbers are quantized to 256 levels over `range`.
double ExpectedSqnr(const Histogram& histogram, const Range& range);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_THRESHOLDS_H_
