// What changes the store: loads, unloads, the repository's changes. The mutex is held for bookkeeping only; the engine runs,
// and pins are waited for, without it.

#include <malloc.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "engine/base/status_macros.h"
#include "server/config/precision_policy.h"
#include "server/config/traffic.h"
#include "server/models/model_store.h"

namespace precis::server {
namespace {

constexpr char kFirstVariant[] = "fp32";

absl::Status Stopping() { return absl::UnavailableError("the server is stopping"); }

// That it could not be written is no reason to fail.
void Keep(const Calibration& calibration, const std::string& cache) {
  const absl::Status kept = Remember(calibration, cache);
  if (!kept.ok()) LOG(WARNING) << "calibration cache: " << kept.message();
}

}  // namespace

ModelStore::~ModelStore() {
  Stop();
  std::vector<std::shared_ptr<Instance>> loaded;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [name, entry] : models_) {
      for (auto& [version, slots] : entry.versions) {
        for (auto& [variant, slot] : slots) {
          if (slot.current != nullptr) loaded.push_back(std::move(slot.current));
        }
      }
    }
    models_.clear();
  }
  for (const auto& instance : loaded) {
    instance->served->AwaitUnpinned();
    instance->served.reset();
  }
}

void ModelStore::Stop() {
  live_.Close(Stopping());
  threads_.Stop();
  drift_->Stop();
  alarms_.Stop();
}

void ModelStore::Load(LoadRequest request, Progress progress, Done done) {
  CountUnderWay(request.name.model, 1);
  auto job = std::make_shared<LoadJob>();
  job->request = std::move(request);
  job->progress = std::move(progress);
  job->done = std::move(done);
  threads_.Run([this, job](bool run) {
    if (run) return StartLoad(job);
    job->first_error = Stopping();
    FinishLoad(job);
  });
}

void ModelStore::RunInBackground(LoadThreads::Task task) { threads_.Run(std::move(task)); }

void ModelStore::Unload(ModelName name, int64_t version, Done done) {
  threads_.Run([this, name = std::move(name), version, done = std::move(done)](bool run) mutable {
    const absl::Status status = run ? RunUnload(name, version) : Stopping();
    EndHopelessWaits(name.model);
    done(status);
  });
}

void ModelStore::StartLoad(const LoadJobPtr& job) {
  auto plans = PlanLoad(job->request);
  job->first_error = plans.status();
  if (!plans.ok()) return FinishLoad(job);
  job->plans = *std::move(plans);
  const auto waiting = std::stable_partition(job->plans.begin(), job->plans.end(), [](const LoadPlan& plan) {
    return plan.policy.calibration.source != quant::CalibrationSource::kLive;
  });
  if (job->request.recalibrate && waiting == job->plans.end()) {
    job->first_error =
        absl::InvalidArgumentError(absl::StrCat("recalibrate: the calibration.source of \"", job->request.name.model,
                                                "\" is not LIVE_TRAFFIC in any variant that this load names"));
    return FinishLoad(job);
  }
  ContinueLoad(job);
}

void ModelStore::ContinueLoad(const LoadJobPtr& job) {
  const LoadRequest& request = job->request;
  for (; job->next < job->plans.size(); ++job->next) {
    const LoadPlan& plan = job->plans[job->next];
    if (WaitsForTraffic(plan, request)) return AwaitTraffic(job);
    job->first_error.Update(LoadOne(plan, request.only_if_changed, job->progress));
  }
  if (job->first_error.ok() && request.version == 0) UnloadDroppedVersions(job->plans.front().source);
  FinishLoad(job);
}

void ModelStore::FinishLoad(const LoadJobPtr& job) {
  CountUnderWay(job->request.name.model, -1);
  job->done(job->first_error);
}

