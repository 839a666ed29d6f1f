// Calibration in one pass over the samples: the values that int8 would need levels for, found by a trial assignment, are watched while the
// f32 network runs.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/quant/assign.h"
#include "engine/quant/calibration_table.h"
#include "engine/quant/equalize.h"
#include "engine/quant/thresholds.h"

namespace precis::quant {
namespace {

absl::Status CheckSample(const ir::Graph& graph, const std::vector<Tensor>& sample, int64_t index) {
  if (sample.size() != graph.inputs.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("calibration sample ", index, " has ", sample.size(), " tensors, want ", graph.inputs.size()));
  }
  for (size_t i = 0; i < sample.size(); ++i) {
    const ir::Value& input = graph.value(graph.inputs[i].value);
    const Tensor& t = sample[i];
    if (t.dtype() != input.dtype || t.shape() != input.shape) {
      return absl::InvalidArgumentError(absl::StrCat(
          "calibration sample ", index, ", input \"", input.name, "\": ", Name(t.dtype()), ShapeToString(t.shape()),
          ", want ", Name(input.dtype), ShapeToString(input.shape), " as in the first sample"));
    }
    if (t.dtype() != DataType::kF32) continue;
    const auto values = t.As<float>();
    if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); })) {
      return absl::InvalidArgumentError(
          absl::StrCat("calibration sample ", index, ", input \"", input.name, "\": holds NaN or infinity"));
    }
  }
  return absl::OkStatus();
}

// What to gather of which value.
absl::flat_hash_map<ir::ValueId, ValueStatistics::Wanted> Watched(const ir::Graph& graph, const Assignment& a,
                                                                  const Policy& policy) {
  absl::flat_hash_map<ir::ValueId, ValueStatistics::Wanted> watched;
  const auto want = [&](ir::ValueId v) -> ValueStatistics::Wanted& {
    ValueStatistics::Wanted& w = watched[v];
    w.channel_axis = ChannelAxis(graph, v);
    w.weighting = WeightingOf(policy.calibration.method);
    return w;
  };
  for (ir::ValueId v = 0; v < graph.num_values(); ++v) {
    if (a.forms[static_cast<size_t>(v)] == Form::kFloat) continue;
    const ir::ValueId source = SourceOf(graph, v);
    const ir::NodeId producer = graph.producer(source);
    // A concatenation's range is that of its inputs.
    if (producer == ir::kNoNode || !std::holds_alternative<ir::Concat>(graph.node(producer).op))
      want(source).histogram = true;
  }
  for (ir::NodeId id : a.order) {
    const Role role = a.roles[static_cast<size_t>(id)];
    if (!a.int8[static_cast<size_t>(id)]) continue;
    if (role == Role::kConvolution || role == Role::kProduct) want(graph.node(id).inputs[0]).channel_sums = true;
    if (const ir::ValueId v = EqualizableInput(graph, a, id, policy); v != ir::kNoValue) want(v).channel_max = true;
  }
  return watched;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const CalibrationTable>> Calibrate(const ir::Graph& graph, const Policy& policy,
                                                                  Runner& runner, const SampleSource& samples,
                                                                  const Progress& progress) {
  int64_t count = samples.size();
  if (policy.calibration.sample_limit > 0) count = std::min(count, policy.calibration.sample_limit);
  if (count <= 0) return absl::FailedPreconditionError("there are no calibration samples");
  // With VNNI, so that the table serves any target: lesser ones quantize fewer values.
  PRECIS_ASSIGN_OR_RETURN(const Assignment assignment,
                          Assign(graph, Target{}, [](ir::ValueId) { return std::nullopt; }));
  const auto wanted = Watched(graph, assignment, policy);
  std::vector<ir::ValueId> watched;
  for (const auto& [value, unused] : wanted) watched.push_back(value);
  std::sort(watched.begin(), watched.end());

  auto table = std::make_shared<CalibrationTable>();
  for (int64_t i = 0; i < count; ++i) {
    if (progress) progress("calibrate", static_cast<double>(i) / static_cast<double>(count));
    PRECIS_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, samples.Sample(i));
    PRECIS_RETURN_IF_ERROR(CheckSample(graph, sample, i));
    PRECIS_RETURN_IF_ERROR(runner.Run(sample, watched, [&](const Observation& o) {
      (*table)[graph.value(o.value).name].Add(o, wanted.at(o.value));
    }));
  }
  if (progress) progress("calibrate", 1.0);
  return table;
}

}  // namespace precis::quant
