#ifndef PRECIS_SERVER_RPC_GRPC_STATUS_H_
#define PRECIS_SERVER_RPC_GRPC_STATUS_H_

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace precis::server {

// The one place where an absl::Status becomes a gRPC status. The codes are the same; UNKNOWN, which nothing here should
// produce, becomes INTERNAL. Long messages are cut: they travel in HTTP/2 headers, whose size clients limit to 8 KiB.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_GRPC_STATUS_H_