std::vector<std::string> ModelStore::VariantsToLoadLocked(const ModelSource& source, int64_t version) const {
  std::vector<std::pair<int64_t, std::string>> loaded;  // by load order, so that it stays
  if (const auto entry = models_.find(source.name); entry != models_.end()) {
    for (const auto& [number, slots] : entry->second.versions) {
      if (version != 0 && number != version) continue;
      for (const auto& [name, slot] : slots) {
        if (slot.current != nullptr) loaded.emplace_back(slot.current->order, name);
      }
    }
  }
  std::sort(loaded.begin(), loaded.end());
  std::vector<std::string> names;
  const auto add = [&names](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const auto& [order, name] : loaded) add(name);
  const std::string& configured = source.precision.default_variant();
  const v1::Traffic& traffic = source.precision.traffic();
  const std::string baseline = BaselineOf(source.precision);
  if (names.empty() && !configured.empty()) add(configured);
  if (names.empty() && traffic.split_size() == 0) add(kFirstVariant);
  for (const std::string& name : VariantsOf(traffic)) add(name);
  if (traffic.shadow_size() > 0) add(baseline);
  return names;
}

absl::StatusOr<std::vector<ModelStore::LoadPlan>> ModelStore::PlanLoad(const LoadRequest& request) {
  PRECIS_ASSIGN_OR_RETURN(ModelSource source, repository_.Find(request.name.model));
  for (const std::string& warning : source.warnings) LOG(WARNING) << "model " << source.name << ": " << warning;
  if (request.config.has_value() && source.status.ok()) {
    PRECIS_RETURN_IF_ERROR(CheckModelConfig(*request.config, source.name).status());
    source.config = *request.config;
    absl::StrAppend(&source.fingerprint, source.config.SerializeAsString());
  }
  absl::MutexLock lock(&mutex_);
  models_[source.name].source = source;
  RefreshRoutesLocked(models_[source.name]);
  if (!source.status.ok()) return source.status;
  if (request.version != 0 && !source.versions.contains(request.version)) {
    return absl::NotFoundError(absl::StrCat("model \"", source.name, "\" has no version ", request.version));
  }
  std::vector<std::string> variants = {request.name.variant};
  if (request.name.variant.empty()) variants = VariantsToLoadLocked(source, request.version);
  std::vector<LoadPlan> plans;
  for (const auto& [version, file] : source.versions) {
    if (request.version != 0 && version != request.version) continue;
    for (const std::string& variant : variants) {
      auto policy =
          request.policy.has_value()
              ? *request.policy
              : PolicyOfVariant(request.policy_name.empty() ? variant : request.policy_name, source.precision);
      if (!policy.ok()) {  // a variant once loaded under a policy of its own keeps it
        const Slot* slot = FindSlotLocked(source.name, version, variant);
        if (slot == nullptr || slot->current == nullptr) return policy.status();
        policy = slot->current->policy;
      }
      LoadPlan plan{source, version,          file, variant, *policy, request.warm_shapes, request.streamed,
                    false,  request.abandoned};
      plan.fresh = plan.streamed != nullptr;
      if (const auto& known = models_[source.name].streamed; !plan.fresh && known.contains({version, variant}))
        plan.streamed = known.at({version, variant});
      plans.push_back(std::move(plan));
    }
  }
  return plans;
}

bool ModelStore::UnchangedLocked(const LoadPlan& plan) const {
  const Slot* slot = FindSlotLocked(plan.source.name, plan.version, plan.variant);
  return plan.warm_shapes.empty() && slot != nullptr && slot->current != nullptr &&
         slot->current->fingerprint == plan.source.fingerprint && slot->current->policy == plan.policy;
}

std::shared_ptr<ModelStore::Instance> ModelStore::BeginLoadLocked(const LoadPlan& plan) {
  auto instance = std::make_shared<Instance>();
  instance->policy = plan.policy;
  instance->fingerprint = plan.source.fingerprint;
  Slot& slot = models_[plan.source.name].versions[plan.version][plan.variant];
  instance->order = slot.current != nullptr ? slot.current->order : ++loads_;
  slot.next = instance;
  return instance;
}

