// Attention divides its scores, or the query, by sqrt(d). That number moves into MatMul's alpha, and from there into the constant weights of the
// projection behind the first operand, where it costs nothing.
#include "engine/passes/heavy.h"
#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::kNoNode;
using ir::kNoValue;
using ir::NodeId;
using ir::UnaryKind;
using ir::ValueId;

// alpha of node `id` when it computes alpha * x with one number alpha.
std::optional<float> ScalarFactor(const Graph& graph, NodeId id) {
  if (!IsUnary(graph, id, UnaryKind::kLinear)) return std::nullopt;
  const auto& linear = std::get<ir::Unary>(graph.node(id).op);
  return linear.beta == 0.0f ? std::optional(linear.alpha) : std::nullopt;
}

void MultiplyAlpha(Graph& graph, NodeId id, double factor) {
  auto& matmul = std::get<ir::MatMul>(graph.node(id).op);
  matmul.alpha = static_cast<float>(matmul.alpha * factor);
}

// alpha * (a b) with nothing added yet.
bool FoldResult(Graph& graph, NodeId id) {
  if (graph.Input(id, 2) != kNoValue || !graph.node(id).post_ops.empty()) return false;
  const NodeId reader = OnlyReader(graph, graph.node(id).outputs[0]);
  const auto factor = ScalarFactor(graph, reader);
  if (!factor) return false;
  MultiplyAlpha(graph, id, *factor);
  AbsorbReader(graph, id, reader);
  return true;
}

bool FoldOperand(Graph& graph, NodeId id, size_t slot) {
  const NodeId producer = InputProducer(graph, id, slot);
  const auto factor = ScalarFactor(graph, producer);
  if (!factor || OnlyReader(graph, graph.node(id).inputs[slot]) != id) return false;
  MultiplyAlpha(graph, id, *factor);
  graph.SetInput(id, slot, graph.node(producer).inputs[0]);
  graph.RemoveNode(producer);
  return true;
}

// The heavy node with constant weights that computes `value`, behind single-use reshapes and transposes; kNoNode where there is none.
NodeId WeightsBehind(const Graph& graph, ValueId value, NodeId reader) {
  while (OnlyReader(graph, value) == reader) {
    const NodeId id = graph.producer(value);
    if (id == kNoNode) return kNoNode;
    if (CanScaleOutput(graph, id)) return id;
    if (!OpIf<ir::Reshape>(graph, id) && !OpIf<ir::Transpose>(graph, id)) return kNoNode;
    value = graph.node(id).inputs[0];
    reader = id;
  }
  return kNoNode;
}

bool MoveAlphaIntoWeights(Graph& graph, NodeId id) {
  const float alpha = std::get<ir::MatMul>(graph.node(id).op).alpha;
  if (alpha == 1.0f) return false;
  const NodeId heavy = WeightsBehind(graph, graph.node(id).inputs[0], id);
  if (heavy == kNoNode) return false;
  const Shape& shape = graph.value(graph.node(heavy).outputs[0]).shape;
  ScaleOutput(graph, heavy,
              std::vector<double>(static_cast<size_t>(shape[static_cast<size_t>(ChannelAxis(graph, heavy))]), alpha));
  std::get<ir::MatMul>(graph.node(id).op).alpha = 1.0f;
  return true;
}

}  // namespace

int FoldMatMulScale(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    if (!graph.alive(id) || !OpIf<ir::MatMul>(graph, id) ||
        graph.value(graph.node(id).outputs[0]).dtype != DataType::kF32)
      continue;
    fired += FoldOperand(graph, id, 0) ? 1 : 0;
    fired += FoldOperand(graph, id, 1) ? 1 : 0;
    fired += FoldResult(graph, id) ? 1 : 0;
    fired += MoveAlphaIntoWeights(graph, id) ? 1 : 0;
  }
  return fired;
}

}  // namespace precis::passes
