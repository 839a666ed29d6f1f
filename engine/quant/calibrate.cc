// Calibration in one pass over the samples: the values that int8 would need levels for, found by a trial assignment, are watched while the
// f32 network runs.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/quant/assign.h"
#include "engine/quant/calibration_table.h"
#include "engine/quant/equalize.h"
#include "engine/quant/smooth.h"
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
    // What was moved in f32 has levels of its own.
    if (SourceOf(graph, v) != v && !a.int8[static_cast<size_t>(graph.producer(v))]) want(v).histogram = true;
    for (ir::ValueId source : SourcesOf(graph, v)) want(source).histogram = true;
  }
  for (ir::NodeId id : a.order) {
    const Role role = a.roles[static_cast<size_t>(id)];
    if (!a.int8[static_cast<size_t>(id)]) continue;
    if (role == Role::kConvolution || role == Role::kProduct) want(graph.node(id).inputs[0]).channel_sums = true;
    if (const ir::ValueId v = EqualizableInput(graph, a, id, policy); v != ir::kNoValue) want(v).channel_max = true;
  }
  return watched;
}

// Samples that smoothing is chosen from, before the pass over all of them: it balances channels that differ by large factors, which few samples
// tell; what lies beyond in the others costs a little resolution or clipping.
constexpr int64_t kSmoothingSamples = 16;

using RunSample = absl::FunctionRef<absl::Status(int64_t index, absl::FunctionRef<void(const Observation&)>)>;

// Sets `smoothing` of the values that are to be smoothed, from the first `count` samples.
absl::Status ChooseSmoothing(const ir::Graph& graph, const Assignment& a, const Policy& policy, int64_t count,
                             RunSample run, CalibrationTable& table) {
  absl::flat_hash_map<ir::ValueId, ValueStatistics> widths;
  for (ir::ValueId v = 0; v < graph.num_values(); ++v) {
    if (IsSmoothable(graph, a, v, policy)) widths[v];
  }
  if (widths.empty()) return absl::OkStatus();
  for (int64_t i = 0; i < count; ++i) {
    PRECIS_RETURN_IF_ERROR(run(i, [&](const Observation& o) {
      const auto it = widths.find(o.value);
      if (it == widths.end()) return;
      ValueStatistics::Wanted wanted;
      wanted.channel_axis = ChannelAxis(graph, o.value);
      wanted.channel_max = true;
      it->second.Add(o, wanted);
    }));
  }
  for (const auto& [v, s] : widths) {
    if (s.channel_max.size() != static_cast<size_t>(graph.value(v).shape.back())) continue;  // nothing finite was seen
    table[graph.value(v).name].smoothing = SmoothingDivisors(graph, a, v, s.channel_max);
  }
  return absl::OkStatus();
}

// The observation with its last dimension divided by `divisors`; the numbers are in `buffer`.
Observation Smoothed(const Observation& o, const std::vector<float>& divisors, std::vector<float>& buffer) {
  const auto total = static_cast<size_t>(NumElements(o.shape)), stride = static_cast<size_t>(o.strides.back());
  buffer.resize(total);
  for (size_t i = 0; i < total; ++i) buffer[i] = o.data[i] / divisors[i / stride % divisors.size()];
  return {o.value, buffer.data(), o.shape, o.strides};
}

}  // namespace

int64_t SampleCount(const Policy& policy, const SampleSource& samples) {
  const int64_t limit = policy.calibration.sample_limit;
  return limit > 0 ? std::min(samples.size(), limit) : samples.size();
}

absl::StatusOr<std::shared_ptr<const CalibrationTable>> Calibrate(const ir::Graph& graph, const Policy& policy,
                                                                  Runner& runner, const SampleSource& samples,
                                                                  const Progress& progress) {
  const int64_t count = SampleCount(policy, samples);
  if (count <= 0) return absl::FailedPreconditionError("there are no calibration samples");
  // With VNNI and every layer, so that the table serves any target and any overrides: others quantize fewer values.
  PRECIS_ASSIGN_OR_RETURN(const Assignment assignment,
                          Assign(graph, Target{}, [](ir::ValueId) { return std::nullopt; }));
  const auto wanted = Watched(graph, assignment, policy);
  std::vector<ir::ValueId> watched;
  for (const auto& [value, unused] : wanted) watched.push_back(value);
  std::sort(watched.begin(), watched.end());

  const auto run = [&](int64_t i, absl::FunctionRef<void(const Observation&)> observe) -> absl::Status {
    PRECIS_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, samples.Sample(i));
    PRECIS_RETURN_IF_ERROR(CheckSample(graph, sample, i));
    return runner.Run(sample, watched, observe);
  };
  auto table = std::make_shared<CalibrationTable>();
  PRECIS_RETURN_IF_ERROR(ChooseSmoothing(graph, assignment, policy, std::min(count, kSmoothingSamples), run, *table));
  std::vector<float> smoothed;
  for (int64_t i = 0; i < count; ++i) {
    if (progress) progress("calibrate", static_cast<double>(i) / static_cast<double>(count));
    PRECIS_RETURN_IF_ERROR(run(i, [&](const Observation& o) {
      ValueStatistics& s = (*table)[graph.value(o.value).name];
      s.Add(s.smoothing.empty() ? o : Smoothed(o, s.smoothing, smoothed), wanted.at(o.value));
    }));
  }
  if (progress) progress("calibrate", 1.0);
  return table;
}

}  // namespace precis::quant
