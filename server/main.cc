// precisd: the inference server. See --help.

#include <cstdio>

#include "absl/base/log_severity.h"
#include "absl/log/globals.h"
#include "absl/log/initialize.h"
#include "absl/synchronization/mutex.h"
#include "server/app/precisd.h"
#include "server/config/server_options.h"

int main(int argc, char** argv) {
  const auto command_line = precis::server::ParseCommandLine(argc, argv);
  if (!command_line.ok()) {
    std::fprintf(stderr, "precisd: %s\nprecisd --help lists the flags.\n",
                 std::string(command_line.status().message()).c_str());
    return 2;
  }
  if (!command_line->text.empty()) {
    std::fputs(command_line->text.c_str(), stdout);
    return 0;
  }
  // The distribution's Abseil is built with the search for deadlocks on, which notes every lock of every mutex. Tests keep
  // it; a server does not pay for it.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  absl::SetStderrThreshold(absl::LogSeverityAtLeast::kInfo);
  absl::InitializeLog();
  return precis::server::RunPrecisd(command_line->options);
}
