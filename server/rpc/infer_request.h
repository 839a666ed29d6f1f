#ifndef PRECIS_SERVER_RPC_INFER_REQUEST_H_
#define PRECIS_SERVER_RPC_INFER_REQUEST_H_

// What several readers of a ModelInferRequest share.

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "inference/grpc_service.pb.h"

namespace precis::server {

// Parameters of a request, or of one of its tensors, by name.
using InferParameters = google::protobuf::Map<std::string, inference::InferParameter>;

// A name out of a request, safe to log and short.
std::string Quoted(absl::string_view name);

// A parameter that counts something; 0 when there is none of that name. Errors: InvalidArgument.
absl::StatusOr<uint64_t> CountParameter(const InferParameters& parameters, const char* name);

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_INFER_REQUEST_H_
