// The Add of a residual connection is done by the node that computes one side, while its result is still in registers. No cycle can arise:
// that side has no other reader, so the other operand cannot depend on it.
#include "engine/passes/heavy.h"
#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::BinaryKind;
using ir::Graph;
using ir::kNoNode;
using ir::kNoValue;
using ir::NodeId;
using ir::PostOp;
using ir::ValueId;

// Whether the node that computes operand `slot` may take up the Add: the operand has the result's type and no other reader.
bool CanTake(const Graph& graph, NodeId add, size_t slot) {
  const ValueId operand = graph.node(add).inputs[slot], other = graph.node(add).inputs[1 - slot];
  const NodeId id = graph.producer(operand);
  if (id == kNoNode || OnlyReader(graph, operand) != add || !SameType(graph, operand, graph.node(add).outputs[0]))
    return false;
  if (IsHeavy(graph, id)) return true;
  const auto* binary = OpIf<ir::Binary>(graph, id);
  return binary != nullptr && binary->kind == BinaryKind::kMul && graph.IsConstant(other);
}

void Fuse(Graph& graph, NodeId add, size_t slot) {
  const NodeId id = InputProducer(graph, add, slot);
  const std::vector<ValueId> inputs = graph.node(add).inputs;
  const std::vector<PostOp> post_ops = graph.node(add).post_ops;
  AbsorbReader(graph, id, add);
  constexpr size_t kBias = 2;  // operands of post-ops come behind the bias, even an absent one
  if (IsHeavy(graph, id) && graph.node(id).inputs.size() <= kBias) graph.SetInput(id, kBias, kNoValue);
  graph.node(id).post_ops.push_back({.kind = PostOp::Kind::kBinary,
                                     .unary = {},
                                     .binary = BinaryKind::kAdd,
                                     .input = graph.AppendInput(id, inputs[1 - slot])});
  for (PostOp post_op : post_ops) {
    if (post_op.kind == PostOp::Kind::kBinary)
      post_op.input = graph.AppendInput(id, inputs[static_cast<size_t>(post_op.input)]);
    graph.node(id).post_ops.push_back(post_op);
  }
}

}  // namespace

int FuseResidualAdd(Graph& graph) {
  int fired = 0;
  const std::vector<NodeId> order = Order(graph);
  std::vector<size_t> position(static_cast<size_t>(graph.num_node_slots()), 0);
  for (size_t i = 0; i < order.size(); ++i) position[static_cast<size_t>(order[i])] = i;
  for (const NodeId add : order) {
    const auto* binary = OpIf<ir::Binary>(graph, add);
    if (binary == nullptr || binary->kind != BinaryKind::kAdd ||
        graph.value(graph.node(add).outputs[0]).dtype != DataType::kF32)
      continue;
    const bool first = CanTake(graph, add, 0), second = CanTake(graph, add, 1);
    if (!first && !second) continue;
    const auto at = [&](size_t slot) { return position[static_cast<size_t>(InputProducer(graph, add, slot))]; };
    const size_t slot = first && second ? (at(0) > at(1) ? 0 : 1) : (first ? 0 : 1);
    const NodeId heavy = InputProducer(graph, add, slot);
    position[static_cast<size_t>(heavy)] = position[static_cast<size_t>(add)];
    Fuse(graph, add, slot);
    ++fired;
  }
  return fired;
}

}  // namespace precis::passes
