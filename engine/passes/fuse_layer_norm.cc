// Layer normalisation (Ba et al. 2016, arXiv:1607.06450) as exporters spell it before opset 17:
//   m = ReduceMean(x); d = x - m; v = ReduceMean(d * d | d ^ 2); y = d / Sqrt(v + eps) | d * Reciprocal(Sqrt(v + eps)); [* gamma] [+ beta]
// with d computed once or twice. Matched backwards from the node that normalises.
#include <cmath>
#include <optional>

#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::BinaryKind;
using ir::Graph;
using ir::kNoNode;
using ir::kNoValue;
using ir::NodeId;
using ir::UnaryKind;
using ir::ValueId;

// Axes and input of a ReduceMean that keeps dimensions.
struct Mean {
  ValueId source;
  ir::Ints axes;
};
std::optional<Mean> MatchMean(const Graph& graph, ValueId value) {
  const NodeId id = graph.producer(value);
  const auto* reduce = OpIf<ir::Reduce>(graph, id);
  if (reduce == nullptr || reduce->kind != ir::ReduceKind::kMean || !reduce->keep_dims) return std::nullopt;
  auto axes = ReducedAxes(graph, id);
  if (!axes) return std::nullopt;
  return Mean{graph.node(id).inputs[0], *std::move(axes)};
}

// x - ReduceMean(x).
std::optional<Mean> MatchCentred(const Graph& graph, ValueId value) {
  const NodeId id = graph.producer(value);
  if (!IsBinary(graph, id, BinaryKind::kSub)) return std::nullopt;
  auto mean = MatchMean(graph, graph.node(id).inputs[1]);
  if (!mean || mean->source != graph.node(id).inputs[0]) return std::nullopt;
  return mean;
}

// The value that `value` is the square of; kNoValue where it is none.
ValueId MatchSquare(const Graph& graph, ValueId value) {
  const NodeId id = graph.producer(value);
  if (IsBinary(graph, id, BinaryKind::kMul) && graph.node(id).inputs[0] == graph.node(id).inputs[1])
    return graph.node(id).inputs[0];
  if (IsBinary(graph, id, BinaryKind::kPow) && UniformConstant(graph, graph.node(id).inputs[1]) == 2.0)
    return graph.node(id).inputs[0];
  return kNoValue;
}

struct Deviation {
  ValueId variance;
  float epsilon;
};
// Sqrt(variance + epsilon).
std::optional<Deviation> MatchDeviation(const Graph& graph, ValueId value) {
  const NodeId root = graph.producer(value);
  if (!IsUnary(graph, root, UnaryKind::kSqrt)) return std::nullopt;
  const NodeId sum = InputProducer(graph, root, 0);
  if (!IsUnary(graph, sum, UnaryKind::kLinear)) return std::nullopt;
  const auto& linear = std::get<ir::Unary>(graph.node(sum).op);
  if (linear.alpha != 1.0f || linear.beta < 0.0f) return std::nullopt;
  return Deviation{graph.node(sum).inputs[0], linear.beta};
}

// 1 / Sqrt(variance + epsilon).
std::optional<Deviation> MatchInverseDeviation(const Graph& graph, ValueId value) {
  const NodeId id = graph.producer(value);
  if (IsUnary(graph, id, UnaryKind::kReciprocal)) return MatchDeviation(graph, graph.node(id).inputs[0]);
  if (IsBinary(graph, id, BinaryKind::kDiv) && UniformConstant(graph, graph.node(id).inputs[0]) == 1.0) {
    return MatchDeviation(graph, graph.node(id).inputs[1]);
  }
  return std::nullopt;
}

struct Normalization {
  ValueId source;
  int64_t axis;
  float epsilon;
};

// `centred` / deviation, checked to be of the same x over the same trailing axes.
std::optional<Normalization> MatchWith(const Graph& graph, ValueId centred, const std::optional<Deviation>& deviation) {
  const auto x = MatchCentred(graph, centred);
  if (!x || !deviation) return std::nullopt;
  const auto variance = MatchMean(graph, deviation->variance);
  const ValueId squared = variance ? MatchSquare(graph, variance->source) : kNoValue;
  const auto again = squared == kNoValue ? std::nullopt : MatchCentred(graph, squared);
  if (!again || again->source != x->source || again->axes != x->axes || variance->axes != x->axes) return std::nullopt;
  const int64_t rank = static_cast<int64_t>(graph.value(x->source).shape.size());
  for (size_t i = 0; i < x->axes.size(); ++i) {
    if (x->axes[i] != rank - static_cast<int64_t>(x->axes.size() - i)) return std::nullopt;
  }
  return x->axes.empty() ? std::nullopt : std::optional(Normalization{x->source, x->axes[0], deviation->epsilon});
}

std::optional<Normalization> MatchNormalization(const Graph& graph, NodeId id) {
  const auto& inputs = graph.node(id).inputs;
  if (IsBinary(graph, id, BinaryKind::kDiv)) return MatchWith(graph, inputs[0], MatchDeviation(graph, inputs[1]));
  if (!IsBinary(graph, id, BinaryKind::kMul)) return std::nullopt;
  auto match = MatchWith(graph, inputs[0], MatchInverseDeviation(graph, inputs[1]));
  return match ? match : MatchWith(graph, inputs[1], MatchInverseDeviation(graph, inputs[0]));
}

// The only reader of node's output when it combines it by `kind` with a constant over exactly the normalised dimensions.
NodeId ParameterReader(const Graph& graph, NodeId id, BinaryKind kind, int64_t axis) {
  const ValueId out = graph.node(id).outputs[0];
  const NodeId reader = OnlyReader(graph, out);
  const auto operand = reader == kNoNode ? std::nullopt : MatchConstantOperand(graph, reader);
  if (!operand || operand->kind != kind || graph.value(operand->constant).dtype != graph.value(out).dtype)
    return kNoNode;
  const Shape& shape = graph.value(out).shape;
  return graph.value(operand->constant).shape == Shape(shape.begin() + axis, shape.end()) ? reader : kNoNode;
}

void Fuse(Graph& graph, NodeId id, const Normalization& match) {
  graph.node(id).op = ir::LayerNorm{match.axis, match.epsilon};
  std::vector<ValueId> inputs = {match.source};
  for (const BinaryKind kind : {BinaryKind::kMul, BinaryKind::kAdd}) {
    const NodeId reader = ParameterReader(graph, id, kind, match.axis);
    inputs.push_back(reader == kNoNode ? kNoValue : MatchConstantOperand(graph, reader)->constant);
    if (reader != kNoNode) AbsorbReader(graph, id, reader);
  }
  graph.SetInputs(id, std::move(inputs));
}

}  // namespace

int FuseLayerNorm(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    if (!graph.alive(id) || !IsReal(graph, graph.node(id).outputs[0])) continue;
    const auto match = MatchNormalization(graph, id);
    if (!match) continue;
    Fuse(graph, id, *match);
    ++fired;
  }
  graph.RemoveDeadNodes();
  return fired;
}

}  // namespace precis::passes
