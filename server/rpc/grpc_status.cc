#include "server/rpc/grpc_status.h"

#include <string>

namespace precis::server {
namespace {
// A byte may become three in a header (percent encoding).
constexpr size_t kMaxMessageBytes = 2000;
}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const auto code =
      absl::IsUnknown(status) ? grpc::StatusCode::INTERNAL : static_cast<grpc::StatusCode>(status.raw_code());
  std::string message(status.message().substr(0, kMaxMessageBytes));
  if (message.size() < status.message().size()) message += " [cut]";
  return grpc::Status(code, message);
}

}  // namespace precis::server
