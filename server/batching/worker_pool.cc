// One mutex guards the queue and the idle sessions; runs happen outside it. A session is needed to run, a thread is not
// tied to one: so a job can run on a worker or on the submitting thread with the same few lines.

#include "server/batching/worker_pool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace precis::server {
namespace {

// Weight of the newest run in a slot's smoothed time.
constexpr double kSmoothing = 0.2;

bool SameShapes(const std::vector<Shape>& shapes, const std::vector<TensorView>& inputs) {
  return std::equal(shapes.begin(), shapes.end(), inputs.begin(), inputs.end(),
                    [](const Shape& shape, const TensorView& input) { return shape == input.shape; });
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerPool>> WorkerPool::Create(std::shared_ptr<const Variant> variant,
                                                               WorkerPoolOptions options, VariantMetrics* metrics) {
  std::unique_ptr<WorkerPool> pool(new WorkerPool(std::move(variant), std::move(options), metrics));
  auto session = pool->variant_->NewSession();
  if (!session.ok()) return session.status();
  auto slot = std::make_unique<Slot>();
  slot->session = *std::move(session);
  {
    absl::MutexLock lock(&pool->mutex_);
    pool->idle_.push_back(std::move(slot));
    pool->slots_made_ = 1;
  }
  for (int i = 0; i < pool->options_.workers; ++i) pool->threads_.emplace_back([p = pool.get()] { p->WorkerLoop(); });
  return pool;
}

WorkerPool::WorkerPool(std::shared_ptr<const Variant> variant, WorkerPoolOptions options, VariantMetrics* metrics)
    : variant_(std::move(variant)), options_(std::move(options)), metrics_(metrics) {}

WorkerPool::~WorkerPool() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::Submit(Job job) {
  const absl::Time now = job.submitted = options_.clock();
  std::unique_ptr<Slot> slot;  // to run the job here
  bool queued = false;
  std::vector<Job> dead;
  {
    absl::MutexLock lock(&mutex_);
    if (queue_.empty() && !idle_.empty() && SuitsInline(*idle_.back(), job)) {
      slot = std::move(idle_.back());
      idle_.pop_back();
    } else {
      const size_t limit = static_cast<size_t>(options_.queue_size);
      if (queue_.size() >= limit) dead = TakeDeadLocked(now);
      if (queue_.size() < limit) {
        queue_.push_back(std::move(job));
        queued = true;
        if (metrics_ != nullptr) metrics_->SetQueueDepth(static_cast<int64_t>(queue_.size()));
      }
    }
  }
  // A queued job may already be answered and this pool gone: only locals from here on, unless the job is still ours.
  for (Job& waiting : dead) {
    absl::Status why = WhyNot(waiting, now);
    Refuse(std::move(waiting), std::move(why), now);
  }
  if (queued) return;
  if (slot != nullptr) return RunJob(std::move(slot), std::move(job));
  Refuse(
      std::move(job),
      absl::ResourceExhaustedError(absl::StrCat("the queue is full: ", options_.queue_size, " requests are waiting")),
      now);
}

std::vector<Job> WorkerPool::TakeDeadLocked(absl::Time now) {
  std::vector<Job> dead;
  const auto first =
      std::stable_partition(queue_.begin(), queue_.end(), [now](const Job& job) { return WhyNot(job, now).ok(); });
  std::move(first, queue_.end(), std::back_inserter(dead));
  queue_.erase(first, queue_.end());
  return dead;
}

bool WorkerPool::SuitsInline(const Slot& slot, const Job& job) const {
  return options_.allow_inline && slot.smoothed < kInlineLimit && SameShapes(slot.shapes, job.inputs);
}

bool WorkerPool::HasWork() const {
  if (queue_.empty()) return stopping_;
  return !idle_.empty() || slots_made_ < options_.workers;
}

std::unique_ptr<WorkerPool::Slot> WorkerPool::TakeSlotLocked() {
  if (!idle_.empty()) {
    std::unique_ptr<Slot> slot = std::move(idle_.back());
    idle_.pop_back();
    return slot;
  }
  ++slots_made_;
  return std::make_unique<Slot>();
}

void WorkerPool::WorkerLoop() {
  while (true) {
    Job job;
    std::unique_ptr<Slot> slot;
    {
      absl::MutexLock lock(&mutex_, absl::Condition(this, &WorkerPool::HasWork));
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
      if (metrics_ != nullptr) metrics_->SetQueueDepth(static_cast<int64_t>(queue_.size()));
      slot = TakeSlotLocked();
    }
    RunJob(std::move(slot), std::move(job));
  }
}

absl::Status WorkerPool::WhyNot(const Job& job, absl::Time now) {
  if (job.cancelled && job.cancelled()) return absl::CancelledError("the client cancelled the request");
  if (now >= job.deadline) return absl::DeadlineExceededError("the deadline passed in the queue");
  return absl::OkStatus();
}

void WorkerPool::Refuse(Job job, absl::Status status, absl::Time now) {
  JobResult result;
  result.status = std::move(status);
  result.submitted = job.submitted;
  result.started = result.finished = now;
  std::move(job.done)(std::move(result));
}

void WorkerPool::RunJob(std::unique_ptr<Slot> slot, Job job) {
  JobResult result;
  result.submitted = job.submitted;
  result.started = result.finished = options_.clock();
  result.status = WhyNot(job, result.started);
  if (result.status.ok()) {
    result.status = RunSession(*slot, job, &result);
    result.finished = options_.clock();
    if (result.status.ok()) NoteRun(*slot, job, result.finished - result.started);
  }
  {
    absl::MutexLock lock(&mutex_);
    idle_.push_back(std::move(slot));
  }
  std::move(job.done)(std::move(result));
}

absl::Status WorkerPool::RunSession(Slot& slot, const Job& job, JobResult* result) {
  if (slot.session == nullptr) {
    auto session = variant_->NewSession();
    if (!session.ok()) return session.status();
    slot.session = *std::move(session);
  }
  return slot.session->Run(job.inputs, &result->outputs);
}

void WorkerPool::NoteRun(Slot& slot, const Job& job, absl::Duration took) const {
  if (!SameShapes(slot.shapes, job.inputs)) {
    UpdateShapes(slot, job);
    slot.smoothed = absl::InfiniteDuration();  // the first run may have compiled a plan: its time says nothing
  } else if (slot.smoothed == absl::InfiniteDuration()) {
    slot.smoothed = took;
  } else {
    slot.smoothed += kSmoothing * (took - slot.smoothed);
  }
  if (metrics_ != nullptr) metrics_->CountRun(job.batch_size, slot.weight_bytes, slot.activation_bytes, took);
}

void WorkerPool::UpdateShapes(Slot& slot, const Job& job) const {
  slot.shapes.clear();
  for (const TensorView& input : job.inputs) slot.shapes.push_back(input.shape);
  slot.weight_bytes = slot.activation_bytes = 0;
  const auto layers = variant_->DescribePlan(slot.shapes);
  if (!layers.ok()) return;
  for (const Layer& layer : *layers) {
    slot.weight_bytes += layer.weight_bytes;
    slot.activation_bytes += layer.activation_bytes;
  }
}

}  // namespace precis::server
