// The two signals are blocked before any thread exists, so every thread inherits that and only the main thread, which waits
// for them, gets them. Unblocking them there is all that a second signal needs.

#include "server/app/precisd.h"

#include <pthread.h>
#include <signal.h>

#include <cstdio>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/app/server.h"

namespace precis::server {
namespace {

void PrintLine(const std::string& line) {
  std::puts(line.c_str());
  std::fflush(stdout);
}

sigset_t EndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// Waits for a signal, looking at the repository meanwhile in poll mode. Returns the signal.
int AwaitSignal(Server& server, const ServerOptions& options) {
  const sigset_t signals = EndSignals();
  const bool poll = options.control_mode == ControlMode::kPoll;
  while (true) {
    const timespec timeout = absl::ToTimespec(poll ? options.poll_interval : absl::Hours(1));
    if (const int signal = sigtimedwait(&signals, nullptr, &timeout); signal > 0) return signal;
    if (poll) server.Poll();
  }
}

}  // namespace

int RunPrecisd(const ServerOptions& options) {
  const sigset_t signals = EndSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto server = Server::Start(options);
  if (!server.ok()) {
    LOG(ERROR) << server.status();
    return 1;
  }
  PrintLine(
      absl::StrCat("precisd listening grpc=", (*server)->grpc_endpoint(), " metrics=", (*server)->metrics_endpoint()));
  (*server)->LoadModels([](const Server::LoadSummary& summary) {
    PrintLine(absl::StrCat("precisd ready models=", summary.loaded, " failed=", summary.failed,
                           " seconds=", absl::ToDoubleSeconds(summary.took),
                           summary.waiting > 0 ? absl::StrCat(" waiting_for_traffic=", summary.waiting) : ""));
  });
  const int signal = AwaitSignal(**server, options);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // the next one ends the process
  const absl::Duration grace = signal == SIGTERM ? options.drain_grace : absl::ZeroDuration();
  LOG(INFO) << "signal " << signal << ": not ready any more, serving for another " << grace;
  (*server)->StartDraining();
  absl::SleepFor(grace);
  (*server)->Stop();
  LOG(INFO) << "done";
  return 0;
}

}  // namespace precis::server
