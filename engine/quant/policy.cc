#include "engine/quant/policy.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace precis::quant {

bool MatchesPattern(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, retry = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

const char* SchemeName(WeightScheme scheme) {
  switch (scheme) {
    case WeightScheme::kAffine: return "AFFINE";
    case WeightScheme::kLog2: return "LOG2";
    case WeightScheme::kCodebook: return "CODEBOOK";
    case WeightScheme::kTernary: return "TERNARY";
    case WeightScheme::kBinary: return "BINARY";
  }
  return "";
}

SchemeBits BitsOf(WeightScheme scheme) {
  switch (scheme) {
    case WeightScheme::kAffine: return {2, 8, 8};
    case WeightScheme::kLog2: return {2, 4, 4};  // +-1 to +-64 are the powers of two of s8
    case WeightScheme::kCodebook: return {2, 8, 4};
    case WeightScheme::kTernary: return {2, 2, 2};
    case WeightScheme::kBinary: return {1, 1, 1};
  }
  return {};
}

LayerPolicy PolicyOfLayer(const Policy& policy, std::string_view layer_name) {
  LayerPolicy layer{policy.precision, policy.weights, policy.accumulation};
  for (const LayerOverride& override : policy.overrides) {
    if (!MatchesPattern(override.pattern, layer_name)) continue;
    layer.precision = override.precision.value_or(layer.precision);
    layer.weights = override.weights.value_or(layer.weights);
    layer.accumulation = override.accumulation.value_or(layer.accumulation);
    break;
  }
  return layer;
}

bool NeedsCalibration(const Policy& policy) {
  const auto needs = [](Precision p) { return p == Precision::kInt8 || p == Precision::kMixed; };
  return needs(policy.precision) ||
         std::any_of(policy.overrides.begin(), policy.overrides.end(),
                     [&](const LayerOverride& o) { return o.precision && needs(*o.precision); });
}

absl::StatusOr<Policy> BuiltInPolicy(const std::string& variant) {
  Policy policy;
  if (variant == "fp32") {
    policy.precision = Precision::kF32;
  } else if (variant == "bf16") {
    policy.precision = Precision::kBF16;
  } else if (variant == "fp16") {
    policy.precision = Precision::kF16;
  } else if (variant == "int8") {
    policy.precision = Precision::kInt8;
  } else if (variant == "mixed") {
    policy.precision = Precision::kMixed;
  } else {
    return absl::NotFoundError(
        absl::StrCat("no built-in policy is called \"", variant, "\"; there are fp32, bf16, fp16, int8 and mixed"));
  }
  return policy;
}

}  // namespace precis::quant
