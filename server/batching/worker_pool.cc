// One mutex guards the queue and the idle sessions; runs happen outside it. A session is needed to run, a thread is not
// tied to one: so a job can run on a worker or on the submitting thread with the same few lines.

#include "server/batching/worker_pool.h"

#include <algorithm>
#include <utility>

#include "engine/base/status_macros.h"

namespace precis::server {
namespace {

// Jobs behind the first that must not run any more wait for their answer at most so long while workers take jobs.
constexpr absl::Duration kSweepInterval = absl::Milliseconds(5);

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerPool>> WorkerPool::Create(std::shared_ptr<const Variant> variant,
                                                               WorkerPoolOptions options, VariantMetrics* metrics) {
  BatchPlan plan;
  if (options.scheduling.max_batch_size > 0) {
    PRECIS_ASSIGN_OR_RETURN(plan, BatchPlan::Measure(*variant, options.scheduling.max_batch_size,
                                                     options.scheduling.preferred_batch_sizes));
  }
  std::unique_ptr<WorkerPool> pool(new WorkerPool(std::move(variant), std::move(options), std::move(plan), metrics));
  for (int i = 0; i < pool->options_.workers; ++i) pool->threads_.emplace_back([p = pool.get()] { p->WorkerLoop(); });
  return pool;
}

WorkerPool::WorkerPool(std::shared_ptr<const Variant> variant, WorkerPoolOptions options, BatchPlan plan,
                       VariantMetrics* metrics)
    : variant_(std::move(variant)),
      options_(std::move(options)),
      plan_(std::move(plan)),
      metrics_(metrics),
      order_(options_.scheduling.preserve_ordering ? std::make_shared<ReplyOrder>() : nullptr),
      queue_(&options_.scheduling, static_cast<size_t>(options_.queue_size)) {}

WorkerPool::~WorkerPool() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::Submit(Job job) {
  const absl::Time now = job.submitted = options_.clock();
  std::unique_ptr<BatchSession> session;  // to run the job here
  std::vector<Job> mine;                  // the job, then
  std::vector<Refused> refused;
  absl::Status room;
  {
    absl::MutexLock lock(&mutex_);
    const bool here = options_.allow_inline && queue_.empty() && !idle_.empty() &&
                      idle_.back()->Expected(job) < kInlineLimit && WhyNot(job, now).ok();
    room = queue_.RoomFor(job);
    if (!here && !room.ok()) {
      refused = queue_.Sweep(now);
      room = queue_.RoomFor(job);
    }
    if (order_ != nullptr && (here || room.ok())) {
      job.done = [order = order_, ticket = order_->NextTicket(), done = std::move(job.done)](JobResult result) mutable {
        order->Answer(ticket, [done = std::move(done), result = std::move(result)]() mutable {
          std::move(done)(std::move(result));
        });
      };
    }
    if (here) {
      session = std::move(idle_.back());
      idle_.pop_back();
      mine.push_back(std::move(job));
    } else if (room.ok()) {
      queue_.Push(std::move(job));
    } else {
      refused.push_back({std::move(job), std::move(room)});
    }
    if (session == nullptr) ShowDepthLocked();
  }
  // A queued job may already be answered and this pool gone: only locals from here on, unless the job is still ours.
  Refuse(std::move(refused), now);
  if (session != nullptr) RunJobs(std::move(session), std::move(mine), /*counter=*/nullptr);
}

void WorkerPool::ShowDepthLocked() const {
  if (metrics_ != nullptr) metrics_->SetQueueDepth(static_cast<int64_t>(queue_.size()));
}

std::unique_ptr<BatchSession> WorkerPool::NewSession() const {
  return std::make_unique<BatchSession>(variant_, &plan_, metrics_, options_.clock);
}

std::unique_ptr<BatchSession> WorkerPool::TakeSessionLocked() {
  if (!idle_.empty()) {
    std::unique_ptr<BatchSession> session = std::move(idle_.back());
    idle_.pop_back();
    return session;
  }
  ++sessions_made_;
  return NewSession();
}

std::vector<JobQueue::Refused> WorkerPool::SweepLocked(absl::Time now) {
  if (now < next_sweep_ && queue_.FirstMayRun(now)) return {};
  next_sweep_ = now + kSweepInterval;
  return queue_.Sweep(now);
}

bool WorkerPool::HasFullBatchLocked() const {
  const auto& preferred = options_.scheduling.preferred_batch_sizes;
  const int64_t least = preferred.empty() ? plan_.best_size() : std::min(preferred.front(), plan_.best_size());
  return queue_.items() >= least && queue_.LeadingItems(least) >= least;
}

int64_t WorkerPool::ItemsToTakeLocked() const {
  if (!joins()) return 1;
  const auto& preferred = options_.scheduling.preferred_batch_sizes;
  const int64_t most = preferred.empty() ? plan_.best_size() : std::max(preferred.back(), plan_.best_size());
  const int64_t items = queue_.LeadingItems(most);
  if (items >= plan_.best_size()) return plan_.best_size();
  const auto above = std::upper_bound(preferred.begin(), preferred.end(), items);
  if (above != preferred.begin()) return *std::prev(above);
  const auto free = static_cast<int64_t>(idle_.size()) + options_.workers - sessions_made_;
  return (items + free - 1) / free;
}

absl::Duration WorkerPool::WaitForMoreLocked(absl::Time now) const {
  const absl::Duration delay = options_.scheduling.max_queue_delay;
  if (!joins() || delay == absl::ZeroDuration() || stopping_ || HasFullBatchLocked()) return absl::ZeroDuration();
  return std::max(absl::ZeroDuration(), queue_.oldest() + delay - now);
}

void WorkerPool::WorkerLoop() {
  const CacheMissCounter counter;
  while (true) {
    std::vector<Job> jobs;
    std::vector<Refused> refused;
    std::unique_ptr<BatchSession> session;
    absl::Time now;
    {
      absl::MutexLock lock(&mutex_, absl::Condition(this, &WorkerPool::HasWork));
      if (queue_.empty()) return;
      now = options_.clock();
      refused = SweepLocked(now);
      const absl::Duration wait = queue_.empty() ? absl::ZeroDuration() : WaitForMoreLocked(now);
      if (refused.empty() && wait > absl::ZeroDuration()) {
        mutex_.AwaitWithTimeout(absl::Condition(this, &WorkerPool::NeedNotWait), wait);
        continue;
      }
      if (!queue_.empty() && wait == absl::ZeroDuration()) {
        jobs = queue_.Take(ItemsToTakeLocked());
        session = TakeSessionLocked();
      }
      ShowDepthLocked();
    }
    Refuse(std::move(refused), now);
    if (session != nullptr) RunJobs(std::move(session), std::move(jobs), &counter);
  }
}

void WorkerPool::Refuse(std::vector<Refused> refused, absl::Time now) {
  for (Refused& r : refused) {
    JobResult result;
    result.status = std::move(r.why);
    result.submitted = r.job.submitted;
    result.started = result.finished = now;
    std::move(r.job.done)(std::move(result));
  }
}

void WorkerPool::RunJobs(std::unique_ptr<BatchSession> session, std::vector<Job> jobs,
                         const CacheMissCounter* counter) {
  std::vector<std::vector<Tensor>> outputs(jobs.size());
  RunSizes runs;
  const auto measured = [&] { return counter != nullptr ? counter->Bytes() : std::nullopt; };
  const auto bytes_before = measured();
  const absl::Time started = options_.clock();
  const absl::Status status = session->Run(jobs, outputs, &runs);
  const absl::Time finished = status.ok() ? options_.clock() : started;
  if (const auto bytes = measured(); bytes && bytes_before && metrics_ != nullptr) {
    metrics_->CountMeasuredBytes(*bytes - *bytes_before);
  }
  {
    absl::MutexLock lock(&mutex_);
    idle_.push_back(std::move(session));
  }
  for (size_t i = 0; i < jobs.size(); ++i) {
    JobResult result;
    result.status = status;
    result.outputs = std::move(outputs[i]);
    result.submitted = jobs[i].submitted;
    result.started = started;
    result.finished = finished;
    result.runs = std::exchange(runs, {});
    std::move(jobs[i].done)(std::move(result));
  }
}

}  // namespace precis::server
