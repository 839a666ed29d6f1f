#include "server/rpc/grpc_status.h"

#include <string>

#include "gtest/gtest.h"

namespace precis::server {
namespace {

TEST(GrpcStatusTest, KeepsEveryCode) {
  for (int code = 0; code <= 16; ++code) {
    if (code == static_cast<int>(absl::StatusCode::kUnknown)) continue;
    const grpc::Status status = ToGrpcStatus(absl::Status(static_cast<absl::StatusCode>(code), "why"));
    EXPECT_EQ(static_cast<int>(status.error_code()), code);
    EXPECT_EQ(status.error_message(), code == 0 ? "" : "why");
  }
}

TEST(GrpcStatusTest, CallsTheUnknownInternal) {
  EXPECT_EQ(ToGrpcStatus(absl::UnknownError("?")).error_code(), grpc::StatusCode::INTERNAL);
}

TEST(GrpcStatusTest, CutsMessagesThatWouldNotFitAHeader) {
  const grpc::Status status = ToGrpcStatus(absl::InternalError(std::string(100000, 'x')));
  EXPECT_LT(status.error_message().size(), 2100U);
}

}  // namespace
}  // namespace precis::server