absl::Status ModelStore::LoadOne(const LoadPlan& plan, bool only_if_changed, const Progress& progress) {
  std::shared_ptr<Instance> instance;
  {
    absl::MutexLock lock(&mutex_);
    if (only_if_changed && UnchangedLocked(plan)) return absl::OkStatus();
    instance = BeginLoadLocked(plan);
  }
  return LoadInto(instance, plan, progress);
}

absl::Status ModelStore::LoadInto(const std::shared_ptr<Instance>& instance, const LoadPlan& plan,
                                  const Progress& progress) {
  const absl::Time start = absl::Now();
  auto served = MakeServed(plan, progress);
  if (served.ok() && plan.abandoned && plan.abandoned()) served = absl::CancelledError("the client has gone");
  const absl::Status status = served.status();
  const std::string name = JoinModelName(plan.source.name, plan.variant);
  if (status.ok()) {
    LOG(INFO) << "loaded " << name << " version " << plan.version << " in "
              << absl::ToInt64Milliseconds(absl::Now() - start) << " ms, " << (*served)->variant->info().weight_bytes
              << " bytes of weights";
    if (const int layers = (*served)->variant->info().emulated_layers; layers > 0) {
      LOG(WARNING) << name << ": layers with emulated accumulators: " << layers
                   << "; the answers are those of such hardware, the times are not";
    }
  } else {
    LOG(ERROR) << "cannot load " << name << " version " << plan.version << ": " << status;
  }
  Publish(plan, instance, std::move(served));
  if (status.ok() && plan.fresh) Keep(*plan.streamed, CacheOf(plan.source));
  return status;
}

void ModelStore::Publish(const LoadPlan& plan, const std::shared_ptr<Instance>& instance,
                         absl::StatusOr<std::unique_ptr<ServedVariant>> served) {
  std::shared_ptr<Instance> before;
  {
    absl::MutexLock lock(&mutex_);
    Slot& slot = models_[plan.source.name].versions[plan.version][plan.variant];
    instance->waits_for = nullptr;
    if (!served.ok()) {
      instance->state = VariantState::kFailed;
      instance->status = served.status();
    } else {
      instance->served = *std::move(served);
      instance->state = VariantState::kReady;
      before = std::exchange(slot.current, instance);
      if (before != nullptr) before->state = VariantState::kUnloading;
      if (slot.next == instance) slot.next = nullptr;
      RefreshRoutesLocked(models_[plan.source.name]);
      const VariantInfo& info = instance->served->variant->info();
      instance->served->metrics->ObserveLoad(info.load_ms);
      instance->served->metrics->SetMemory(info.weight_bytes, info.arena_bytes);
      if (plan.streamed != nullptr)
        models_[plan.source.name].streamed[{plan.version, plan.variant}] = WithoutSamples(plan.streamed);
    }
  }
  NotifyReadiness(plan.source.name, plan.variant);
  if (before != nullptr) Retire(before);
}

void ModelStore::Retire(const std::shared_ptr<Instance>& instance) {
  instance->served->AwaitUnpinned();
  drift_->Forget(instance->served->drift);
  std::unique_ptr<ServedVariant> served;
  {
    absl::MutexLock lock(&mutex_);
    served = std::move(instance->served);
    instance->state = VariantState::kUnloaded;
  }
  LOG(INFO) << "unloaded " << JoinModelName(served->model, served->name) << " version " << served->version;
  served.reset();
  malloc_trim(0);  // the weights' pages go back to the system
}

