// Retries of calls that failed with UNAVAILABLE: the one code that says the server has not begun the work, so that making
// the call again is safe. Exponential backoff with jitter.

#include "client/retry.h"

#include <algorithm>
#include <random>

#include "absl/time/clock.h"

namespace precis::client {

RetryEnvironment RetryEnvironment::System() {
  return {
      .now = absl::Now,
      .sleep = absl::SleepFor,
      .uniform =
          [] {
            thread_local std::minstd_rand engine{std::random_device{}()};
            return std::uniform_real_distribution<double>(0, 1)(engine);
          },
  };
}

absl::Status CheckRetryOptions(const RetryOptions& options) {
  if (options.max_attempts < 1) return absl::InvalidArgumentError("retry.max_attempts must be at least 1");
  if (options.initial_backoff <= absl::ZeroDuration() || options.max_backoff < options.initial_backoff) {
    return absl::InvalidArgumentError("retry.initial_backoff must be positive and at most retry.max_backoff");
  }
  return absl::OkStatus();
}

absl::Status CallWithRetries(const RetryOptions& options, const RetryEnvironment& environment, absl::Time deadline,
                             const std::function<absl::Status()>& call) {
  absl::Duration backoff = options.initial_backoff;
  for (int attempt = 1;; ++attempt) {
    absl::Status status = call();
    if (!absl::IsUnavailable(status) || attempt >= options.max_attempts) return status;
    const absl::Duration pause = backoff * (0.5 + 0.5 * environment.uniform());
    if (environment.now() + pause >= deadline) return status;
    environment.sleep(pause);
    backoff = std::min(2 * backoff, options.max_backoff);
  }
}

}  // namespace precis::client
