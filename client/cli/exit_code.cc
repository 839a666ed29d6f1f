#include "client/cli/exit_code.h"

#include "absl/strings/cord.h"

namespace precis::cli {
namespace {

constexpr char kUsagePayload[] = "precis/usage";

}  // namespace

absl::Status UsageError(const std::string& message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsagePayload, absl::Cord());
  return status;
}

int ExitCode(const absl::Status& status) {
  if (status.ok()) return kDone;
  return status.GetPayload(kUsagePayload).has_value() ? kWrongUsage : kRefused;
}

}  // namespace precis::cli
