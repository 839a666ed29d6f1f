#include "server/rpc/drift_description.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "engine/base/status_macros.h"
#include "server/rpc/load_parameters.h"

namespace precis::server {
namespace {

void FillEstimate(const stats::Estimate& estimate, v1::GetDriftResponse::Estimate* proto) {
  proto->set_value(estimate.value);
  if (!estimate.interval.has_value()) return;
  proto->set_low(estimate.interval->low);
  proto->set_high(estimate.interval->high);
}

void FillMeasures(const stats::Fidelity& fidelity, v1::GetDriftResponse::Measures* proto) {
  FillEstimate(fidelity.SqnrDb(), proto->mutable_sqnr_db());
  FillEstimate(fidelity.Cosine(), proto->mutable_cosine());
  FillEstimate(fidelity.Agreement(), proto->mutable_top1_agreement());
  proto->set_max_abs_error(fidelity.MaxAbsError());
}

void FillWindow(const DriftRecord::Report& report, const DriftRecord::Report::Window& window,
                const Signature& signature, v1::GetDriftResponse::Window* proto) {
  const DriftSums& sums = window.sums;
  if (window.length < absl::InfiniteDuration()) proto->set_seconds(absl::ToDoubleSeconds(window.length));
  proto->set_samples(sums.all.samples());
  if (sums.all.samples() > 0) FillMeasures(sums.all, proto->mutable_measures());
  for (size_t i = 0; i < std::min(sums.outputs.size(), signature.outputs.size()); ++i) {
    auto& output = *proto->add_outputs();
    output.set_name(signature.outputs[i].name);
    FillMeasures(sums.outputs[i], output.mutable_measures());
  }
  proto->set_layer_samples(sums.layer_samples);
  for (size_t i = 0; i < std::min(sums.layers.size(), report.layers.size()); ++i) {
    auto& layer = *proto->add_layers();
    layer.set_name(report.layers[i].layer);
    layer.set_clipped_ratio(sums.ClippedRatio(i));
    if (const auto index = StabilityIndex(report.layers[i], sums.layers[i])) layer.set_psi(*index);
  }
}

}  // namespace

absl::Status DescribeDrift(const ModelStore& store, const v1::GetDriftRequest& request,
                           v1::GetDriftResponse* response) {
  PRECIS_ASSIGN_OR_RETURN(const ModelName name, NameOf(request.model(), request.variant()));
  const std::string full = name.variant.empty() ? name.model : JoinModelName(name.model, name.variant);
  PRECIS_ASSIGN_OR_RETURN(const VariantPin pin, store.Pin(full, request.version()));
  const DriftRecord& record = *pin->drift;
  if (record.names().variant == record.names().baseline) {
    return absl::InvalidArgumentError(absl::StrCat("\"", JoinModelName(pin->model, pin->name),
                                                   "\" is the baseline, against which drift is measured"));
  }
  const DriftRecord::Report report = record.Snapshot(absl::Now());
  response->set_variant(pin->name);
  response->set_baseline(record.names().baseline);
  for (const auto& window : report.windows) FillWindow(report, window, pin->signature, response->add_windows());
  const stats::Fidelity& all = report.windows.back().sums.all;
  response->set_samples(all.samples());
  if (all.samples() > 0) {
    FillEstimate(all.SqnrDb(), response->mutable_sqnr_db());
    FillEstimate(all.Cosine(), response->mutable_cosine());
    FillEstimate(all.Agreement(), response->mutable_top1_agreement());
    response->set_max_abs_error(all.MaxAbsError());
  }
  response->set_dropped_samples(report.dropped);
  response->set_alarm(report.alarm);
  response->set_alarm_reason(report.alarm_reason);
  return absl::OkStatus();
}

}  // namespace precis::server
