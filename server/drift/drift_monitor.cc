// The thread has idle priority (sched(7), SCHED_IDLE): the kernel runs it when nothing else wants the processor, and takes it away at
// once. That alone would not do: a run on the second of two cores still takes cache and memory bandwidth from a request on the first.
// So it also asks, before each layer, whether any request is being served, and sleeps until none is.
//
// A thread of idle priority that is taken off the processor while it holds a lock can hold up whoever wants the lock for long. Nothing
// that requests need is locked here but the queue, and Offer does not wait for that. Where other programs keep every processor busy the
// thread gets milliseconds in a minute; so Stop and Forget, which wait for it, lift its priority meanwhile.

#include "server/drift/drift_monitor.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/log/log.h"
#include "engine/base/status_macros.h"

namespace precis::server {
namespace {

// Between two looks at whether the server is idle: short beside a run, long beside what waking a thread costs.
constexpr absl::Duration kPause = absl::Microseconds(500);
constexpr int kLowestNice = 19;

void TakeIdlePriority() {
  const sched_param none = {};
  // Where the policy is not allowed (some containers), the nicest of the ordinary ones.
  if (sched_setscheduler(0, SCHED_IDLE, &none) != 0) setpriority(PRIO_PROCESS, 0, kLowestNice);
}

}  // namespace

size_t DriftSample::size_bytes() const {
  size_t sum = 0;
  for (const TensorView& input : inputs) sum += input.size_bytes();
  for (const Tensor& answer : answers) sum += answer.size_bytes();
  return sum;
}

DriftMonitor::DriftMonitor(Options options) : options_(std::move(options)), thread_([this] { Loop(); }) {}

DriftMonitor::~DriftMonitor() { Stop(); }

void DriftMonitor::Stop() {
  stop_run_.store(true);
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    queue_.clear();
    HurryLocked();
  }
  if (thread_.joinable()) thread_.join();
  absl::MutexLock lock(&mutex_);
  equipment_.clear();
}

void DriftMonitor::Offer(DriftSample sample) {
  const size_t bytes = sample.size_bytes();
  if (mutex_.TryLock()) {
    const bool room =
        !stopping_ && queue_.size() < options_.queue_samples && queued_bytes_ + bytes <= options_.queue_bytes;
    if (room) {
      queue_.push_back({std::move(sample), options_.clock()});
      queued_bytes_ += bytes;
    }
    mutex_.Unlock();
    if (room) return;
  }
  for (const ShadowRun& run : sample.runs) run.subject->CountDropped();
}

void DriftMonitor::Forget(const std::shared_ptr<DriftRecord>& record) {
  record->Close();
  std::unique_ptr<Equipment> gone;
  absl::MutexLock lock(&mutex_);
  const auto unused = [this, &record]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return std::find(in_use_.begin(), in_use_.end(), record.get()) == in_use_.end();
  };
  if (!unused()) HurryLocked();
  mutex_.Await(absl::Condition(&unused));
  if (const auto it = equipment_.find(record.get()); it != equipment_.end()) {
    gone = std::move(it->second);
    equipment_.erase(it);
  }
}

void DriftMonitor::AwaitDone() { absl::MutexLock lock(&mutex_, absl::Condition(this, &DriftMonitor::Done)); }

void DriftMonitor::HurryLocked() {
  const sched_param none = {};
  // Where the process may not (sched(7): RLIMIT_NICE, CAP_SYS_NICE), waiting takes as long as it takes.
  hurried_ = thread_id_ != 0 && sched_setscheduler(thread_id_, SCHED_OTHER, &none) == 0;
}

void DriftMonitor::Loop() {
  {
    absl::MutexLock lock(&mutex_);
    thread_id_ = gettid();
    if (!stopping_) TakeIdlePriority();
  }
  while (true) {
    Waiting waiting;
    {
      absl::MutexLock lock(&mutex_, absl::Condition(this, &DriftMonitor::HasNews));
      if (stopping_) return;
      waiting = std::move(queue_.front());
      queue_.pop_front();
      queued_bytes_ -= waiting.sample.size_bytes();
      running_ = true;
      for (const ShadowRun& run : waiting.sample.runs) {
        in_use_.push_back(run.subject.get());
        in_use_.push_back(run.reference.get());
      }
    }
    Process(waiting);
    absl::MutexLock lock(&mutex_);
    running_ = false;
    in_use_.clear();
    if (std::exchange(hurried_, false) && !stopping_) TakeIdlePriority();
  }
}

