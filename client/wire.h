#ifndef PRECIS_CLIENT_WIRE_H_
#define PRECIS_CLIENT_WIRE_H_

// Between the plain values of precis/types.h and the messages on the wire.

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "inference/grpc_service.pb.h"
#include "precis/types.h"
#include "precis/v1/precision_service.pb.h"

namespace precis::client {

inference::ModelInferRequest ToMessage(const InferRequest& request);
// Takes the tensors' bytes out of `message`. INTERNAL: outputs and raw_output_contents differ in number.
absl::StatusOr<InferResponse> FromMessage(inference::ModelInferResponse* message);

ModelMetadata FromMessage(const inference::ModelMetadataResponse& message);
ModelStatistics FromMessage(const inference::ModelStatistics& message);

// INVALID_ARGUMENT: `policy` is no text form of precis.v1.PrecisionPolicy.
absl::StatusOr<precis::v1::LoadVariantRequest> ToMessage(const LoadVariantRequest& request);
// The first message of the stream. Errors: as of a load.
absl::StatusOr<precis::v1::CalibrateRequest> ToMessage(const CalibrateRequest& request);
LoadProgress FromMessage(const precis::v1::LoadVariantProgress& message);
VariantStatus FromMessage(const precis::v1::VariantStatus& message);
ModelVariants FromMessage(const precis::v1::ModelVariants& message);

precis::v1::Traffic ToMessage(const Traffic& traffic);
Traffic FromMessage(const precis::v1::Traffic& message);

Drift FromMessage(const precis::v1::GetDriftResponse& message);

precis::v1::DescribePlanRequest ToMessage(const PlanRequest& request);
Plan FromMessage(const precis::v1::DescribePlanResponse& message);

}  // namespace precis::client

#endif  // PRECIS_CLIENT_WIRE_H_
