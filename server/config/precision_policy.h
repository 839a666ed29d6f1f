#ifndef PRECIS_SERVER_CONFIG_PRECISION_POLICY_H_
#define PRECIS_SERVER_CONFIG_PRECISION_POLICY_H_

// precis.v1.PrecisionPolicy to and from the engine's form of it.

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/model.h"
#include "precis/v1/policy.pb.h"

namespace precis::server {

// Checks every field. Errors: InvalidArgument for a value out of range or fields that contradict each other; Unimplemented
// for what this server cannot honour yet. Both name the field: `weights.bits: 4 is not implemented`.
absl::StatusOr<quant::Policy> PolicyFromProto(const v1::PrecisionPolicy& proto);

// Sets the calibration of `policy`, as if its message had held `calibration`. Errors: those of PolicyFromProto.
absl::Status ReplaceCalibration(const v1::CalibrationPolicy& calibration, quant::Policy* policy);

// With every field that matters to the precision filled in.
v1::PrecisionPolicy PolicyToProto(const quant::Policy& policy);

v1::PrecisionPolicy::Precision PrecisionToProto(quant::Precision precision);
v1::MixedPolicy MixedToProto(const quant::MixedPolicy& mixed);

// A policy written as JSON (first character '{') or as text format. Errors: InvalidArgument.
absl::StatusOr<v1::PrecisionPolicy> ParsePolicyText(absl::string_view text);

// The policy that a variant's name stands for: one of `file`'s policies, or else a built-in one (fp32, bf16, fp16, int8, mixed).
// Errors: NotFound naming the known ones; those of PolicyFromProto.
absl::StatusOr<quant::Policy> PolicyOfVariant(absl::string_view variant, const v1::ModelPrecision& file);

// Names that PolicyOfVariant knows: the built-in ones and those of `file`.
std::vector<std::string> VariantNames(const v1::ModelPrecision& file);

}  // namespace precis::server

#endif  // PRECIS_SERVER_CONFIG_PRECISION_POLICY_H_
