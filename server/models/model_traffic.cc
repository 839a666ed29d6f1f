// Which variant answers which request, which requests are run again elsewhere, and what an alarm of drift changes of both.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/log/log.h"
#include "absl/time/clock.h"
#include "engine/base/status_macros.h"
#include "server/config/traffic.h"
#include "server/models/model_store.h"

namespace precis::server {

void ModelStore::NotifyReadiness(const std::string& model, const std::string& variant) {
  if (!listener_) return;
  bool model_ready = false, variant_ready = false;
  {
    absl::MutexLock lock(&mutex_);
    model_ready = FindReadyLocked({model, ""}, 0).ok();
    const auto served = FindReadyLocked({model, variant}, 0);
    variant_ready = served.ok() && !(*served)->drift->alarm();
  }
  listener_(model, model_ready);
  listener_(JoinModelName(model, variant), variant_ready);
}

void ModelStore::RefreshRoutesLocked(ModelEntry& entry) {
  std::map<int64_t, TrafficRoute> routes;
  for (const auto& [version, slots] : entry.versions) {
    std::vector<TrafficRoute::Candidate> loaded;
    for (const auto& [variant, slot] : slots) {
      if (slot.current != nullptr) loaded.push_back({variant, slot.current->served.get()});
    }
    TrafficRoute route(entry.effective_traffic(), loaded, DefaultVariant(entry, slots));
    const std::vector<std::string>& before = entry.routes[version].missing();
    for (const std::string& variant : route.missing()) {
      if (loaded.empty() || std::find(before.begin(), before.end(), variant) != before.end()) continue;
      LOG(WARNING) << "traffic of " << entry.source.name << " version " << version << ": variant " << variant
                   << " is not loaded, its share goes to the others";
    }
    routes[version] = std::move(route);
    RefreshShadowsLocked(entry, slots);
  }
  entry.routes = std::move(routes);
}

void ModelStore::RefreshShadowsLocked(const ModelEntry& entry, const std::map<std::string, Slot>& slots) {
  const auto find = [&slots](const std::string& variant) -> ServedVariant* {
    const auto slot = slots.find(variant);
    return slot == slots.end() || slot->second.current == nullptr ? nullptr : slot->second.current->served.get();
  };
  for (const auto& [variant, slot] : slots) {
    if (slot.current != nullptr) slot.current->served->shadows.clear();
  }
  ServedVariant* const baseline = find(BaselineOf(entry.source.precision));
  if (baseline == nullptr) return;
  const auto pair_up = [baseline](ServedVariant* subject, ServedVariant* answering, double rate) {
    for (ServedVariant::Shadow& shadow : answering->shadows) {
      if (shadow.run.subject != subject->drift) continue;
      shadow.rate = std::max(shadow.rate, rate);
      return;
    }
    answering->shadows.push_back({{subject->drift, baseline->drift, answering == subject}, rate});
  };
  for (const auto& wanted : entry.effective_traffic().shadow()) {
    ServedVariant* const named = find(wanted.variant());
    if (named == nullptr || wanted.rate() <= 0) continue;
    for (const auto& [variant, slot] : slots) {
      if (slot.current == nullptr || variant == baseline->name) continue;
      ServedVariant* const subject = slot.current->served.get();
      if (named == baseline || named == subject) pair_up(subject, subject, wanted.rate());
      if (named == subject) pair_up(subject, baseline, wanted.rate());
    }
  }
}

void ModelStore::OnDriftChange(const std::shared_ptr<DriftRecord>& record, DriftRecord::Change change) {
  const DriftRecord::Names& names = record->names();
  const std::string name = JoinModelName(names.model, names.variant);
  if (change == DriftRecord::Change::kRaised) {
    LOG(WARNING) << "drift alarm: " << name << " version " << names.version << ": "
                 << record->Snapshot(absl::Now()).alarm_reason;
    if (record->alert().move_traffic()) MoveTrafficToBaseline(*record);
  } else {
    LOG(INFO) << "drift alarm over: " << name << " version " << names.version << " is within its limits again";
  }
  NotifyReadiness(names.model, names.variant);
}

void ModelStore::MoveTrafficToBaseline(const DriftRecord& record) {
  const DriftRecord::Names& names = record.names();
  absl::MutexLock lock(&mutex_);
  const auto entry = models_.find(names.model);
  if (entry == models_.end()) return;
  const Slot* slot = FindSlotLocked(names.model, names.version, names.variant);
  if (slot == nullptr || slot->current == nullptr || slot->current->served->drift.get() != &record) return;
  v1::Traffic traffic = entry->second.effective_traffic();
  if (traffic.split_size() == 0 && slot->current->served.get() == entry->second.routes[names.version].primary()) {
    traffic.add_split()->set_variant(names.variant);
    traffic.mutable_split(0)->set_percent(100);
  }
  if (!MoveShare(names.variant, names.baseline, &traffic)) return;
  entry->second.traffic = traffic;
  RefreshRoutesLocked(entry->second);
  slot->current->served->metrics->CountTrafficMove();
  LOG(WARNING) << "traffic of " << names.model << " moved from " << names.variant << " to " << names.baseline << ": "
               << traffic.ShortDebugString();
}

absl::Status ModelStore::SetTraffic(const std::string& model, const v1::Traffic& traffic) {
  PRECIS_RETURN_IF_ERROR(CheckTraffic(traffic));
  absl::MutexLock lock(&mutex_);
  PRECIS_ASSIGN_OR_RETURN(const ServedVariant* now, FindReadyLocked({model, ""}, 0));
  for (const std::string& variant : VariantsOf(traffic)) {
    PRECIS_RETURN_IF_ERROR(FindReadyLocked({model, variant}, now->version).status());
  }
  if (traffic.shadow_size() > 0) {
    const std::string baseline = BaselineOf(models_.at(model).source.precision);
    PRECIS_RETURN_IF_ERROR(FindReadyLocked({model, baseline}, now->version).status());
  }
  ModelEntry& entry = models_.at(model);
  entry.traffic = traffic;
  RefreshRoutesLocked(entry);
  LOG(INFO) << "traffic of " << model << ": " << traffic.ShortDebugString();
  return absl::OkStatus();
}

}  // namespace precis::server
