// Lookups and lists; model_loading.cc has what changes the store.

#include "server/models/model_store.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/config/precision_policy.h"

namespace precis::server {

namespace {

// Fraction of n * sqrt(2): spread as evenly as traffic_route.cc's sequence, and independent of it, so that which requests are
// sampled does not depend on where they were routed.
double WeylFraction(uint64_t n) { return std::ldexp(static_cast<double>(n * 0x6A09E667F3BCC909 >> 11), -53); }

}  // namespace

ModelStore::ModelStore(Repository repository, ModelStoreOptions options, ServerMetrics* metrics,
                       ReadinessListener listener)
    : repository_(std::move(repository)),
      options_(options),
      metrics_(metrics),
      listener_(std::move(listener)),
      threads_(options.load_threads) {
  DriftMonitor::Options drift;
  drift.idle = options_.idle;
  drift.on_change = [this](const std::shared_ptr<DriftRecord>& record, DriftRecord::Change change) {
    alarms_.Run([this, record, change](bool run) {
      if (run) OnDriftChange(record, change);
    });
  };
  drift_ = std::make_unique<DriftMonitor>(std::move(drift));
}

const ModelStore::Slot* ModelStore::FindSlotLocked(const std::string& model, int64_t version,
                                                   const std::string& variant) const {
  const auto entry = models_.find(model);
  if (entry == models_.end()) return nullptr;
  const auto slots = entry->second.versions.find(version);
  if (slots == entry->second.versions.end()) return nullptr;
  const auto slot = slots->second.find(variant);
  return slot == slots->second.end() ? nullptr : &slot->second;
}

ServedVariant* ModelStore::DefaultVariant(const ModelEntry& entry, const std::map<std::string, Slot>& slots) {
  const Instance* first = nullptr;
  for (const auto& [name, slot] : slots) {
    if (slot.current == nullptr) continue;
    if (name == entry.source.precision.default_variant()) return slot.current->served.get();
    if (first == nullptr || slot.current->order < first->order) first = slot.current.get();
  }
  return first == nullptr ? nullptr : first->served.get();
}

absl::StatusOr<ServedVariant*> ModelStore::FindReadyLocked(const ModelName& name, int64_t version,
                                                           Chooser choose) const {
  const auto entry = models_.find(name.model);
  if (entry == models_.end()) return WhyNotReadyLocked(name, version);
  const ModelEntry& model = entry->second;
  for (auto it = model.versions.rbegin(); it != model.versions.rend(); ++it) {
    if (version != 0 && it->first != version) continue;
    if (name.variant.empty()) {
      const auto route = model.routes.find(it->first);
      if (route == model.routes.end()) continue;
      if (ServedVariant* served = choose(route->second); served != nullptr) return served;
    } else if (const auto slot = it->second.find(name.variant);
               slot != it->second.end() && slot->second.current != nullptr) {
      return slot->second.current->served.get();
    }
  }
  return WhyNotReadyLocked(name, version);
}

absl::StatusOr<ServedVariant*> ModelStore::FindReadyLocked(const ModelName& name, int64_t version) const {
  return FindReadyLocked(name, version, [](const TrafficRoute& route) { return route.primary(); });
}

absl::Status ModelStore::WhyNotReadyLocked(const ModelName& name, int64_t version) const {
  const auto entry = models_.find(name.model);
  if (entry == models_.end()) return absl::NotFoundError(absl::StrCat("unknown model \"", name.model, "\""));
  const ModelEntry& model = entry->second;
  if (version != 0 && !model.versions.contains(version) && !model.source.versions.contains(version)) {
    return absl::NotFoundError(absl::StrCat("model \"", name.model, "\" has no version ", version));
  }
  const std::string wanted = name.variant.empty() ? name.model : JoinModelName(name.model, name.variant);
  absl::Status why = model.source.status.ok()
                         ? absl::NotFoundError(absl::StrCat("\"", wanted, "\" is not loaded"))
                         : absl::UnavailableError(absl::StrCat("\"", wanted, "\": ", model.source.status.message()));
  for (auto it = model.versions.rbegin(); it != model.versions.rend(); ++it) {
    if (version != 0 && it->first != version) continue;
    for (const auto& [other, slot] : it->second) {
      if (slot.next == nullptr || (!name.variant.empty() && other != name.variant)) continue;
      if (slot.next->state == VariantState::kLoading) {
        why = absl::UnavailableError(absl::StrCat("\"", wanted, "\" is loading"));
      } else if (slot.next->state == VariantState::kUnloading) {
        why = absl::UnavailableError(absl::StrCat("\"", wanted, "\" is being unloaded"));
      } else if (slot.next->state == VariantState::kFailed && !absl::IsUnavailable(why)) {
        why =
            absl::UnavailableError(absl::StrCat("\"", wanted, "\" could not be loaded: ", slot.next->status.message()));
      }
    }
  }
  return why;
}

absl::StatusOr<VariantPin> ModelStore::Pin(const std::string& name, const std::string& version) const {
  PRECIS_ASSIGN_OR_RETURN(const ModelName parsed, ParseModelName(name));
  PRECIS_ASSIGN_OR_RETURN(const int64_t number, ParseVersion(version));
  absl::ReaderMutexLock lock(&mutex_);
  PRECIS_ASSIGN_OR_RETURN(ServedVariant * served, FindReadyLocked(parsed, number));
  return VariantPin(served);
}

absl::StatusOr<VariantPin> ModelStore::Route(const std::string& name, const std::string& version, StickyValue sticky,
                                             std::vector<ShadowRun>* shadows) const {
  const auto choose = [&](const TrafficRoute& route) {
    if (!route.sticky_parameter().empty()) {
      if (const auto hash = sticky(route.sticky_parameter())) return route.ChooseSticky(*hash);
    }
    return route.Choose(routed_.fetch_add(1, std::memory_order_relaxed));
  };
  PRECIS_ASSIGN_OR_RETURN(const ModelName parsed, ParseModelName(name));
  PRECIS_ASSIGN_OR_RETURN(const int64_t number, ParseVersion(version));
  absl::ReaderMutexLock lock(&mutex_);
  PRECIS_ASSIGN_OR_RETURN(ServedVariant * served, FindReadyLocked(parsed, number, choose));
  if (!served->shadows.empty()) [[unlikely]] {
    const double point = WeylFraction(served->shadow_count.fetch_add(1, std::memory_order_relaxed));
    for (const ServedVariant::Shadow& shadow : served->shadows) {
      if (point < shadow.rate) shadows->push_back(shadow.run);
    }
  }
  return VariantPin(served);
}

VersionReport ModelStore::ReportLocked(const std::string& model, const ModelEntry& entry, int64_t version) const {
  VersionReport report;
  report.model = model;
  report.version = version;
  report.policies = VariantNames(entry.source.precision);
  report.precision = entry.source.precision;
  report.traffic = entry.effective_traffic();
  if (!entry.source.status.ok()) report.reason = std::string(entry.source.status.message());
  const auto slots = entry.versions.find(version);
  if (slots == entry.versions.end()) return report;
  if (const auto route = entry.routes.find(version);
      route != entry.routes.end() && route->second.primary() != nullptr) {
    report.default_variant = route->second.primary()->name;
  }
  for (const auto& [name, slot] : slots->second) {
    const Instance* shown = slot.current != nullptr ? slot.current.get() : slot.next.get();
    if (shown == nullptr) continue;
    VariantReport variant;
    variant.name = name;
    variant.state = shown->state;
    variant.policy = shown->policy;
    if (slot.next != nullptr && slot.next->waits_for != nullptr) {
      const LiveCollection& samples = *slot.next->waits_for;
      variant.reason = absl::StrCat("waits for live traffic: ", samples.taken(), " of ", samples.limit(), " samples");
    }
    if (slot.next != nullptr && slot.next->state == VariantState::kFailed) {
      variant.reason = std::string(slot.next->status.message());
      if (report.reason.empty()) report.reason = variant.reason;
    }
    if (shown->state == VariantState::kReady) {
      variant.info = shown->served->variant->info();
      variant.policy = variant.info.policy;  // with what a search found
      variant.workers = shown->served->pool->workers();
      variant.inferences = shown->served->statistics.Snapshot().inferences;
      variant.memory = shown->served->metrics->memory_traffic();
    }
    report.variants.push_back(std::move(variant));
  }
  if (report.ready()) report.reason.clear();
  return report;
}

absl::StatusOr<std::vector<VersionReport>> ModelStore::List(const std::string& model, int64_t version) const {
  absl::ReaderMutexLock lock(&mutex_);
  if (!model.empty() && !models_.contains(model)) {
    return absl::NotFoundError(absl::StrCat("unknown model \"", model, "\""));
  }
  std::vector<VersionReport> reports;
  for (const auto& [name, entry] : models_) {
    if (!model.empty() && name != model) continue;
    std::set<int64_t> versions;
    for (const auto& [number, file] : entry.source.versions) versions.insert(number);
    for (const auto& [number, slots] : entry.versions) versions.insert(number);
    if (versions.empty()) versions.insert(0);
    for (int64_t number : versions) {
      if (version == 0 || version == number) reports.push_back(ReportLocked(name, entry, number));
    }
  }
  if (version != 0 && reports.empty()) {
    return absl::NotFoundError(absl::StrCat("model \"", model, "\" has no version ", version));
  }
  return reports;
}

absl::StatusOr<StatisticsSnapshot> ModelStore::StatisticsOf(const std::string& name, int64_t version) const {
  PRECIS_ASSIGN_OR_RETURN(const ModelName parsed, ParseModelName(name));
  absl::ReaderMutexLock lock(&mutex_);
  PRECIS_ASSIGN_OR_RETURN(ServedVariant * served, FindReadyLocked(parsed, version));
  if (!parsed.variant.empty()) return served->statistics.Snapshot();
  StatisticsSnapshot sum;
  for (const auto& [variant, slot] : models_.at(parsed.model).versions.at(served->version)) {
    if (slot.current != nullptr) sum.Add(slot.current->served->statistics.Snapshot());
  }
  return sum;
}

}  // namespace precis::server
