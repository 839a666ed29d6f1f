// The int8 rewrite: levels for groups of values, equalized and quantized weights, corrected biases, Convert nodes at the borders.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/quant/accumulators.h"
#include "engine/quant/assign.h"
#include "engine/quant/bias_correction.h"
#include "engine/quant/calibration_table.h"
#include "engine/quant/chunks.h"
#include "engine/quant/equalize.h"
#include "engine/quant/narrow_float.h"
#include "engine/quant/simulate.h"
#include "engine/quant/smooth.h"
#include "engine/quant/thresholds.h"
#include "engine/quant/weights.h"

namespace precis::quant {
namespace {

// No layer computes with real numbers this large; sentinels such as the lowest float, which masks add, are.
constexpr float kLargestActivation = 1e6f;
// Below this, 256 levels do not describe the value: even one-bit numbers reach 4.4 dB, and layers that int8 suits have 25 dB and more.
constexpr double kLowestSqnrDb = 10;

// Why the levels of 8 bits cannot hold what was seen.
std::optional<std::string> WhyUnusable(const ValueStatistics* s, const CalibrationPolicy& policy) {
  if (s == nullptr || s->samples == 0)
    return s != nullptr && !s->finite ? "holds NaN or infinity" : "was not seen in calibration";
  if (!s->finite) return "holds NaN or infinity";
  const float largest = std::max(-s->min, s->max);
  if (largest > kLargestActivation)
    return absl::StrFormat("holds %g, as masks do", std::abs(s->min) > s->max ? s->min : s->max);
  if (s->histogram.empty() || largest == 0) return std::nullopt;
  const double sqnr = ExpectedSqnr(s->histogram, ChooseRange(*s, policy));
  if (sqnr < kLowestSqnrDb) return absl::StrFormat("would keep %.1f dB of signal over noise at 8 bits", sqnr);
  return std::nullopt;
}

struct Levels {
  DataType dtype = DataType::kU8;
  ir::QuantParams params;
  // The real numbers of the first and the last level.
  float low = 0, high = 0;
};

// Levels of `bits` bits, held in 8: from 0 on, or around 0.
Levels LevelsOf(const Range& range, int bits, bool symmetric, bool needs_s8) {
  const auto u8_levels = static_cast<float>((1 << bits) - 1), s8_levels = static_cast<float>((1 << (bits - 1)) - 1);
  const auto scale_of = [](float span, float levels) {
    return span > 0 ? std::max(span / levels, std::numeric_limits<float>::min()) : 1.0f;
  };
  Levels levels;
  if (needs_s8 || (symmetric && range.low < 0)) {
    levels.dtype = DataType::kS8;
    levels.params.scales.push_back(scale_of(std::max(-range.low, range.high), s8_levels));
    levels.high = s8_levels * levels.params.scale();
    levels.low = -levels.high;
    return levels;
  }
  const float scale = scale_of(range.high - range.low, u8_levels);
  levels.params.scales.push_back(scale);
  if (const float zero = std::nearbyint(-range.low / scale); zero != 0)
    levels.params.zero_points.push_back(static_cast<int32_t>(zero));
  const auto zero = static_cast<float>(levels.params.zero_point());
  levels.low = -zero * scale;
  levels.high = (u8_levels - zero) * scale;
  return levels;
}

// What is said of weights that are not plain 8-bit ones: "weights TERNARY, 7.4 dB" (of signal over rounding noise).
std::string DescribeLevels(const WeightPolicy& policy, const Tensor& f32, const QuantizedWeights& q) {
  if (policy.scheme == WeightScheme::kAffine && policy.bits == 8) return "";
  const std::vector<float> real = ir::RealValues(q.values, q.params);
  const auto w = f32.As<float>();
  double signal = 0, noise = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    const double x = static_cast<double>(w[i]), d = x - static_cast<double>(real[i]);
    signal += x * x;
    noise += d * d;
  }
  const SchemeBits bits = BitsOf(policy.scheme);
  return absl::StrCat(
      "weights ", SchemeName(policy.scheme), bits.fewest == bits.most ? "" : absl::StrCat(" of ", policy.bits, " bits"),
      noise > 0 && signal > 0 ? absl::StrFormat(", %.1f dB", 10 * std::log10(signal / noise)) : ", exact");
}

class Int8Rewrite {
 public:
  Int8Rewrite(ir::Graph& graph, const Policy& policy, const CalibrationTable& table, const Target& target,
              std::function<bool(ir::NodeId)> is_int8)
      : g_(graph), policy_(policy), table_(table), target_(target), is_int8_(std::move(is_int8)) {}

