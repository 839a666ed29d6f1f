// Calibration by a client's samples. The run holds the model and its own plan; the store hears of it again when the variant is loaded.
// live_loading.cc has calibration by live traffic.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/config/precision_policy.h"
#include "server/models/model_store.h"

namespace precis::server {
namespace {

// Each holds a plan in f32 with its weights.
constexpr int kMostCalibrations = 2;

}  // namespace

absl::StatusOr<std::unique_ptr<StreamedCalibration>> ModelStore::StartCalibration(
    LoadRequest request, const std::optional<v1::CalibrationPolicy>& calibration) {
  auto streamed = std::make_unique<StreamedCalibration>();
  streamed->running = &calibrations_;
  if (calibrations_.fetch_add(1) >= kMostCalibrations) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kMostCalibrations, " calibrations are running already; try again when one has ended"));
  }
  PRECIS_ASSIGN_OR_RETURN(std::vector<LoadPlan> plans, PlanLoad(request));
  const auto highest = std::max_element(plans.begin(), plans.end(),
                                        [](const LoadPlan& a, const LoadPlan& b) { return a.version < b.version; });
  LoadPlan plan = std::move(*highest);  // of equals the first
  const std::string name = JoinModelName(plan.source.name, plan.variant);
  if (!quant::NeedsCalibration(plan.policy)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\" has no int8 layers and needs no calibration; name an int8 or mixed variant"));
  }
  if (calibration.has_value()) PRECIS_RETURN_IF_ERROR(ReplaceCalibration(*calibration, &plan.policy));
  const quant::CalibrationSource source = plan.policy.calibration.source;
  if (source == quant::CalibrationSource::kFiles || source == quant::CalibrationSource::kLive) {
    return absl::InvalidArgumentError(absl::StrCat(
        "policy field calibration.source: ", source == quant::CalibrationSource::kFiles ? "FILES" : "LIVE_TRAFFIC",
        " contradicts the samples sent for \"", name, "\""));
  }
  plan.policy.calibration.source = quant::CalibrationSource::kStream;
  PRECIS_ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model, Model::Open(plan.file));
  PRECIS_ASSIGN_OR_RETURN(streamed->signature, MakeSignature(plan.source.config, model->inputs(), model->outputs()));
  PRECIS_ASSIGN_OR_RETURN(const Parallelism parallel, ParallelismOf(plan.source));
  PRECIS_ASSIGN_OR_RETURN(streamed->run, model->StartCalibration(EngineOptions(plan, parallel)));
  streamed->load = std::move(request);
  streamed->load.name = {plan.source.name, plan.variant};
  streamed->load.version = plan.version;
  streamed->load.policy = plan.policy;
  streamed->load.only_if_changed = false;
  return streamed;
}

}  // namespace precis::server
