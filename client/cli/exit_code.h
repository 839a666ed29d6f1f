#ifndef PRECIS_CLIENT_CLI_EXIT_CODE_H_
#define PRECIS_CLIENT_CLI_EXIT_CODE_H_

#include <string>

#include "absl/status/status.h"

namespace precis::cli {

// Exit codes of `precis` and `precis_loadtest`.
inline constexpr int kDone = 0;
inline constexpr int kRefused = 1;     // the server or the model said no
inline constexpr int kWrongUsage = 2;  // the command line, or a file it names, is wrong

// An error of the command line rather than the server's.
absl::Status UsageError(const std::string& message);
int ExitCode(const absl::Status& status);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_EXIT_CODE_H_
