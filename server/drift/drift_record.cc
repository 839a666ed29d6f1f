#include "server/drift/drift_record.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace precis::server {
namespace {

constexpr int64_t kDefaultMinSamples = 30;  // where the normal intervals of stats/ begin to hold
// An interval that holds none of the numbers counts as this share, so that the index stays finite.
constexpr double kLeastShare = 1e-4;

// The end of the estimate that lies nearer to the good side.
double Best(const stats::Estimate& estimate, bool surely) {
  return surely && estimate.interval.has_value() ? estimate.interval->high : estimate.value;
}

}  // namespace

std::optional<double> StabilityIndex(const LayerInput& layer, const LayerInputCounts& counts) {
  if (layer.expected.empty() || counts.shares.size() != layer.expected.size()) return std::nullopt;
  double total = 0;
  for (const double share : counts.shares) total += share;
  if (total <= 0) return std::nullopt;
  double index = 0;
  for (size_t i = 0; i < layer.expected.size(); ++i) {
    const double p = std::max(counts.shares[i] / total, kLeastShare), q = std::max(layer.expected[i], kLeastShare);
    index += (p - q) * std::log(p / q);
  }
  return index;
}

int64_t MinSamples(const v1::DriftAlert& alert) {
  return alert.min_samples() > 0 ? alert.min_samples() : kDefaultMinSamples;
}

std::string WhyAlarming(const v1::DriftAlert& alert, const DriftSums& sums, const std::vector<LayerInput>& layers,
                        bool surely) {
  if (alert.has_min_sqnr_db() && Best(sums.all.SqnrDb(), surely) < alert.min_sqnr_db()) {
    return absl::StrFormat("SQNR %.2f dB, want %g", sums.all.SqnrDb().value, alert.min_sqnr_db());
  }
  if (alert.has_min_top1_agreement() && Best(sums.all.Agreement(), surely) < alert.min_top1_agreement()) {
    return absl::StrFormat("top-1 agreement %.4f, want %g", sums.all.Agreement().value, alert.min_top1_agreement());
  }
  if (sums.layer_samples * kProbeEvery < MinSamples(alert)) return "";
  for (size_t i = 0; i < sums.layers.size() && i < layers.size(); ++i) {
    if (alert.has_max_clipped_ratio() && sums.ClippedRatio(i) > alert.max_clipped_ratio()) {
      return absl::StrFormat("layer %s clips %.4f of its input, want at most %g", layers[i].layer, sums.ClippedRatio(i),
                             alert.max_clipped_ratio());
    }
    const std::optional<double> index = StabilityIndex(layers[i], sums.layers[i]);
    if (alert.has_max_psi() && index.has_value() && *index > alert.max_psi()) {
      return absl::StrFormat("layer %s: stability index %.3f of its input, want at most %g", layers[i].layer, *index,
                             alert.max_psi());
    }
  }
  return "";
}

DriftRecord::DriftRecord(Names names, std::shared_ptr<const Variant> variant, v1::DriftAlert alert,
                         VariantMetrics* metrics)
    : names_(std::move(names)), alert_(std::move(alert)), metrics_(metrics), variant_(std::move(variant)) {}

std::shared_ptr<const Variant> DriftRecord::variant() const {
  absl::MutexLock lock(&mutex_);
  return variant_;
}

void DriftRecord::Close() {
  closed_.store(true);
  absl::MutexLock lock(&mutex_);
  variant_.reset();
  SetAlarmLocked("");
}

void DriftRecord::SetLayers(std::vector<LayerInput> layers) {
  absl::MutexLock lock(&mutex_);
  layers_ = std::move(layers);
}

DriftRecord::Change DriftRecord::Add(const DriftSums& sums, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  if (variant_ == nullptr) return Change::kNone;
  windows_.Add(sums, now);
  if (metrics_ != nullptr) {
    metrics_->CountDriftSamples(sums.all.samples());
    ShowLocked(now);
  }
  return JudgeLocked(now);
}

void DriftRecord::CountDropped() {
  dropped_.fetch_add(1);
  if (metrics_ != nullptr) metrics_->CountDriftDropped();
}

void DriftRecord::ShowLocked(absl::Time now) {
  const DriftSums sums = windows_.Last(SlidingWindows<DriftSums>::kTenMinutes, now);
  if (sums.all.samples() > 0) {
    metrics_->SetDrift({.sqnr_db = sums.all.SqnrDb().value,
                        .cosine_similarity = sums.all.Cosine().value,
                        .top1_agreement = sums.all.Agreement().value,
                        .max_abs_error = sums.all.MaxAbsError()});
  }
  for (size_t i = 0; i < sums.layers.size() && i < layers_.size(); ++i) {
    metrics_->SetLayerInput(layers_[i].layer, sums.ClippedRatio(i), StabilityIndex(layers_[i], sums.layers[i]));
  }
}

DriftRecord::Change DriftRecord::JudgeLocked(absl::Time now) {
  DriftSums recent = windows_.Last(SlidingWindows<DriftSums>::kMinute, now);
  const bool minute = recent.all.samples() >= MinSamples(alert_);
  if (!minute) recent = windows_.Last(SlidingWindows<DriftSums>::kTenMinutes, now);
  if (recent.all.samples() < MinSamples(alert_)) return Change::kNone;
  if (alarm_reason_.empty()) {
    SetAlarmLocked(WhyAlarming(alert_, recent, layers_, /*surely=*/true));
    return alarm_reason_.empty() ? Change::kNone : Change::kRaised;
  }
  if (!minute || !WhyAlarming(alert_, recent, layers_, /*surely=*/false).empty()) return Change::kNone;
  SetAlarmLocked("");
  return Change::kCleared;
}

void DriftRecord::SetAlarmLocked(std::string reason) {
  if (metrics_ != nullptr && reason.empty() != alarm_reason_.empty()) metrics_->SetDriftAlarm(!reason.empty());
  alarm_.store(!reason.empty());
  alarm_reason_ = std::move(reason);
}

DriftRecord::Report DriftRecord::Snapshot(absl::Time now) const {
  absl::MutexLock lock(&mutex_);
  Report report;
  for (const absl::Duration length : {SlidingWindows<DriftSums>::kMinute, SlidingWindows<DriftSums>::kTenMinutes}) {
    report.windows.push_back({length, windows_.Last(length, now)});
  }
  report.windows.push_back({absl::InfiniteDuration(), windows_.total()});
  report.layers = layers_;
  report.dropped = dropped_.load();
  report.alarm = !alarm_reason_.empty();
  report.alarm_reason = alarm_reason_;
  return report;
}

}  // namespace precis::server
