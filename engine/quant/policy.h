#ifndef PRECIS_ENGINE_QUANT_POLICY_H_
#define PRECIS_ENGINE_QUANT_POLICY_H_

// What an operator may ask of a precision variant: the engine's form of precis.v1.PrecisionPolicy, field by field.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace precis::quant {

enum class Precision { kF32, kBF16, kF16, kInt8, kMixed };
enum class CalibrationMethod { kDefault, kMinMax, kMovingAverage, kPercentile, kEntropy, kMse };
enum class Granularity { kPerTensor, kPerChannel };

struct CalibrationPolicy {
  CalibrationMethod method = CalibrationMethod::kDefault;
  double percentile = 99.999;  // of |x|, for kPercentile
  int64_t sample_limit = 0;    // 0: all
};

struct Policy {
  Precision precision = Precision::kF32;
  Granularity weight_granularity = Granularity::kPerChannel;
  bool symmetric_activations = false;  // s8 instead of u8 with a zero point
  CalibrationPolicy calibration;
  bool bias_correction = true;
};

// The policy behind a built-in variant name: fp32, bf16, fp16, int8. NotFound for any other.
absl::StatusOr<Policy> BuiltInPolicy(const std::string& variant);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_POLICY_H_
