#ifndef PRECIS_SERVER_RPC_LIFECYCLE_H_
#define PRECIS_SERVER_RPC_LIFECYCLE_H_

#include <atomic>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
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
  void Leave();
  // Lets nobody in any more and waits for those inside. False when `timeout` passed first.
  bool CloseAndAwaitIdle(absl::Duration timeout);

 private:
  bool Idle() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return inside_ == 0; }

  std::atomic<bool> ready_{false};
  std::atomic<bool> draining_{false};
  absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  int inside_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_LIFECYCLE_H_
