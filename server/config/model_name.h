#ifndef PRECIS_SERVER_CONFIG_MODEL_NAME_H_
#define PRECIS_SERVER_CONFIG_MODEL_NAME_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace precis::server {

// `net@int8` taken apart. `variant` is empty for a plain `net`.
struct ModelName {
  std::string model;
  std::string variant;
};

// Errors: InvalidArgument when a part is empty, too long or has other characters than letters, digits, '_', '-' and '.', or
// starts with a '.'; so a name never leaves the repository's folder.
absl::StatusOr<ModelName> ParseModelName(absl::string_view name);

// What ParseModelName asks of each part. `what` names it in the message.
absl::Status CheckNamePart(absl::string_view part, absl::string_view what);

// "net@int8".
std::string JoinModelName(absl::string_view model, absl::string_view variant);

// A version on the wire: decimal, at least 1. Empty gives 0, which stands for the highest served.
// Errors: InvalidArgument.
absl::StatusOr<int64_t> ParseVersion(absl::string_view version);

}  // namespace precis::server

#endif  // PRECIS_SERVER_CONFIG_MODEL_NAME_H_
