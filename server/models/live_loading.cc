// Loads that calibrate on live traffic. Such a load leaves its load thread, waits as a collection of requests' inputs, and enters the queue
// of the load threads again when there are enough: others pass it meanwhile.
//
// What it waits for must be able to come. So a model's collections end when nothing of the model is loaded and no load of it is under way,
// which is looked at whenever either changes, the first time when a collection has begun.

#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "engine/base/status_macros.h"
#include "server/models/model_store.h"

namespace precis::server {
namespace {

// At this nice value the thread gets a tenth of a processor (sched(7): weight 110 beside 1024) where requests want all of it: they lose
// little, and the load ends all the same.
constexpr int kCalibrationNice = 10;

// The first dimension of every input is free.
bool FirstDimensionIsFree(const std::vector<TensorSpec>& inputs) {
  return std::all_of(inputs.begin(), inputs.end(),
                     [](const TensorSpec& input) { return !input.shape.empty() && input.shape[0] == kUnknownDim; });
}

absl::StatusOr<std::shared_ptr<const Calibration>> CalibrateOn(const std::vector<LiveCollection::Sample>& samples,
                                                               CalibrationRun& run) {
  for (const LiveCollection::Sample& sample : samples) {
    std::vector<TensorView> views;
    for (const Tensor& input : sample) views.push_back(input.view());
    PRECIS_RETURN_IF_ERROR(run.Add(views));
  }
  return run.Finish();
}

}  // namespace

bool ModelStore::WaitsForTraffic(const LoadPlan& plan, const LoadRequest& request) const {
  if (plan.policy.calibration.source != quant::CalibrationSource::kLive || !quant::NeedsCalibration(plan.policy)) {
    return false;
  }
  if (request.recalibrate) return true;
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (request.only_if_changed && UnchangedLocked(plan)) return false;
  }
  const auto parallel = ParallelismOf(plan.source);
  const auto model = Model::Open(plan.file);
  // What is wrong with either, the load says.
  return parallel.ok() && model.ok() && !(*model)->RecallsCalibration(EngineOptions(plan, *parallel));
}

void ModelStore::AwaitTraffic(const LoadJobPtr& job) {
  const LoadPlan& plan = job->plans[job->next];
  const std::string model = plan.source.name, name = JoinModelName(model, plan.variant);
  if (job->progress) job->progress("parse", 0);
  const auto collection = MakeCollection(job);
  absl::Status begun = collection.status();
  if (begun.ok()) {
    if (job->progress) job->progress("parse", 1);
    LOG(INFO) << name << " version " << plan.version << " waits for live traffic: " << (*collection)->limit()
              << " samples";
    {
      absl::MutexLock lock(&mutex_);
      job->instance = BeginLoadLocked(plan);
      job->instance->waits_for = *collection;
    }
    begun = live_.Begin(*collection);
    if (!begun.ok()) Publish(plan, job->instance, begun);
  }
  if (!begun.ok()) {
    LOG(ERROR) << "cannot load " << name << " version " << plan.version << ": " << begun;
    job->first_error.Update(begun);
    ++job->next;
    return ContinueLoad(job);
  }
  // From here on the job may go on, on another thread.
  CountUnderWay(model, -1);
  live_.EndAbandoned();  // the caller may have left before there was a collection to end
  (*collection)->Announce();
}

absl::StatusOr<std::shared_ptr<LiveCollection>> ModelStore::MakeCollection(const LoadJobPtr& job) {
  const LoadPlan& plan = job->plans[job->next];
  LiveCollection::Options options;
  options.model = plan.source.name;
  options.version = plan.version;
  options.variant = plan.variant;
  options.limit = plan.policy.calibration.sample_limit;
  PRECIS_ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model, Model::Open(plan.file));
  PRECIS_ASSIGN_OR_RETURN(options.signature, MakeSignature(plan.source.config, model->inputs(), model->outputs()));
  PRECIS_ASSIGN_OR_RETURN(const Parallelism parallel, ParallelismOf(plan.source));
  PRECIS_RETURN_IF_ERROR(model->StartCalibration(EngineOptions(plan, parallel)).status());  // what is wrong, at once
  options.items_are_samples = FirstDimensionIsFree(model->inputs());
  options.caller_gone = job->request.caller_gone;
  if (job->request.on_live_samples) {
    options.on_progress = [report = job->request.on_live_samples, limit = options.limit](int64_t taken) {
      report(taken, limit);
    };
  }
  options.done = [this, job](absl::StatusOr<std::vector<LiveCollection::Sample>> samples) {
    if (!samples.ok()) return EndWait(job, samples.status());
    threads_.Run([this, job, samples = *std::move(samples)](bool run) mutable {
      if (run) return LoadOnSamples(job, std::move(samples));
      EndWait(job, absl::UnavailableError("the server is stopping"));
    });
  };
  return std::make_shared<LiveCollection>(std::move(options));
}

