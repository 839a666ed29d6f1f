#ifndef PRECIS_ENGINE_QUANT_POLICY_H_
#define PRECIS_ENGINE_QUANT_POLICY_H_

// What an operator may ask of a precision variant: the engine's form of precis.v1.PrecisionPolicy, field by field.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/ir/accumulation.h"

namespace precis::quant {

enum class Precision { kF32, kBF16, kF16, kInt8, kMixed };
enum class CalibrationMethod { kDefault, kMinMax, kMovingAverage, kPercentile, kEntropy, kMse };
enum class CalibrationSource {
  kDefault,  // kFiles where there are any, else kStream
  kFiles,    // the model's calibration/ folder
  kStream,   // samples that a client sent
  kLive,     // inputs of requests that were served
};
enum class Granularity {
  kPerTensor,
  kPerChannel,
  kPerGroup,  // per channel, and per group of group_size along K
};
// Which levels weights may take.
enum class WeightScheme {
  kAffine,    // all integers of so many bits
  kLog2,      // 0 and +-2^e (Miyashita et al. 2016, arXiv:1603.01025; Zhou et al. 2017, arXiv:1702.03044)
  kCodebook,  // found by k-means (Han et al. 2016, arXiv:1510.00149)
  kTernary,   // -1, 0, 1 (Li et al. 2016, arXiv:1605.04711)
  kBinary,    // -1, 1 (Rastegari et al. 2016, arXiv:1603.05279)
};
// As the policy's proto has it: "AFFINE".
const char* SchemeName(WeightScheme scheme);

// The bits that a scheme's levels may have.
struct SchemeBits {
  int fewest, most, usual;
};
SchemeBits BitsOf(WeightScheme scheme);

enum class Execution {
  kIntegerOnly,  // int8 primitives end to end
  kSimulated,    // the same levels, computed by fake quantization in f32
};
enum class Objective { kLatency, kMemory };

// Weights as levels of a scheme times a scale. The levels are held as s8, so that every integer layer computes with every scheme.
struct WeightPolicy {
  WeightScheme scheme = WeightScheme::kAffine;
  int bits = 8;  // within BitsOf(scheme)
  Granularity granularity = Granularity::kPerChannel;
  int group_size = 0;     // with kPerGroup: elements of K that share a scale
  bool symmetric = true;  // zero_point 0; false only with kAffine
  bool operator==(const WeightPolicy&) const = default;
};

struct CalibrationPolicy {
  CalibrationMethod method = CalibrationMethod::kDefault;
  double percentile = 99.999;  // of |x|, for kPercentile
  int64_t sample_limit = 0;    // 0: all
  CalibrationSource source = CalibrationSource::kDefault;
  bool operator==(const CalibrationPolicy&) const = default;
};

// Sums over the reduction dimension K (input channels times window, or a MatMul's inner dimension).
struct AccumulationPolicy {
  int chunk_size =
      0;  // 0: the whole of K in s32; else s32 inside a chunk of this many elements of K, f32 across chunks
  bool per_chunk_scales = false;  // weight scales of each chunk's own
  // Sums that this CPU does not compute are emulated, chunk by chunk of `chunk_size` (0: K whole): kS16 those of integer layers, the floats
  // those of layers that multiply real numbers. Unset: s32 and f32, as above.
  std::optional<ir::Accumulator> emulated = std::nullopt;
  bool outer_same = false;  // with `emulated`: the chunks' sums are added in the same accumulator, not in f32
  bool operator==(const AccumulationPolicy&) const = default;
};

// Which layers of a mixed variant run at which precision is searched for, at load, on calibration data.
struct MixedPolicy {
  std::vector<Precision> candidates;            // empty: kF32, kBF16 and kInt8
  std::optional<double> min_sqnr_db;            // of the network's outputs against f32
  std::optional<double> max_top1_disagreement;  // share of samples whose top-1 differs from f32's, 0 to 1
  Objective objective = Objective::kLatency;
  bool operator==(const MixedPolicy&) const = default;
};

// What a pattern sets for the layers that it matches; an unset field is the variant's.
struct LayerOverride {
  std::string pattern;  // of a layer's name; * matches any run of characters
  std::optional<Precision> precision;
  std::optional<WeightPolicy> weights;
  std::optional<AccumulationPolicy> accumulation;
  bool operator==(const LayerOverride&) const = default;
};

struct Policy {
  Precision precision = Precision::kF32;
  WeightPolicy weights;
  int activation_bits = 8;             // 2 to 8
  bool symmetric_activations = false;  // s8 instead of u8 with a zero point
  CalibrationPolicy calibration;
  bool bias_correction = true;
  Execution execution = Execution::kIntegerOnly;
  AccumulationPolicy accumulation;
  MixedPolicy mixed;
  std::vector<LayerOverride> overrides;  // the first that matches a layer applies
  bool operator==(const Policy&) const = default;
};

// The policy as it stands for one layer.
struct LayerPolicy {
  Precision precision = Precision::kF32;
  WeightPolicy weights;
  AccumulationPolicy accumulation;
};
LayerPolicy PolicyOfLayer(const Policy& policy, std::string_view layer_name);

// Whether a layer's name matches an override's pattern, in which * stands for any run of characters.
bool MatchesPattern(std::string_view pattern, std::string_view layer_name);

// Whether some layer may be an int8 one under `policy`, so that it needs calibration samples.
bool NeedsCalibration(const Policy& policy);

// The policy behind a built-in variant name: fp32, bf16, fp16, int8, mixed. NotFound for any other.
absl::StatusOr<Policy> BuiltInPolicy(const std::string& variant);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_POLICY_H_
