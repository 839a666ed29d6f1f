// One function per group of fields. Ranges and contradictions are checked before what is not implemented, so that a bad
// policy is called bad whatever this server can do.

#include "server/config/precision_policy.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/status_macros.h"
#include "google/protobuf/util/json_util.h"
#include "server/config/policy_field.h"
#include "server/config/text_proto.h"
#include "server/config/weight_policy.h"

namespace precis::server {
namespace {

using v1::PrecisionPolicy;

// Requests to calibrate on when the policy does not say: as many as the images that calibration is commonly done on.
constexpr int64_t kLiveSamples = 100;

constexpr std::array<absl::string_view, 5> kBuiltInVariants = {"fp32", "bf16", "fp16", "int8", "mixed"};

absl::StatusOr<quant::Precision> PrecisionOf(const PrecisionPolicy& proto) {
  switch (proto.precision()) {
    case PrecisionPolicy::FP32: return quant::Precision::kF32;
    case PrecisionPolicy::BF16: return quant::Precision::kBF16;
    case PrecisionPolicy::FP16: return quant::Precision::kF16;
    case PrecisionPolicy::INT8: return quant::Precision::kInt8;
    case PrecisionPolicy::MIXED: return quant::Precision::kMixed;
    case PrecisionPolicy::PRECISION_UNSPECIFIED:
      return Bad("precision", "not set; want FP32, BF16, FP16, INT8 or MIXED");
    default: return Bad("precision", absl::StrCat("unknown value ", proto.precision()));
  }
}

absl::Status CheckBits(absl::string_view field, int bits) {
  if (bits != 0 && (bits < 2 || bits > 8)) return Bad(field, absl::StrCat(bits, ", want 2 to 8"));
  return absl::OkStatus();
}

absl::Status ApplyActivations(const v1::ActivationPolicy& activations, quant::Policy* policy) {
  PRECIS_RETURN_IF_ERROR(CheckBits("activations.bits", activations.bits()));
  if (activations.bits() != 0) policy->activation_bits = activations.bits();
  if (activations.ranges() == v1::ActivationPolicy::DYNAMIC) return NotYet("activations.ranges", "DYNAMIC");
  if (!v1::ActivationPolicy::Ranges_IsValid(activations.ranges())) return Bad("activations.ranges", "unknown value");
  if (activations.has_symmetric()) policy->symmetric_activations = activations.symmetric();
  return absl::OkStatus();
}

absl::StatusOr<quant::CalibrationMethod> MethodOf(v1::CalibrationPolicy::Method method) {
  switch (method) {
    case v1::CalibrationPolicy::METHOD_UNSPECIFIED: return quant::CalibrationMethod::kDefault;
    case v1::CalibrationPolicy::MIN_MAX: return quant::CalibrationMethod::kMinMax;
    case v1::CalibrationPolicy::MOVING_AVERAGE: return quant::CalibrationMethod::kMovingAverage;
    case v1::CalibrationPolicy::PERCENTILE: return quant::CalibrationMethod::kPercentile;
    case v1::CalibrationPolicy::ENTROPY: return quant::CalibrationMethod::kEntropy;
    case v1::CalibrationPolicy::MSE: return quant::CalibrationMethod::kMse;
    default: return Bad("calibration.method", "unknown value");
  }
}

absl::Status ApplyCalibration(const v1::CalibrationPolicy& calibration, quant::Policy* policy) {
  if (calibration.percentile() != 0) {
    if (calibration.method() != v1::CalibrationPolicy::PERCENTILE) {
      return Bad("calibration.percentile", "needs method PERCENTILE");
    }
    if (!(calibration.percentile() > 50 && calibration.percentile() <= 100)) {
      return Bad("calibration.percentile", absl::StrCat(calibration.percentile(), ", want above 50, at most 100"));
    }
    policy->calibration.percentile = calibration.percentile();
  }
  if (calibration.sample_limit() < 0) return Bad("calibration.sample_limit", "negative");
  if (!v1::CalibrationPolicy::Source_IsValid(calibration.source())) return Bad("calibration.source", "unknown value");
  policy->calibration.source = static_cast<quant::CalibrationSource>(calibration.source());  // in the proto's order
  PRECIS_ASSIGN_OR_RETURN(policy->calibration.method, MethodOf(calibration.method()));
  policy->calibration.sample_limit = calibration.sample_limit();
  if (policy->calibration.source == quant::CalibrationSource::kLive && calibration.sample_limit() == 0)
    policy->calibration.sample_limit = kLiveSamples;
  if (calibration.has_bias_correction()) policy->bias_correction = calibration.bias_correction();
  return absl::OkStatus();
}

// What the layers that an accumulation is for may multiply.
struct Factors {
  bool levels = false;     // of 8 bits, in integer layers
  bool numbers = false;    // real ones: in layers of floats, and in simulated ones
  bool simulated = false;  // integer layers are
  bool mixed = false;
  std::string precision;  // for messages: "precision INT8"
};

bool IsFloat(quant::Precision precision) {
  return precision == quant::Precision::kF32 || precision == quant::Precision::kBF16 ||
         precision == quant::Precision::kF16;
}

Factors FactorsOf(quant::Precision precision, quant::Execution execution) {
  Factors factors;
  factors.levels = !IsFloat(precision);
  factors.simulated = factors.levels && execution == quant::Execution::kSimulated;
  factors.numbers = IsFloat(precision) || factors.simulated;
  factors.mixed = precision == quant::Precision::kMixed;
  factors.precision = absl::StrCat("precision ", PrecisionPolicy::Precision_Name(PrecisionToProto(precision)));
  return factors;
}

// Those of a whole variant: overrides may have brought layers of other kinds.
Factors FactorsOf(const quant::Policy& policy) {
  Factors factors = FactorsOf(policy.precision, policy.execution);
  for (const quant::LayerOverride& override : policy.overrides) {
    if (!override.precision) continue;
    const Factors layer = FactorsOf(*override.precision, policy.execution);
    factors.levels |= layer.levels;
    factors.numbers |= layer.numbers;
    factors.simulated |= layer.simulated;
  }
  return factors;
}

std::optional<ir::Accumulator> EmulatedOf(v1::AccumulationPolicy::Accumulator accumulator) {
  switch (accumulator) {
    case v1::AccumulationPolicy::S16: return ir::Accumulator::kS16;
    case v1::AccumulationPolicy::F32: return ir::Accumulator::kF32;
    case v1::AccumulationPolicy::F16: return ir::Accumulator::kF16;
    case v1::AccumulationPolicy::BF16: return ir::Accumulator::kBF16;
    case v1::AccumulationPolicy::FP16_169: return ir::Accumulator::kFp16_169;
    default: return std::nullopt;
  }
}

v1::AccumulationPolicy::Accumulator AccumulatorToProto(ir::Accumulator accumulator) {
  switch (accumulator) {
    case ir::Accumulator::kS16: return v1::AccumulationPolicy::S16;
    case ir::Accumulator::kF32: return v1::AccumulationPolicy::F32;
    case ir::Accumulator::kF16: return v1::AccumulationPolicy::F16;
    case ir::Accumulator::kBF16: return v1::AccumulationPolicy::BF16;
    case ir::Accumulator::kFp16_169: return v1::AccumulationPolicy::FP16_169;
  }
  return v1::AccumulationPolicy::ACCUMULATOR_UNSPECIFIED;
}

// Whether an accumulator can sum what the layers multiply.
absl::Status CheckAccumulator(v1::AccumulationPolicy::Accumulator accumulator, const Factors& factors) {
  constexpr absl::string_view kField = "accumulation.accumulator";
  const std::string name = v1::AccumulationPolicy::Accumulator_Name(accumulator);
  const bool integer = accumulator == v1::AccumulationPolicy::S32 || accumulator == v1::AccumulationPolicy::S16;
  if (integer && !factors.levels) {
    return Bad(kField, absl::StrCat(name, " contradicts ", factors.precision, ": it sums products of 8-bit levels"));
  }
  if (accumulator == v1::AccumulationPolicy::S32) return absl::OkStatus();
  if (factors.mixed) {
    return Bad(kField, absl::StrCat(name, " contradicts precision MIXED: its search goes by measured times, and ", name,
                                    " is emulated"));
  }
  if (integer && factors.simulated) {
    return Bad(kField,
               absl::StrCat(name, " contradicts execution SIMULATED: it sums products of levels, not of numbers"));
  }
  if (!integer && !factors.numbers) {
    return Bad(kField,
               absl::StrCat(name, " contradicts ", factors.precision,
                            ": products of levels are integers, which S32 and S16 sum; with execution SIMULATED "
                            "the numbers that levels stand for are multiplied"));
  }
  return absl::OkStatus();
}

absl::StatusOr<quant::AccumulationPolicy> AccumulationFromProto(const v1::AccumulationPolicy& proto,
                                                                const Factors& factors) {
  if (!v1::AccumulationPolicy::Mode_IsValid(proto.mode())) return Bad("accumulation.mode", "unknown value");
  if (!v1::AccumulationPolicy::Accumulator_IsValid(proto.accumulator()))
    return Bad("accumulation.accumulator", "unknown value");
  if (!v1::AccumulationPolicy::Outer_IsValid(proto.outer())) return Bad("accumulation.outer", "unknown value");
  const bool chunked = proto.mode() == v1::AccumulationPolicy::CHUNKED;
  if (chunked && proto.chunk_size() < 1) return Bad("accumulation.chunk_size", "CHUNKED needs at least 1");
  if (!chunked && proto.chunk_size() != 0) return Bad("accumulation.chunk_size", "needs mode CHUNKED");
  if (!chunked && proto.outer() != 0) return Bad("accumulation.outer", "needs mode CHUNKED");
  if (!chunked && proto.per_chunk_scales()) return Bad("accumulation.per_chunk_scales", "needs mode CHUNKED");
  auto accumulator = proto.accumulator();
  if (accumulator == v1::AccumulationPolicy::ACCUMULATOR_UNSPECIFIED) {
    if (!chunked) return quant::AccumulationPolicy{};
    accumulator = factors.levels ? v1::AccumulationPolicy::S32 : v1::AccumulationPolicy::F32;
  }
  PRECIS_RETURN_IF_ERROR(CheckAccumulator(accumulator, factors));
  const bool same = proto.outer() == v1::AccumulationPolicy::OUTER_SAME;
  if (accumulator == v1::AccumulationPolicy::S32 && same) {
    return Bad("accumulation.outer",
               "OUTER_SAME contradicts accumulator S32: chunks added in s32 are one sum, as mode FULL has it");
  }
  if (proto.per_chunk_scales() && same) {
    return Bad("accumulation.outer", "OUTER_SAME contradicts per_chunk_scales: scaled sums are no levels");
  }
  if (proto.per_chunk_scales() && accumulator != v1::AccumulationPolicy::S32 &&
      accumulator != v1::AccumulationPolicy::S16) {
    return Bad("accumulation.per_chunk_scales", "needs accumulator S32 or S16: scales are those of levels");
  }
  quant::AccumulationPolicy accumulation{proto.chunk_size(), proto.per_chunk_scales(), EmulatedOf(accumulator), same};
  // One sum in f32 is what layers of floats have anyway.
  if (!chunked && accumulator == v1::AccumulationPolicy::F32) accumulation.emulated.reset();
  return accumulation;
}

v1::AccumulationPolicy AccumulationToProto(const quant::AccumulationPolicy& accumulation) {
  v1::AccumulationPolicy proto;
  const bool chunked = accumulation.chunk_size > 0;
  if (!chunked && !accumulation.emulated) return proto;
  proto.set_mode(chunked ? v1::AccumulationPolicy::CHUNKED : v1::AccumulationPolicy::FULL);
  proto.set_accumulator(accumulation.emulated ? AccumulatorToProto(*accumulation.emulated)
                                              : v1::AccumulationPolicy::S32);
  if (!chunked) return proto;
  proto.set_chunk_size(accumulation.chunk_size);
  proto.set_outer(accumulation.outer_same ? v1::AccumulationPolicy::OUTER_SAME : v1::AccumulationPolicy::OUTER_F32);
  proto.set_per_chunk_scales(accumulation.per_chunk_scales);
  return proto;
}

absl::Status CheckSparsity(const v1::SparsityPolicy& sparsity) {
  for (auto [field, ratio] : {std::pair{"sparsity.unstructured_ratio", sparsity.unstructured_ratio()},
                              std::pair{"sparsity.structured_ratio", sparsity.structured_ratio()}}) {
    if (!(ratio >= 0 && ratio < 1)) return Bad(field, absl::StrCat(ratio, ", want 0 to below 1"));
    if (ratio > 0) return NotYet(field, absl::StrCat(ratio));
  }
  return absl::OkStatus();
}

absl::Status ApplyMixed(const v1::MixedPolicy& proto, quant::MixedPolicy* mixed) {
  for (int i = 0; i < proto.candidates_size(); ++i) {
    const std::string field = absl::StrCat("mixed.candidates[", i, "]");
    PrecisionPolicy candidate;
    candidate.set_precision(proto.candidates(i));
    auto precision = PrecisionOf(candidate);
    if (!precision.ok() || *precision == quant::Precision::kMixed) {
      return Bad(field, absl::StrCat("is ", PrecisionPolicy::Precision_Name(proto.candidates(i)),
                                     ", want FP32, BF16, FP16 or INT8"));
    }
    if (absl::c_linear_search(mixed->candidates, *precision)) return Bad(field, "is there twice");
    mixed->candidates.push_back(*precision);
  }
  if (mixed->candidates.size() == 1) return Bad("mixed.candidates", "one, want at least two to choose from");
  if (proto.has_min_sqnr_db()) {
    if (!std::isfinite(proto.min_sqnr_db())) return Bad("mixed.min_sqnr_db", "not finite");
    mixed->min_sqnr_db = proto.min_sqnr_db();
  }
  if (proto.has_max_top1_disagreement()) {
    const double share = proto.max_top1_disagreement();
    if (!(share >= 0 && share <= 1)) return Bad("mixed.max_top1_disagreement", absl::StrCat(share, ", want 0 to 1"));
    mixed->max_top1_disagreement = share;
  }
  if (!v1::MixedPolicy::Objective_IsValid(proto.objective())) return Bad("mixed.objective", "unknown value");
  mixed->objective =
      proto.objective() == v1::MixedPolicy::MEMORY ? quant::Objective::kMemory : quant::Objective::kLatency;
  return absl::OkStatus();
}

// Fields that only say something about int8.
absl::Status CheckFloatPolicy(const PrecisionPolicy& proto) {
  for (auto [field, set] :
       {std::pair{"weights", proto.has_weights()}, std::pair{"activations", proto.has_activations()},
        std::pair{"calibration", proto.has_calibration()},
        std::pair{"execution", proto.execution() != PrecisionPolicy::EXECUTION_UNSPECIFIED}}) {
    if (set) {
      return Bad(field, absl::StrCat("contradicts precision ", PrecisionPolicy::Precision_Name(proto.precision())));
    }
  }
  return absl::OkStatus();
}

// A sum of levels has one scale: what is said of both must agree.
absl::Status CheckGroups(const quant::WeightPolicy& weights, const quant::AccumulationPolicy& sums) {
  const bool of_numbers = sums.emulated && *sums.emulated != ir::Accumulator::kS16;
  if (weights.granularity != quant::Granularity::kPerGroup || of_numbers) return absl::OkStatus();
  if (sums.outer_same) {
    return Bad("accumulation.outer", "OUTER_SAME contradicts weights.granularity PER_GROUP: scaled sums are no levels");
  }
  if (sums.chunk_size == 0 || sums.chunk_size == weights.group_size) return absl::OkStatus();
  return Bad("weights.group_size", absl::StrCat(weights.group_size, " contradicts accumulation.chunk_size ",
                                                sums.chunk_size, ": a sum of levels has one scale"));
}

// What override `index` sets for the layers that it matches, in a variant whose precision and execution `variant` has.
absl::StatusOr<quant::LayerOverride> OverrideFromProto(const v1::LayerOverride& proto, int index,
                                                       const quant::Policy& variant) {
  const auto field = [&](absl::string_view name) { return absl::StrCat("overrides[", index, "].", name); };
  quant::LayerOverride override;
  override.pattern = proto.pattern();
  if (override.pattern.empty()) return Bad(field("pattern"), "empty; want a layer's name, * matches any characters");
  const PrecisionPolicy& policy = proto.policy();
  for (auto [name, set] :
       {std::pair{"activations", policy.has_activations()}, std::pair{"calibration", policy.has_calibration()},
        std::pair{"execution", policy.execution() != PrecisionPolicy::EXECUTION_UNSPECIFIED},
        std::pair{"mixed", policy.has_mixed()}, std::pair{"sparsity", policy.has_sparsity()},
        std::pair{"overrides", policy.overrides_size() > 0}}) {
    if (set) return Bad(field(absl::StrCat("policy.", name)), "is the whole variant's, not a layer's");
  }
  if (policy.precision() == PrecisionPolicy::MIXED) {
    return Bad(field("policy.precision"), "MIXED is the whole variant's; a layer has FP32, BF16, FP16 or INT8");
  }
  if (policy.precision() != PrecisionPolicy::PRECISION_UNSPECIFIED) {
    auto precision = PrecisionOf(policy);
    if (!precision.ok()) return Bad(field("policy.precision"), precision.status().message());
    override.precision = *precision;
  } else if (!policy.has_weights() && !policy.has_accumulation()) {
    return Bad(field("policy"), "sets nothing");
  }
  const quant::Precision precision = override.precision.value_or(variant.precision);
  const bool integer = precision == quant::Precision::kInt8 || precision == quant::Precision::kMixed;
  if (policy.has_weights() && !integer) {
    return Bad(field("policy.weights"),
               absl::StrCat("contradicts precision ", PrecisionPolicy::Precision_Name(PrecisionToProto(precision))));
  }
  quant::Policy layer;
  layer.precision = quant::Precision::kInt8;
  layer.execution = variant.execution;
  absl::Status status = ApplyWeights(policy.weights(), layer.execution, &layer.weights);
  Factors factors = FactorsOf(precision, variant.execution);
  factors.mixed |= variant.precision == quant::Precision::kMixed;
  const auto accumulation = AccumulationFromProto(policy.accumulation(), factors);
  status.Update(accumulation.status());
  if (!status.ok()) return absl::Status(status.code(), absl::StrCat(field("policy"), ": ", status.message()));
  if (policy.has_weights()) override.weights = layer.weights;
  if (policy.has_accumulation()) override.accumulation = *accumulation;
  return override;
}

}  // namespace

absl::StatusOr<quant::Policy> PolicyFromProto(const PrecisionPolicy& proto) {
  if (proto.has_mixed() && proto.precision() != PrecisionPolicy::MIXED) return Bad("mixed", "needs precision MIXED");
  quant::Policy policy;
  PRECIS_ASSIGN_OR_RETURN(policy.precision, PrecisionOf(proto));
  PRECIS_RETURN_IF_ERROR(CheckSparsity(proto.sparsity()));
  PRECIS_RETURN_IF_ERROR(ApplyMixed(proto.mixed(), &policy.mixed));
  if (!PrecisionPolicy::Execution_IsValid(proto.execution())) return Bad("execution", "unknown value");
  if (proto.execution() == PrecisionPolicy::SIMULATED) policy.execution = quant::Execution::kSimulated;
  for (int i = 0; i < proto.overrides_size(); ++i) {
    PRECIS_ASSIGN_OR_RETURN(auto override, OverrideFromProto(proto.overrides(i), i, policy));
    policy.overrides.push_back(std::move(override));
  }
  PRECIS_ASSIGN_OR_RETURN(policy.accumulation, AccumulationFromProto(proto.accumulation(), FactorsOf(policy)));
  if (!quant::NeedsCalibration(policy)) {
    PRECIS_RETURN_IF_ERROR(CheckFloatPolicy(proto));
    return policy;
  }
  PRECIS_RETURN_IF_ERROR(ApplyWeights(proto.weights(), policy.execution, &policy.weights));
  PRECIS_RETURN_IF_ERROR(ApplyActivations(proto.activations(), &policy));
  PRECIS_RETURN_IF_ERROR(ApplyCalibration(proto.calibration(), &policy));
  PRECIS_RETURN_IF_ERROR(CheckGroups(policy.weights, policy.accumulation));
  for (const quant::LayerOverride& override : policy.overrides) {
    PRECIS_RETURN_IF_ERROR(
        CheckGroups(override.weights.value_or(policy.weights), override.accumulation.value_or(policy.accumulation)));
  }
  return policy;
}

absl::Status ReplaceCalibration(const v1::CalibrationPolicy& calibration, quant::Policy* policy) {
  quant::Policy fresh;
  PRECIS_RETURN_IF_ERROR(ApplyCalibration(calibration, &fresh));
  policy->calibration = fresh.calibration;
  policy->bias_correction = fresh.bias_correction;
  return absl::OkStatus();
}

PrecisionPolicy::Precision PrecisionToProto(quant::Precision precision) {
  switch (precision) {
    case quant::Precision::kF32: return PrecisionPolicy::FP32;
    case quant::Precision::kBF16: return PrecisionPolicy::BF16;
    case quant::Precision::kF16: return PrecisionPolicy::FP16;
    case quant::Precision::kInt8: return PrecisionPolicy::INT8;
    case quant::Precision::kMixed: return PrecisionPolicy::MIXED;
  }
  return PrecisionPolicy::PRECISION_UNSPECIFIED;
}

v1::MixedPolicy MixedToProto(const quant::MixedPolicy& mixed) {
  v1::MixedPolicy proto;
  for (quant::Precision candidate : mixed.candidates) proto.add_candidates(PrecisionToProto(candidate));
  if (mixed.min_sqnr_db) proto.set_min_sqnr_db(*mixed.min_sqnr_db);
  if (mixed.max_top1_disagreement) proto.set_max_top1_disagreement(*mixed.max_top1_disagreement);
  proto.set_objective(mixed.objective == quant::Objective::kMemory ? v1::MixedPolicy::MEMORY
                                                                   : v1::MixedPolicy::LATENCY);
  return proto;
}

PrecisionPolicy PolicyToProto(const quant::Policy& policy) {
  PrecisionPolicy proto;
  proto.set_precision(PrecisionToProto(policy.precision));
  for (const quant::LayerOverride& override : policy.overrides) {
    v1::LayerOverride& layer = *proto.add_overrides();
    layer.set_pattern(override.pattern);
    if (override.precision) layer.mutable_policy()->set_precision(PrecisionToProto(*override.precision));
    quant::Policy own;  // an int8 variant that has for all layers what the override has
    own.precision = quant::Precision::kInt8;
    own.weights = override.weights.value_or(own.weights);
    own.accumulation = override.accumulation.value_or(own.accumulation);
    const PrecisionPolicy fields = PolicyToProto(own);
    if (override.weights) *layer.mutable_policy()->mutable_weights() = fields.weights();
    if (override.accumulation) *layer.mutable_policy()->mutable_accumulation() = fields.accumulation();
  }
  if (policy.precision == quant::Precision::kMixed) *proto.mutable_mixed() = MixedToProto(policy.mixed);
  if (policy.accumulation != quant::AccumulationPolicy())
    *proto.mutable_accumulation() = AccumulationToProto(policy.accumulation);
  if (!quant::NeedsCalibration(policy)) return proto;
  proto.set_execution(policy.execution == quant::Execution::kSimulated ? PrecisionPolicy::SIMULATED
                                                                       : PrecisionPolicy::INTEGER_ONLY);
  *proto.mutable_weights() = WeightsToProto(policy.weights);
  v1::ActivationPolicy& activations = *proto.mutable_activations();
  activations.set_bits(policy.activation_bits);
  activations.set_symmetric(policy.symmetric_activations);
  activations.set_ranges(v1::ActivationPolicy::STATIC);
  v1::CalibrationPolicy& calibration = *proto.mutable_calibration();
  // The engine's enum lists the methods in the proto's order.
  calibration.set_method(static_cast<v1::CalibrationPolicy::Method>(policy.calibration.method));
  if (policy.calibration.method == quant::CalibrationMethod::kPercentile) {
    calibration.set_percentile(policy.calibration.percentile);
  }
  calibration.set_sample_limit(policy.calibration.sample_limit);
  calibration.set_source(static_cast<v1::CalibrationPolicy::Source>(policy.calibration.source));
  calibration.set_bias_correction(policy.bias_correction);
  return proto;
}

absl::StatusOr<PrecisionPolicy> ParsePolicyText(absl::string_view text) {
  PrecisionPolicy proto;
  text = absl::StripAsciiWhitespace(text);
  if (text.empty() || text.front() != '{') {
    PRECIS_RETURN_IF_ERROR(ParseTextProto(text, "policy", UnknownFields::kError, &proto, nullptr));
    return proto;
  }
  const auto status = google::protobuf::util::JsonStringToMessage(std::string(text), &proto);
  if (!status.ok()) return absl::InvalidArgumentError(absl::StrCat("policy: ", std::string(status.message())));
  return proto;
}

std::vector<std::string> VariantNames(const v1::ModelPrecision& file) {
  std::vector<std::string> names(kBuiltInVariants.begin(), kBuiltInVariants.end());
  for (const auto& named : file.policies()) {
    if (std::find(names.begin(), names.end(), named.name()) == names.end()) names.push_back(named.name());
  }
  return names;
}

absl::StatusOr<quant::Policy> PolicyOfVariant(absl::string_view variant, const v1::ModelPrecision& file) {
  for (const auto& named : file.policies()) {
    if (named.name() == variant) return PolicyFromProto(named.policy());
  }
  auto policy = quant::BuiltInPolicy(std::string(variant));
  if (!policy.ok()) {
    return absl::NotFoundError(
        absl::StrCat("unknown variant \"", variant, "\"; known: ", absl::StrJoin(VariantNames(file), ", ")));
  }
  return policy;
}

}  // namespace precis::server
