#ifndef PRECIS_SERVER_RPC_LIFECYCLE_H_
#define PRECIS_SERVER_RPC_LIFECYCLE_H_

#include <atomic>

#include "absl/time/time.h"

namespace precis::server {

// Where the server stands between start and end: starting -> ready -> draining -> closed. Thread-safe.
class Lifecycle {
 public:
  // The models named at start are done. Without effect once draining.
  void SetReady() { ready_.store(!draining_.load()); }
  // Not ready any more; requests are still served.
  void StartDraining() {
    draining_.store(true);
    ready_.store(false);
  }
  bool ready() const { return ready_.load(); }
  bool draining() const { return draining_.load(); }

  // Every inference calls Enter before its work, and Leave after its answer if Enter was true. False: closed.
  bool Enter();
  void Leave() { inside_.fetch_sub(1); }
  // Nobody is inside.
  bool idle() const { return inside_.load(std::memory_order_relaxed) == 0; }
  // Lets nobody in any more and waits for those inside. False when `timeout` passed first.
  bool CloseAndAwaitIdle(absl::Duration timeout);

 private:
  std::atomic<bool> ready_{false};
  std::atomic<bool> draining_{false};
  std::atomic<bool> closed_{false};
  std::atomic<int> inside_{0};
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_LIFECYCLE_H_
