#ifndef PRECIS_CLIENT_CHANNEL_H_
#define PRECIS_CLIENT_CHANNEL_H_

#include <grpcpp/grpcpp.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "precis/client.h"

namespace precis::client {

// The channel that the options describe; connects when it is first used. NOT_FOUND: a TLS file cannot be read;
// INVALID_ARGUMENT: the target is empty, or only one of cert_file and key_file is given.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ClientOptions& options);

// Same code and message; OK stays OK.
absl::Status ToAbslStatus(const grpc::Status& status);

}  // namespace precis::client

#endif  // PRECIS_CLIENT_CHANNEL_H_