  absl::Status Run() {
    PRECIS_ASSIGN_OR_RETURN(
        a_,
        Assign(
            g_, target_, [&](ir::ValueId v) { return WhyUnusable(StatisticsOf(v), policy_.calibration); }, is_int8_));
    ChooseLevels();
    EqualizeChannels();
    PRECIS_RETURN_IF_ERROR(SmoothChannels());
    for (ir::NodeId id : a_.order) {
      if (Int8(id) && (RoleIs(id, Role::kConvolution) || RoleIs(id, Role::kProduct))) QuantizeHeavy(id);
    }
    const ir::ValueId values = g_.num_values();
    for (ir::ValueId v = 0; v < values && static_cast<size_t>(v) < a_.forms.size(); ++v) SetForm(v);
    for (ir::NodeId id : a_.order) Explain(id);
    if (policy_.execution == Execution::kSimulated) Simulate(g_);
    return absl::OkStatus();
  }

 private:
  bool Int8(ir::NodeId id) const { return a_.int8[static_cast<size_t>(id)]; }
  bool RoleIs(ir::NodeId id, Role role) const { return a_.roles[static_cast<size_t>(id)] == role; }
  const ValueStatistics* StatisticsOf(ir::ValueId v) const { return table_.Find(g_.value(v).name); }

  bool HasHistogram(ir::ValueId v) const {
    const ValueStatistics* s = StatisticsOf(v);
    return s != nullptr && !s->histogram.empty();
  }

  void ChooseLevels() {
    std::vector<std::vector<ir::ValueId>> members(a_.group.size());
    for (size_t v = 0; v < a_.group.size(); ++v) {
      if (a_.forms[v] != Form::kFloat) members[static_cast<size_t>(a_.group[v])].push_back(static_cast<ir::ValueId>(v));
    }
    levels_.resize(a_.group.size());
    for (size_t first = 0; first < members.size(); ++first) {
      if (members[first].empty()) continue;
      ValueStatistics all;
      std::set<ir::ValueId> sources;
      for (ir::ValueId v : members[first]) {
        if (HasHistogram(v)) {
          sources.insert(v);
          continue;
        }
        const std::vector<ir::ValueId> more = SourcesOf(g_, v);
        sources.insert(more.begin(), more.end());
      }
      for (ir::ValueId v : sources) {
        if (HasHistogram(v)) all.Merge(*StatisticsOf(v));
      }
      // A range of {0, 0}, where only zeros were seen, gets scale 1.
      const Range range =
          all.histogram.empty() ? Range{} : ChooseRange(all, policy_.calibration, policy_.activation_bits);
      levels_[first] = LevelsOf(range, policy_.activation_bits, policy_.symmetric_activations, a_.needs_s8[first]);
    }
  }

  void EqualizeChannels() {
    for (ir::NodeId id : a_.order) {
      const ir::ValueId v = EqualizableInput(g_, a_, id, policy_);
      const ValueStatistics* s = v == ir::kNoValue ? nullptr : StatisticsOf(v);
      if (s == nullptr || s->channel_max.size() != static_cast<size_t>(g_.value(v).shape[1])) continue;
      equalized_[v] = Equalize(g_, v, *s);
      levels_[static_cast<size_t>(a_.group[static_cast<size_t>(v)])] =
          LevelsOf({0, 1}, policy_.activation_bits, false, false);
    }
  }

  // Values that calibration saw smoothed: the weights behind them take the factors; what writes the levels will divide.
  absl::Status SmoothChannels() {
    for (size_t v = 0; v < a_.forms.size(); ++v) {
      const auto value = static_cast<ir::ValueId>(v);
      const ValueStatistics* s = a_.forms[v] == Form::kConverted ? StatisticsOf(value) : nullptr;
      if (s == nullptr || s->smoothing.empty()) continue;
      if (!IsSmoothable(g_, a_, value, policy_)) {
        return absl::InternalError(absl::StrCat("value \"", g_.value(value).name,
                                                "\" was smoothed in calibration, but cannot be smoothed here"));
      }
      SmoothWeights(g_, a_, value, s->smoothing);
      reciprocals_[value] = AddReciprocals(g_, value, s->smoothing);
    }
    return absl::OkStatus();
  }

