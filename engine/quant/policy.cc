#include "engine/quant/policy.h"

#include "absl/strings/str_cat.h"

namespace precis::quant {

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
  } else {
    return absl::NotFoundError(
        absl::StrCat("no built-in policy is called \"", variant, "\"; there are fp32, bf16, fp16 and int8"));
  }
  return policy;
}

}  // namespace precis::quant
