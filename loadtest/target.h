#ifndef PRECIS_LOADTEST_TARGET_H_
#define PRECIS_LOADTEST_TARGET_H_

#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "loadtest/infer_caller.h"
#include "loadtest/settings.h"

namespace precis::loadtest {

// A model on a server, with the requests to send it.
struct Target {
  std::string address, model;
  std::unique_ptr<InferCaller> caller;
  std::vector<grpc::ByteBuffer> requests;
};

// Connects and makes the requests. Errors: the server's; UsageError: TLS files, data or shapes that do not fit.
absl::StatusOr<Target> OpenTarget(const Settings& settings, const std::string& address, const std::string& model);

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_TARGET_H_
