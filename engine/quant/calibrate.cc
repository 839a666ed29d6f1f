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
// tell; what lies beyond in the others costs a little resolution or clipping. They are held until then.
constexpr int64_t kSmoothingSamples = 16;
constexpr size_t kSmoothingBytes = size_t{64} << 20;

// The observation with its last dimension divided by `divisors`; the numbers are in `buffer`.
Observation Smoothed(const Observation& o, const std::vector<float>& divisors, std::vector<float>& buffer) {
  const auto total = static_cast<size_t>(NumElements(o.shape)), stride = static_cast<size_t>(o.strides.back());
  buffer.resize(total);
  for (size_t i = 0; i < total; ++i) buffer[i] = o.data[i] / divisors[i / stride % divisors.size()];
  return {o.value, buffer.data(), o.shape, o.strides};
}

}  // namespace

// The first samples are held back where channels are to be smoothed by what they show, and then counted like all the others.
class Calibrator::Impl {
 public:
  static absl::StatusOr<std::unique_ptr<Impl>> Create(const ir::Graph& graph, const Policy& policy, Runner& runner) {
    // With VNNI and every layer, so that the table serves any target and any overrides: others quantize fewer values.
    PRECIS_ASSIGN_OR_RETURN(Assignment assignment, Assign(graph, Target{}, [](ir::ValueId) { return std::nullopt; }));
    return std::make_unique<Impl>(graph, policy, runner, std::move(assignment));
  }

  Impl(const ir::Graph& graph, const Policy& policy, Runner& runner, Assignment assignment)
      : graph_(graph),
        runner_(runner),
        assignment_(std::move(assignment)),
        wanted_(Watched(graph, assignment_, policy)),
        table_(std::make_shared<CalibrationTable>()) {
    for (const auto& [value, unused] : wanted_) watched_.push_back(value);
    std::sort(watched_.begin(), watched_.end());
    for (ir::ValueId v = 0; v < graph.num_values(); ++v) {
      if (IsSmoothable(graph, assignment_, v, policy)) widths_[v];
    }
  }

  absl::Status Add(const std::vector<Tensor>& sample) {
    PRECIS_RETURN_IF_ERROR(CheckSample(graph_, sample, samples_));
    PRECIS_RETURN_IF_ERROR(widths_.empty() ? Count(sample) : HoldBack(sample));
    ++samples_;
    return absl::OkStatus();
  }

  int64_t samples() const { return samples_; }

  absl::StatusOr<std::shared_ptr<const CalibrationTable>> Finish() {
    if (samples_ == 0) return absl::FailedPreconditionError("there are no calibration samples");
    if (!widths_.empty()) PRECIS_RETURN_IF_ERROR(ChooseSmoothing());
    return std::move(table_);
  }

 private:
  absl::Status Count(const std::vector<Tensor>& sample) {
    return runner_.Run(sample, watched_, [&](const Observation& o) {
      ValueStatistics& s = (*table_)[graph_.value(o.value).name];
      s.Add(s.smoothing.empty() ? o : Smoothed(o, s.smoothing, smoothed_), wanted_.at(o.value));
    });
  }

  absl::Status HoldBack(const std::vector<Tensor>& sample) {
    PRECIS_RETURN_IF_ERROR(runner_.Run(sample, watched_, [&](const Observation& o) {
      const auto it = widths_.find(o.value);
      if (it == widths_.end()) return;
      ValueStatistics::Wanted wanted;
      wanted.channel_axis = ChannelAxis(graph_, o.value);
      wanted.channel_max = true;
      it->second.Add(o, wanted);
    }));
    held_.emplace_back();
    for (const Tensor& t : sample) {
      held_.back().push_back(t.Clone());
      held_bytes_ += t.size_bytes();
    }
    const bool enough = static_cast<int64_t>(held_.size()) == kSmoothingSamples || held_bytes_ >= kSmoothingBytes;
    return enough ? ChooseSmoothing() : absl::OkStatus();
  }

  // Sets `smoothing` of the values that are to be smoothed, and counts what was held back.
  absl::Status ChooseSmoothing() {
    for (const auto& [v, s] : widths_) {
      if (s.channel_max.size() != static_cast<size_t>(graph_.value(v).shape.back()))
        continue;  // nothing finite was seen
      (*table_)[graph_.value(v).name].smoothing = SmoothingDivisors(graph_, assignment_, v, s.channel_max);
    }
    widths_.clear();
    for (const std::vector<Tensor>& sample : held_) PRECIS_RETURN_IF_ERROR(Count(sample));
    held_.clear();
    return absl::OkStatus();
  }

  const ir::Graph& graph_;
  Runner& runner_;
  const Assignment assignment_;
  const absl::flat_hash_map<ir::ValueId, ValueStatistics::Wanted> wanted_;
  std::vector<ir::ValueId> watched_;
  std::shared_ptr<CalibrationTable> table_;
  int64_t samples_ = 0;
  std::vector<float> smoothed_;
  absl::flat_hash_map<ir::ValueId, ValueStatistics> widths_;  // of values to be smoothed; empty once that is decided
  std::vector<std::vector<Tensor>> held_;
  size_t held_bytes_ = 0;
};

Calibrator::Calibrator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Calibrator::~Calibrator() = default;
absl::Status Calibrator::Add(const std::vector<Tensor>& sample) { return impl_->Add(sample); }
int64_t Calibrator::samples() const { return impl_->samples(); }
absl::StatusOr<std::shared_ptr<const CalibrationTable>> Calibrator::Finish() { return impl_->Finish(); }

absl::StatusOr<std::unique_ptr<Calibrator>> Calibrator::Create(const ir::Graph& graph, const Policy& policy,
                                                               Runner& runner) {
  PRECIS_ASSIGN_OR_RETURN(auto impl, Impl::Create(graph, policy, runner));
  return std::unique_ptr<Calibrator>(new Calibrator(std::move(impl)));
}

int64_t SampleCount(const Policy& policy, const SampleSource& samples) {
  const int64_t limit = policy.calibration.sample_limit;
  return limit > 0 ? std::min(samples.size(), limit) : samples.size();
}

absl::StatusOr<std::shared_ptr<const CalibrationTable>> Calibrate(const ir::Graph& graph, const Policy& policy,
                                                                  Runner& runner, const SampleSource& samples,
                                                                  const Progress& progress) {
  PRECIS_ASSIGN_OR_RETURN(const auto calibrator, Calibrator::Create(graph, policy, runner));
  const int64_t count = SampleCount(policy, samples);
  for (int64_t i = 0; i < count; ++i) {
    if (progress) progress("calibrate", static_cast<double>(i) / static_cast<double>(count));
    PRECIS_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, samples.Sample(i));
    PRECIS_RETURN_IF_ERROR(calibrator->Add(sample));
  }
  PRECIS_ASSIGN_OR_RETURN(auto table, calibrator->Finish());
  if (progress) progress("calibrate", 1.0);
  return table;
}

}  // namespace precis::quant
