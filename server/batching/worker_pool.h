#ifndef PRECIS_SERVER_BATCHING_WORKER_POOL_H_
#define PRECIS_SERVER_BATCHING_WORKER_POOL_H_

// A variant's bounded queue and the workers that run it.
//
// Contract: every job that is submitted is answered exactly once, through its `done`; in order of submission, as workers
// become free. When the queue is full a new job is answered ResourceExhausted at once (after jobs that are already past their
// deadline or cancelled have made room). A job past its deadline is answered DeadlineExceeded, a cancelled one Cancelled,
// and neither runs. A job that runs is never interrupted.
//
// A job whose model runs in less time than waking a thread costs is run on the thread that submits it (kInlineLimit).

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/model.h"
#include "server/metrics/server_metrics.h"

namespace precis::server {

struct JobResult {
  absl::Status status;
  std::vector<Tensor> outputs;              // when ok
  absl::Time submitted, started, finished;  // `started` and `finished` are equal when it did not run
};

struct Job {
  std::vector<TensorView> inputs;  // borrowed until `done` is called
  int64_t batch_size = 1;          // for the metrics
  absl::Time deadline = absl::InfiniteFuture();
  std::function<bool()> cancelled;           // may be empty; called on any thread, at any time before `done`
  absl::AnyInvocable<void(JobResult)> done;  // on a worker, or inside Submit
  absl::Time submitted;                      // set by Submit
};

struct WorkerPoolOptions {
  int workers = 1;     // jobs that run at once, each on a session of its own
  int queue_size = 1;  // jobs that wait
  bool allow_inline = true;
  std::function<absl::Time()> clock = [] { return absl::Now(); };
};

class WorkerPool {
 public:
  // A job whose predecessor of the same shapes took less runs inside Submit: about what two thread switches cost, and too
  // little to hold up the thread that serves the network.
  static constexpr absl::Duration kInlineLimit = absl::Microseconds(150);

  // Makes the first session; the others follow when they are first needed. `metrics` may be null. Errors: the session's.
  static absl::StatusOr<std::unique_ptr<WorkerPool>> Create(std::shared_ptr<const Variant> variant,
                                                            WorkerPoolOptions options, VariantMetrics* metrics);
  // Runs what is queued, then joins the workers. Nobody may submit any more. Not to be called from a job's `done`.
  ~WorkerPool();

  // Thread-safe.
  void Submit(Job job);

  int workers() const { return options_.workers; }

 private:
  // A session and what is known of its latest run.
  struct Slot {
    std::unique_ptr<Session> session;
    std::vector<Shape> shapes;
    absl::Duration smoothed = absl::InfiniteDuration();  // run time at these shapes
    int64_t weight_bytes = 0, activation_bytes = 0;      // moved by one run at these shapes
  };

  WorkerPool(std::shared_ptr<const Variant> variant, WorkerPoolOptions options, VariantMetrics* metrics);

  void WorkerLoop();
  bool SuitsInline(const Slot& slot, const Job& job) const;
  // Takes an idle session, or makes one. Null when all are busy; a slot without a session when making it failed.
  std::unique_ptr<Slot> TakeSlotLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Runs the job, gives the slot back, then answers. Nothing of this pool is touched after the answer: whoever gets it may
  // be the last to keep the pool alive.
  void RunJob(std::unique_ptr<Slot> slot, Job job);
  absl::Status RunSession(Slot& slot, const Job& job, JobResult* result);
  void NoteRun(Slot& slot, const Job& job, absl::Duration took) const;
  void UpdateShapes(Slot& slot, const Job& job) const;
  // Why the job must not run at time `now`; OK when it may.
  static absl::Status WhyNot(const Job& job, absl::Time now);
  static void Refuse(Job job, absl::Status status, absl::Time now);
  // Moves the jobs that must not run out of the queue.
  std::vector<Job> TakeDeadLocked(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<const Variant> variant_;
  const WorkerPoolOptions options_;
  VariantMetrics* const metrics_;

  absl::Mutex mutex_;
  std::deque<Job> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Slot>> idle_ ABSL_GUARDED_BY(mutex_);  // the latest used is the last: its caches are warm
  int slots_made_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_BATCHING_WORKER_POOL_H_
