#ifndef PRECIS_SERVER_BATCHING_WORKER_POOL_H_
#define PRECIS_SERVER_BATCHING_WORKER_POOL_H_

// A variant's queue and the workers that run what is in it, one by one or joined into batches.
//
// Contract: every job that is submitted is answered exactly once, through its `done`. Jobs run in the order of JobQueue, as
// workers become free. When there is no room a new job is answered ResourceExhausted at once (after jobs that must not run any
// more have made room). A job past its deadline or its time in the queue is answered DeadlineExceeded, a cancelled one Cancelled,
// and neither runs. A job that runs is never interrupted.
//
// With dynamic batching a free worker takes as many waiting items as the batch plan has use for: one of the preferred sizes as
// soon as there are enough, or the best size; else it waits for more until the longest waiting job has waited max_queue_delay,
// and takes its share, so that no other free worker is left without work. Where larger runs are not faster nothing is joined
// and nobody waits.
//
// A job whose model runs in less time than waking a thread costs is run on the thread that submits it (kInlineLimit).

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/model.h"
#include "server/batching/batch_plan.h"
#include "server/batching/batch_session.h"
#include "server/batching/job.h"
#include "server/batching/job_queue.h"
#include "server/batching/reply_order.h"
#include "server/config/scheduling.h"
#include "server/metrics/cache_miss_counter.h"
#include "server/metrics/server_metrics.h"

namespace precis::server {

struct WorkerPoolOptions {
  int workers = 1;     // runs at once, each on a session of its own
  int queue_size = 1;  // jobs that wait
  bool allow_inline = true;
  Scheduling scheduling = {};  // its `workers` is not read
  std::function<absl::Time()> clock = [] { return absl::Now(); };
};

class WorkerPool {
 public:
  // A job whose predecessor of the same shapes took less runs inside Submit: about what two thread switches cost, and too
  // little to hold up the thread that serves the network.
  static constexpr absl::Duration kInlineLimit = absl::Microseconds(150);

  // Makes the first session; the others follow when they are first needed. Where the model batches, measures its batch sizes.
  // `metrics` may be null. Errors: the engine's.
  static absl::StatusOr<std::unique_ptr<WorkerPool>> Create(std::shared_ptr<const Variant> variant,
                                                            WorkerPoolOptions options, VariantMetrics* metrics);
  // Runs what is queued, then joins the workers. Nobody may submit any more. Not to be called from a job's `done`.
  ~WorkerPool();

  // Thread-safe.
  void Submit(Job job);

  int workers() const { return options_.workers; }
  const BatchPlan& batch_plan() const { return plan_; }

 private:
  using Refused = JobQueue::Refused;

  WorkerPool(std::shared_ptr<const Variant> variant, WorkerPoolOptions options, BatchPlan plan,
             VariantMetrics* metrics);

  void WorkerLoop();
  // Takes an idle session, or makes one.
  std::unique_ptr<BatchSession> TakeSessionLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::unique_ptr<BatchSession> NewSession() const;
  // Runs the jobs, gives the session back, then answers. On a thread that is not a worker nothing of this pool is touched after
  // the last answer: whoever gets it may be the last to keep the pool alive.
  // `counter` (may be null) is this thread's.
  void RunJobs(std::unique_ptr<BatchSession> session, std::vector<Job> jobs, const CacheMissCounter* counter);
  static void Refuse(std::vector<Refused> refused, absl::Time now);
  // Every kSweepInterval: a look at every job costs more than one at the first.
  std::vector<Refused> SweepLocked(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Items to take now. Requires jobs.
  int64_t ItemsToTakeLocked() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // How long to wait for more jobs before some are taken. Requires jobs.
  absl::Duration WaitForMoreLocked(absl::Time now) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  bool HasFullBatchLocked() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  bool joins() const { return options_.scheduling.dynamic_batching && plan_.best_size() > 1; }
  void ShowDepthLocked() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  bool HasIdleSession() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !idle_.empty() || sessions_made_ < options_.workers;
  }
  // Conditions that workers wait for.
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return queue_.empty() ? stopping_ : HasIdleSession(); }
  bool NeedNotWait() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return stopping_ || !HasIdleSession() || queue_.empty() || HasFullBatchLocked();
  }

  const std::shared_ptr<const Variant> variant_;
  const WorkerPoolOptions options_;
  const BatchPlan plan_;
  VariantMetrics* const metrics_;
  const std::shared_ptr<ReplyOrder> order_;  // null: answers leave as they come

  absl::Mutex mutex_;
  JobQueue queue_ ABSL_GUARDED_BY(mutex_);
  absl::Time next_sweep_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  // The latest used is the last: its caches are warm.
  std::vector<std::unique_ptr<BatchSession>> idle_ ABSL_GUARDED_BY(mutex_);
  int sessions_made_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_BATCHING_WORKER_POOL_H_
