#ifndef PRECIS_CLIENT_RETRY_H_
#define PRECIS_CLIENT_RETRY_H_

#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "precis/client.h"

namespace precis::client {

// Where the time and the chance of a retry come from; tests give their own.
struct RetryEnvironment {
  std::function<absl::Time()> now;
  std::function<void(absl::Duration)> sleep;
  std::function<double()> uniform;  // in [0, 1)

  static RetryEnvironment System();
};

// INVALID_ARGUMENT when the options make no sense.
absl::Status CheckRetryOptions(const RetryOptions& options);

// Whether a call that failed so is worth making again: UNAVAILABLE, and CANCELLED, which nobody on this side asks for: a gRPC
// server that shuts down answers so to calls that reach it in that moment.
bool IsWorthARetry(absl::StatusCode code);

// The pauses between one call's attempts. Pause n is initial_backoff * 2^(n-1), at most max_backoff, times a random factor
// in [0.5, 1): clients that failed together do not come back together.
class Backoff {
 public:
  explicit Backoff(const RetryOptions& options);
  // After a failed attempt: how long to wait before the next one; nothing when the attempts are used up. `uniform` is a
  // random number in [0, 1).
  std::optional<absl::Duration> Next(double uniform);

 private:
  int attempts_left_;
  absl::Duration pause_;
  const absl::Duration max_pause_;
};

// Runs `call` until it returns anything that is not worth a retry, the attempts are used up, or the next pause would end after
// `deadline`; returns its last status.
absl::Status CallWithRetries(const RetryOptions& options, const RetryEnvironment& environment, absl::Time deadline,
                             const std::function<absl::Status()>& call);

}  // namespace precis::client

#endif  // PRECIS_CLIENT_RETRY_H_
