#ifndef PRECIS_SERVER_RPC_LOAD_PARAMETERS_H_
#define PRECIS_SERVER_RPC_LOAD_PARAMETERS_H_

#include <string>

#include "absl/status/statusor.h"
#include "inference/grpc_service.pb.h"
#include "precis/v1/precision_service.pb.h"
#include "server/models/model_store.h"

namespace precis::server {

// What a load request asks the store for. Errors: InvalidArgument for malformed names, policies, configurations and unknown
// parameters; Unimplemented for policies that are not built and for model files in parameters.
//
// Parameters: `precis_policy`, a variant's name or a policy as JSON or textproto; `config`, a ModelConfig as JSON. With a
// policy and a plain model name, the variant is named after the policy, or after its precision.
absl::StatusOr<LoadRequest> MakeLoadRequest(const inference::RepositoryModelLoadRequest& request);
absl::StatusOr<LoadRequest> MakeLoadRequest(const v1::LoadVariantRequest& request);

// `model` and `variant` of a precis.v1 request: either may name the variant. Errors: InvalidArgument, also when both do and
// differ.
absl::StatusOr<ModelName> NameOf(const std::string& model, const std::string& variant);

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_LOAD_PARAMETERS_H_