  // E[x] per input channel, as the (possibly equalized) graph has it; empty when it was not measured.
  std::vector<double> MeanOf(ir::ValueId v) const {
    const ValueStatistics* s = StatisticsOf(v);
    if (s == nullptr || s->positions == 0) return {};
    std::vector<double> mean = s->channel_sums;
    const auto divisors = equalized_.find(v);
    for (size_t c = 0; c < mean.size(); ++c) {
      mean[c] /= static_cast<double>(s->positions);
      if (divisors != equalized_.end()) mean[c] /= static_cast<double>(divisors->second[c]);
    }
    return mean;
  }

  void QuantizeHeavy(ir::NodeId id) {
    const ir::ValueId weights = g_.node(id).inputs[1];
    const Tensor& f32 = *g_.value(weights).constant;
    const int axis = OutputChannelAxis(g_, id);
    const LayerPolicy layer = PolicyOfLayer(policy_, g_.node(id).name);
    Chunking chunking = ChunkingOf(g_, id, layer);
    QuantizedWeights q = QuantizeByPolicy(f32, axis, layer.weights, target_.has_vnni, chunking.chunks);
    std::string& note = g_.node(id).precision_note;
    if (!chunking.note.empty()) note = std::move(chunking.note);
    const std::string levels = DescribeLevels(layer.weights, f32, q);
    if (!levels.empty()) note = note.empty() ? levels : absl::StrCat(levels, "; ", note);
    if (policy_.bias_correction) CorrectBias(id, f32, q, axis == 1);
    const ir::ValueId constant = g_.AddConstant(absl::StrCat(g_.value(weights).name, ":s8"), std::move(q.values));
    g_.value(constant).quant = std::move(q.params);
    g_.SetInput(id, 1, constant);
  }

  void CorrectBias(ir::NodeId id, const Tensor& f32, const QuantizedWeights& q, bool transposed) {
    const auto* conv = std::get_if<ir::Conv>(&g_.node(id).op);
    const auto* matmul = std::get_if<ir::MatMul>(&g_.node(id).op);
    const int64_t groups = conv == nullptr ? 1 : conv->groups;
    const std::vector<double> mean = MeanOf(g_.node(id).inputs[0]);
    const int64_t inputs = f32.shape()[transposed ? 0 : 1] * groups;
    if (mean.size() != static_cast<size_t>(inputs)) return;
    std::vector<double> shift = MeanShift(f32, q, transposed, groups, mean);
    if (matmul != nullptr) {
      for (double& s : shift) s *= static_cast<double>(matmul->alpha);
    }
    SubtractFromBias(g_, id, shift);
  }

  void SetForm(ir::ValueId v) {
    const Form form = a_.forms[static_cast<size_t>(v)];
    if (form == Form::kFloat) return;
    const Levels& levels = levels_[static_cast<size_t>(a_.group[static_cast<size_t>(v)])];
    if (form == Form::kInt8) {
      g_.value(v).dtype = levels.dtype;
      g_.value(v).quant = levels.params;
      ClipProducer(v, levels);
      return;
    }
    const ir::ValueId copy =
        g_.AddValue(absl::StrCat(g_.value(v).name, ":", Name(levels.dtype)), levels.dtype, g_.value(v).shape);
    g_.value(copy).quant = levels.params;
    const std::vector<ir::NodeId> readers = g_.consumers(v);
    for (ir::NodeId id : readers) {
      for (size_t slot = 0; slot < g_.node(id).inputs.size(); ++slot) {
        const bool asks =
            g_.node(id).inputs[slot] == v && a_.ReadsLevels(g_, id, slot) && !IsPostOpOperand(g_.node(id), slot);
        if (asks) g_.SetInput(id, slot, copy);
      }
    }
    if (const auto r = reciprocals_.find(v); r != reciprocals_.end()) {
      g_.AddNode("", ir::Binary{ir::BinaryKind::kMul}, {v, r->second}, {copy});
    } else {
      g_.AddNode("", ir::Convert{}, {v}, {copy});
    }
    ClipProducer(copy, levels);
  }

