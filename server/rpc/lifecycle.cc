#include "server/rpc/lifecycle.h"

namespace precis::server {

bool Lifecycle::Enter() {
  absl::MutexLock lock(&mutex_);
  if (closed_) return false;
  ++inside_;
  return true;
}

void Lifecycle::Leave() {
  absl::MutexLock lock(&mutex_);
  --inside_;
}

bool Lifecycle::CloseAndAwaitIdle(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  return mutex_.AwaitWithTimeout(absl::Condition(this, &Lifecycle::Idle), timeout);
}

}  // namespace precis::server
