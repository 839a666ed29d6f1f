#include "engine/quant/equalize.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"

namespace precis::quant {
namespace {

// A channel narrower than this share of the widest is stretched no further: what a hundred samples saw of it may be too little.
constexpr float kNarrowestChannel = 1.0f / 256;

// The upper bound of a sole post-op that is ReLU (infinity) or Clip from 0; 0 when the post-ops are anything else.
float UpperBound(const ir::Node& n) {
  if (n.post_ops.size() != 1 || n.post_ops[0].kind != ir::PostOp::Kind::kUnary) return 0;
  const ir::Unary& u = n.post_ops[0].unary;
  if (u.kind == ir::UnaryKind::kRelu) return std::numeric_limits<float>::infinity();
  return u.kind == ir::UnaryKind::kClip && u.alpha == 0 ? std::max(u.beta, 0.0f) : 0;
}

bool HasScalableWeights(const ir::Graph& graph, ir::NodeId id) {
  const ir::ValueId bias = graph.Input(id, 2);
  const Tensor* weights = graph.ConstantOrNull(graph.Input(id, 1));
  return weights != nullptr && weights->dtype() == DataType::kF32 &&
         (bias == ir::kNoValue || (graph.IsConstant(bias) && graph.value(bias).dtype == DataType::kF32));
}

// Gives node `id` a copy of constant input `slot` with row r multiplied by factor[r].
void ScaleRows(ir::Graph& graph, ir::NodeId id, size_t slot, const std::vector<float>& factor) {
  const ir::ValueId old = graph.Input(id, slot);
  Tensor scaled = graph.value(old).constant->Clone();
  auto values = scaled.As<float>();
  const size_t row = values.size() / factor.size();
  for (size_t i = 0; i < values.size(); ++i) values[i] *= factor[i / row];
  graph.SetInput(id, slot, graph.AddConstant(absl::StrCat(graph.value(old).name, ":equalized"), std::move(scaled)));
}

}  // namespace

ir::ValueId EqualizableInput(const ir::Graph& graph, const Assignment& a, ir::NodeId id, const Policy& policy) {
  if (policy.calibration.method != CalibrationMethod::kDefault) return ir::kNoValue;
  const auto has_channel_scales = [&](ir::NodeId layer) {
    return PolicyOfLayer(policy, graph.node(layer).name).weights.granularity != Granularity::kPerTensor;
  };
  const auto* second = std::get_if<ir::Conv>(&graph.node(id).op);
  if (second == nullptr || !a.int8[static_cast<size_t>(id)] || !HasScalableWeights(graph, id)) return ir::kNoValue;
  const ir::ValueId v = graph.node(id).inputs[0];
  const ir::NodeId first = graph.producer(v);
  const int64_t channels = graph.value(v).shape[1];
  const bool fits = second->groups == channels && graph.value(graph.node(id).inputs[1]).shape[0] == channels &&
                    first != ir::kNoNode && a.int8[static_cast<size_t>(first)] &&
                    std::holds_alternative<ir::Conv>(graph.node(first).op) &&
                    a.forms[static_cast<size_t>(v)] == Form::kInt8 && graph.HasSingleUse(v) &&
                    HasScalableWeights(graph, first) && has_channel_scales(id) && has_channel_scales(first) &&
                    UpperBound(graph.node(first)) > 0;
  return fits ? v : ir::kNoValue;
}

std::vector<float> EqualizedMaxima(const ir::Graph& graph, ir::ValueId value, const ValueStatistics& s) {
  const float bound = UpperBound(graph.node(graph.producer(value)));
  std::vector<float> most = s.channel_max;
  float widest = 0;
  for (float& m : most) widest = std::max(widest, m = std::min(m, bound));
  if (widest <= 0) widest = 1;
  for (float& m : most) m = std::max(m, widest * kNarrowestChannel);
  return most;
}

bool IsEqualized(const ValueStatistics& s, const ir::Value& value, int activation_bits) {
  const float levels = static_cast<float>((1 << activation_bits) - 1);
  // channel_max is gathered of equalizable values only.
  return !s.channel_max.empty() && value.quant.has_value() && value.quant->scale() == 1.0f / levels &&
         value.quant->zero_point() == 0;
}

std::vector<float> Equalize(ir::Graph& graph, ir::ValueId value, const ValueStatistics& s) {
  const ir::NodeId first = graph.producer(value), second = graph.consumers(value)[0];
  const std::vector<float> most = EqualizedMaxima(graph, value, s);
  std::vector<float> inverse;
  for (const float m : most) inverse.push_back(1 / m);
  ScaleRows(graph, first, 1, inverse);
  if (graph.Input(first, 2) != ir::kNoValue) ScaleRows(graph, first, 2, inverse);
  ScaleRows(graph, second, 1, most);
  graph.node(first).post_ops[0].unary = ir::Unary{ir::UnaryKind::kRelu};
  return most;
}

}  // namespace precis::quant