  // Fewer bits than 8 end before 8 bits saturate: what writes `v` must not use the levels beyond. Movement keeps to its source's.
  void ClipProducer(ir::ValueId v, const Levels& levels) {
    if (policy_.activation_bits == 8) return;
    const ir::NodeId producer = g_.producer(v);
    const bool known = static_cast<size_t>(producer) < a_.roles.size();  // else made here
    if (known && RoleIs(producer, Role::kMovement)) return;
    const ir::Unary clip{ir::UnaryKind::kClip, levels.low, levels.high};
    if (known && IsHeavy(a_.roles[static_cast<size_t>(producer)])) {
      ir::PostOp last;
      last.unary = clip;
      g_.node(producer).post_ops.push_back(last);
      return;
    }
    const ir::ValueId wide = g_.AddValue(absl::StrCat(g_.value(v).name, ":wide"), levels.dtype, g_.value(v).shape);
    g_.value(wide).quant = levels.params;
    const auto& outputs = g_.node(producer).outputs;
    g_.SetOutput(producer, static_cast<size_t>(std::find(outputs.begin(), outputs.end(), v) - outputs.begin()), wide);
    g_.AddNode("", clip, {wide}, {v});
  }

  void Explain(ir::NodeId id) {
    ir::Node& n = g_.node(id);
    const std::string& note = a_.notes[static_cast<size_t>(id)];
    const bool reads_f32 =
        !n.inputs.empty() && n.inputs[0] != ir::kNoValue && g_.value(n.inputs[0]).dtype == DataType::kF32;
    if (!Int8(id) && reads_f32 && !note.empty()) n.precision_note = absl::StrCat("f32: ", note);
    if (Int8(id) && policy_.execution == Execution::kSimulated)
      n.precision_note =
          absl::StrCat("int8 levels, simulated in f32", n.precision_note.empty() ? "" : "; ", n.precision_note);
  }

  ir::Graph& g_;
  const Policy& policy_;
  const CalibrationTable& table_;
  const Target& target_;
  const std::function<bool(ir::NodeId)> is_int8_;  // of heavy nodes
  Assignment a_;
  std::vector<Levels> levels_;  // per first of group
  absl::flat_hash_map<ir::ValueId, std::vector<float>> equalized_;
  absl::flat_hash_map<ir::ValueId, ir::ValueId> reciprocals_;  // of smoothed values whose copy divides
};

}  // namespace

absl::Status CheckOverrides(const ir::Graph& graph, const Policy& policy) {
  for (const LayerOverride& override : policy.overrides) {
    bool matches = false;
    for (ir::NodeId id = 0; id < graph.num_node_slots() && !matches; ++id) {
      matches = graph.alive(id) && IsLayer(graph.node(id).op) && MatchesPattern(override.pattern, graph.node(id).name);
    }
    if (!matches) {
      return absl::InvalidArgumentError(absl::StrCat("policy field overrides: pattern \"", override.pattern,
                                                     "\" matches no convolution or matrix product"));
    }
  }
  return absl::OkStatus();
}

absl::Status ApplyPolicy(ir::Graph& graph, const Policy& policy, const CalibrationTable* table, const Target& target) {
  const bool uniform = policy.overrides.empty();
  std::vector<Precision> precisions(static_cast<size_t>(graph.num_node_slots()), policy.precision);  // of layers
  std::set<Precision> used = {policy.precision};
  for (ir::NodeId id = 0; id < graph.num_node_slots(); ++id) {
    if (uniform || !graph.alive(id) || !IsLayer(graph.node(id).op)) continue;
    ir::Node& n = graph.node(id);
    Precision& precision = precisions[static_cast<size_t>(id)];
    precision = PolicyOfLayer(policy, n.name).precision;
    if (precision == Precision::kMixed) precision = Precision::kF32;
    if (precision == Precision::kF32) n.precision_note = "f32: as the policy says";
    used.insert(precision);
  }
  const auto runs_at = [&](Precision precision) {
    return [&precisions, precision](ir::NodeId id) { return precisions[static_cast<size_t>(id)] == precision; };
  };
  // Integers first: where a value has readers of both kinds, it stays f32, and each kind reads a converted copy.
  if (used.contains(Precision::kInt8)) {
    if (table == nullptr) return absl::FailedPreconditionError("int8 needs a calibration table");
    PRECIS_RETURN_IF_ERROR(Int8Rewrite(graph, policy, *table, target, runs_at(Precision::kInt8)).Run());
  }
  if (used.contains(Precision::kBF16))
    PRECIS_RETURN_IF_ERROR(ApplyNarrowFloat(graph, DataType::kBF16, runs_at(Precision::kBF16)));
  if (used.contains(Precision::kF16))
    PRECIS_RETURN_IF_ERROR(ApplyNarrowFloat(graph, DataType::kF16, runs_at(Precision::kF16)));
  SetAccumulators(graph, policy);
  return absl::OkStatus();
}

}  // namespace precis::quant