void DriftMonitor::Process(const Waiting& waiting) {
  for (const ShadowRun& run : waiting.sample.runs) {
    const absl::Status status = Compare(run, waiting);
    if (status.ok()) continue;
    run.subject->CountDropped();
    if (!absl::IsCancelled(status)) {
      const DriftRecord::Names& names = run.subject->names();
      LOG_EVERY_N_SEC(WARNING, 60) << "drift of " << names.model << "@" << names.variant << ": " << status;
    }
  }
}

bool DriftMonitor::MayGoOn(const ShadowRun& run, absl::Time offered) const {
  while (true) {
    if (stop_run_.load(std::memory_order_relaxed) || run.subject->closed() || run.reference->closed()) return false;
    if (options_.idle()) return true;
    if (options_.clock() - offered > kLongestWait) return false;
    absl::SleepFor(kPause);
  }
}

absl::Status DriftMonitor::Compare(const ShadowRun& run, const Waiting& waiting) {
  const DriftSample& sample = waiting.sample;
  const std::shared_ptr<DriftRecord>& other = run.answered_by_subject ? run.reference : run.subject;
  const std::shared_ptr<const Variant> variant = other->variant();
  if (variant == nullptr || !MayGoOn(run, waiting.offered)) return absl::CancelledError();
  std::unique_ptr<Equipment> equipment = Take(other.get());
  std::vector<Tensor> outputs;
  const absl::Status ran = RunAgain(run, waiting, *variant, *equipment, &outputs);
  GiveBack(other, std::move(equipment));
  PRECIS_RETURN_IF_ERROR(ran);
  const std::vector<Tensor>& answers = run.answered_by_subject ? sample.answers : outputs;
  const std::vector<Tensor>& references = run.answered_by_subject ? outputs : sample.answers;
  PRECIS_ASSIGN_OR_RETURN(DriftSums sums, CompareAnswers(answers, references, sample.batch_size));

  equipment = Take(run.subject.get());
  const absl::Status probed =
      equipment->samples++ % kProbeEvery == 0 ? Probe(run, waiting, *equipment, &sums) : absl::OkStatus();
  GiveBack(run.subject, std::move(equipment));
  const DriftRecord::Change change = run.subject->Add(sums, options_.clock());
  if (change != DriftRecord::Change::kNone && options_.on_change) options_.on_change(run.subject, change);
  if (!probed.ok() && !absl::IsCancelled(probed)) {
    LOG_EVERY_N_SEC(WARNING, 60) << "layer inputs of " << run.subject->names().model << "@"
                                 << run.subject->names().variant << ": " << probed;
  }
  return absl::OkStatus();
}

absl::Status DriftMonitor::RunAgain(const ShadowRun& run, const Waiting& waiting, const Variant& variant,
                                    Equipment& equipment, std::vector<Tensor>* outputs) {
  if (equipment.session == nullptr) {
    PRECIS_ASSIGN_OR_RETURN(equipment.session, variant.NewBackgroundSession());
  }
  return equipment.session->RunPaced(waiting.sample.inputs, outputs, [&] { return MayGoOn(run, waiting.offered); });
}

absl::Status DriftMonitor::Probe(const ShadowRun& run, const Waiting& waiting, Equipment& equipment, DriftSums* sums) {
  if (!MayGoOn(run, waiting.offered)) return absl::CancelledError();
  if (!equipment.probe_made) {
    equipment.probe_made = true;  // once: what cannot be made now cannot be made later
    const std::shared_ptr<const Variant> variant = run.subject->variant();
    if (variant == nullptr) return absl::CancelledError();
    PRECIS_ASSIGN_OR_RETURN(equipment.probe, variant->NewInputProbe());
    if (equipment.probe != nullptr) run.subject->SetLayers(equipment.probe->layers());
  }
  if (equipment.probe == nullptr) return absl::OkStatus();
  PRECIS_ASSIGN_OR_RETURN(sums->layers,
                          equipment.probe->Run(waiting.sample.inputs, [&] { return MayGoOn(run, waiting.offered); }));
  sums->layer_samples = 1;
  return absl::OkStatus();
}

std::unique_ptr<DriftMonitor::Equipment> DriftMonitor::Take(const DriftRecord* record) {
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<Equipment> equipment = std::move(equipment_[record]);
  return equipment != nullptr ? std::move(equipment) : std::make_unique<Equipment>();
}

void DriftMonitor::GiveBack(const std::shared_ptr<DriftRecord>& record, std::unique_ptr<Equipment> equipment) {
  if (record->closed()) return;
  absl::MutexLock lock(&mutex_);
  equipment_[record.get()] = std::move(equipment);
}

}  // namespace precis::server