void ModelStore::EndWait(const LoadJobPtr& job, const absl::Status& status) {
  const LoadPlan& plan = job->plans[job->next];
  LOG(WARNING) << JoinModelName(plan.source.name, plan.variant) << " version " << plan.version
               << " is not loaded: " << status;
  Publish(plan, job->instance, status);
  job->first_error.Update(status);
  job->done(job->first_error);
}

void ModelStore::LoadOnSamples(const LoadJobPtr& job, std::vector<LiveCollection::Sample> samples) {
  LoadPlan& plan = job->plans[job->next];
  CountUnderWay(plan.source.name, 1);
  absl::Status status;
  if (LoadedMeanwhile(*job)) {
    LOG(INFO) << JoinModelName(plan.source.name, plan.variant) << " has been loaded under this policy meanwhile";
  } else if (auto learned = Calibrate(plan, samples); learned.ok()) {
    samples.clear();  // not beside the new variant
    plan.streamed = *std::move(learned);
    plan.fresh = true;
    // These two phases it had before and during the wait.
    const Progress rest = [&](const std::string& phase, double fraction) {
      if (job->progress && phase != "parse" && phase != "calibrate") job->progress(phase, fraction);
    };
    status = LoadInto(job->instance, plan, rest);
  } else {
    status = learned.status();
    LOG(ERROR) << "cannot load " << JoinModelName(plan.source.name, plan.variant) << ": " << status;
    Publish(plan, job->instance, status);
  }
  job->first_error.Update(status);
  ++job->next;
  ContinueLoad(job);
}

bool ModelStore::LoadedMeanwhile(const LoadJob& job) {
  const LoadPlan& plan = job.plans[job.next];
  absl::MutexLock lock(&mutex_);
  job.instance->waits_for = nullptr;
  if (job.request.recalibrate || !job.request.only_if_changed || !UnchangedLocked(plan)) return false;
  Slot& slot = models_[plan.source.name].versions[plan.version][plan.variant];
  if (slot.next == job.instance) slot.next = nullptr;
  return true;
}

absl::StatusOr<std::shared_ptr<const Calibration>> ModelStore::Calibrate(
    const LoadPlan& plan, const std::vector<LiveCollection::Sample>& samples) const {
  PRECIS_ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model, Model::Open(plan.file));
  PRECIS_ASSIGN_OR_RETURN(const Parallelism parallel, ParallelismOf(plan.source));
  PRECIS_ASSIGN_OR_RETURN(const auto run, model->StartCalibration(EngineOptions(plan, parallel)));
  const absl::Time start = absl::Now();
  absl::StatusOr<std::shared_ptr<const Calibration>> learned;
  // A thread of its own: lifting a nice value again needs a privilege.
  std::thread thread([&] {
    setpriority(PRIO_PROCESS, 0, std::max(kCalibrationNice, getpriority(PRIO_PROCESS, 0)));  // of this thread
    learned = CalibrateOn(samples, *run);
  });
  thread.join();
  if (learned.ok()) {
    LOG(INFO) << "calibration of " << JoinModelName(plan.source.name, plan.variant) << ": " << run->samples()
              << " samples of live traffic, " << absl::ToInt64Milliseconds(absl::Now() - start) << " ms";
  }
  return learned;
}

void ModelStore::CountUnderWay(const std::string& model, int change) {
  {
    absl::MutexLock lock(&mutex_);
    if ((under_way_[model] += change) == 0) under_way_.erase(model);
  }
  if (change < 0) EndHopelessWaits(model);
}

void ModelStore::EndHopelessWaits(const std::string& model) {
  if (!live_.wanted()) return;
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (under_way_.contains(model) || FindReadyLocked({model, ""}, 0).ok()) return;
  }
  live_.EndIf([&](const LiveCollection& collection) { return collection.model() == model; },
              absl::FailedPreconditionError(
                  absl::StrCat("policy field calibration.source: LIVE_TRAFFIC, and no variant of \"", model,
                               "\" is loaded that could answer requests: load ", model, "@fp32 first")));
}

}  // namespace precis::server
