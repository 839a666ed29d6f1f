// Retries of calls whose server was not there, or went away. Inference changes nothing on a server, so that running a call
// twice is safe. Exponential backoff with jitter.

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

bool IsWorthARetry(absl::StatusCode code) {
  return code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kCancelled;
}

Backoff::Backoff(const RetryOptions& options)
    : attempts_left_(options.max_attempts - 1), pause_(options.initial_backoff), max_pause_(options.max_backoff) {}

std::optional<absl::Duration> Backoff::Next(double uniform) {
  if (attempts_left_ == 0) return std::nullopt;
  --attempts_left_;
  const absl::Duration pause = pause_ * (0.5 + 0.5 * uniform);
  pause_ = std::min(2 * pause_, max_pause_);
  return pause;
}

absl::Status CallWithRetries(const RetryOptions& options, const RetryEnvironment& environment, absl::Time deadline,
                             const std::function<absl::Status()>& call) {
  Backoff backoff(options);
  for (;;) {
    absl::Status status = call();
    if (!IsWorthARetry(status.code())) return status;
    const std::optional<absl::Duration> pause = backoff.Next(environment.uniform());
    if (!pause || environment.now() + *pause >= deadline) return status;
    environment.sleep(*pause);
  }
}

}  // namespace precis::client