absl::Status ModelStore::RunUnload(const ModelName& name, int64_t version) {
  const auto named = [&](int64_t number, const std::string& variant) {
    return (version == 0 || number == version) && (name.variant.empty() || variant == name.variant);
  };
  const int ended =
      live_.EndIf([&](const LiveCollection& c) { return c.model() == name.model && named(c.version(), c.variant()); },
                  absl::CancelledError("it was unloaded while it waited for live traffic"));
  std::vector<std::shared_ptr<Instance>> retired;
  std::set<std::string> variants;
  {
    absl::MutexLock lock(&mutex_);
    const auto entry = models_.find(name.model);
    if (entry == models_.end()) return absl::NotFoundError(absl::StrCat("unknown model \"", name.model, "\""));
    for (auto& [number, slots] : entry->second.versions) {
      for (auto& [variant, slot] : slots) {
        if (!named(number, variant)) continue;
        if (ended > 0 && slot.next != nullptr && absl::IsCancelled(slot.next->status))
          slot.next->state = VariantState::kUnloaded;
        if (slot.current == nullptr) continue;
        slot.current->state = VariantState::kUnloading;
        slot.current->served->metrics->SetMemory(0, 0);
        retired.push_back(slot.current);
        slot.next = std::move(slot.current);  // keeps its place in lists
        slot.current = nullptr;
        variants.insert(variant);
      }
    }
    RefreshRoutesLocked(entry->second);
  }
  if (retired.empty() && ended == 0) {
    return absl::NotFoundError(absl::StrCat(
        "\"", name.variant.empty() ? name.model : JoinModelName(name.model, name.variant), "\" is not loaded"));
  }
  for (const std::string& variant : variants) NotifyReadiness(name.model, variant);
  for (const auto& instance : retired) Retire(instance);
  return absl::OkStatus();
}

void ModelStore::UnloadDroppedVersions(const ModelSource& source) {
  std::vector<int64_t> dropped;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [number, slots] : models_[source.name].versions) {
      if (!source.versions.contains(number)) dropped.push_back(number);
    }
  }
  for (int64_t version : dropped) {
    (void)RunUnload({source.name, ""}, version);  // NotFound: it was not loaded, which is as good
    absl::MutexLock lock(&mutex_);
    models_[source.name].versions.erase(version);
    RefreshRoutesLocked(models_[source.name]);
  }
}

bool ModelStore::InUse(const ModelEntry& entry) {
  for (const auto& [version, slots] : entry.versions) {
    for (const auto& [variant, slot] : slots) {
      if (slot.current != nullptr || (slot.next != nullptr && slot.next->state <= VariantState::kUnloading))
        return true;
    }
  }
  return false;
}

absl::Status ModelStore::RefreshIndex() {
  PRECIS_ASSIGN_OR_RETURN(auto sources, repository_.Scan());
  std::vector<std::string> added;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = models_.begin(); it != models_.end();) {
      it = sources.contains(it->first) || InUse(it->second) ? std::next(it) : models_.erase(it);
    }
    for (auto& [name, source] : sources) {
      ModelEntry& entry = models_[name];
      if (entry.source.name.empty()) added.push_back(name);
      // What is loaded keeps the description it was loaded under until it is loaded again.
      if (!InUse(entry)) entry.source = std::move(source);
    }
  }
  if (listener_) {
    for (const std::string& name : added) listener_(name, false);
  }
  return absl::OkStatus();
}

void ModelStore::Poll() {
  auto sources = repository_.Scan();
  if (!sources.ok()) {
    LOG(ERROR) << sources.status();
    return;
  }
  std::vector<std::string> gone, changed;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [name, entry] : models_) {
      if (!sources->contains(name)) gone.push_back(name);
    }
    for (const auto& [name, source] : *sources) {
      const auto entry = models_.find(name);
      const bool same = entry != models_.end() && entry->second.source.fingerprint == source.fingerprint;
      if (!same && source.status.ok()) changed.push_back(name);
    }
  }
  const auto log_error = [](const absl::Status& status) {
    if (!status.ok() && !absl::IsNotFound(status)) LOG(ERROR) << "poll: " << status;
  };
  for (const std::string& name : gone) Unload({name, ""}, 0, log_error);
  for (const std::string& name : changed) {
    LOG(INFO) << "model " << name << ": its files are new or have changed";
    LoadRequest request;
    request.name.model = name;
    Load(std::move(request), nullptr, log_error);
  }
  if (const absl::Status status = RefreshIndex(); !status.ok()) LOG(ERROR) << status;
}

}  // namespace precis::server
