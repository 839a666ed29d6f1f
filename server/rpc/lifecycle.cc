// Enter counts first and looks second, CloseAndAwaitIdle closes first and counts second: whatever their order, one of the two sees
// the other (all of it sequentially consistent).

#include "server/rpc/lifecycle.h"

#include "absl/time/clock.h"

namespace precis::server {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(1);

}  // namespace

bool Lifecycle::Enter() {
  inside_.fetch_add(1);
  if (!closed_.load()) return true;
  Leave();
  return false;
}

bool Lifecycle::CloseAndAwaitIdle(absl::Duration timeout) {
  closed_.store(true);
  const absl::Time deadline = absl::Now() + timeout;
  while (inside_.load() != 0) {
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(kPoll);
  }
  return true;
}

}  // namespace precis::server
