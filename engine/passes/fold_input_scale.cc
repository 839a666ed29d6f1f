// scale * x + shift in front of heavy nodes. Pays only when it disappears, so every reader must be able to take it.
#include <algorithm>

#include "engine/passes/heavy.h"
#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::kNoNode;
using ir::NodeId;
using ir::ValueId;

// The channel dimension that all readers of `value` agree on, when each is a heavy node that reads it as src alone; -1 otherwise.
int SharedChannelAxis(const Graph& graph, ValueId value) {
  const int rank = static_cast<int>(graph.value(value).shape.size());
  int axis = -1;
  for (const NodeId reader : graph.consumers(value)) {
    const auto& inputs = graph.node(reader).inputs;
    if (!IsHeavy(graph, reader) || std::count(inputs.begin(), inputs.end(), value) != 1 || inputs[0] != value)
      return -1;
    const int wanted = OpIf<ir::MatMul>(graph, reader) ? rank - 1 : 1;
    if (axis >= 0 && axis != wanted) return -1;
    axis = wanted;
  }
  return axis;
}

bool Fold(Graph& graph, NodeId id) {
  const ValueId out = graph.node(id).outputs[0];
  if (graph.node(id).outputs.size() != 1 || graph.IsGraphOutput(out) ||
      (!OpIf<ir::Binary>(graph, id) && !OpIf<ir::Unary>(graph, id)))
    return false;
  const int axis = SharedChannelAxis(graph, out);
  if (axis < 0) return false;
  const auto affine = MatchChannelAffine(graph, id, axis);
  if (!affine) return false;
  const std::vector<NodeId> readers = graph.consumers(out);
  if (!std::all_of(readers.begin(), readers.end(), [&](NodeId r) { return CanScaleInput(graph, r, affine->shifts); }))
    return false;
  for (const NodeId reader : readers) {
    ScaleInput(graph, reader, affine->scale, affine->shift);
    graph.SetInput(reader, 0, affine->variable);
  }
  graph.RemoveNode(id);
  return true;
}

}  // namespace

int FoldInputScale(Graph& graph) {
  int fired = 0;
  const std::vector<NodeId> order = Order(graph);
  for (auto id = order.rbegin(); id != order.rend(); ++id)
    fired += Fold(graph, *id) ? 1 : 0;  // the node nearest to the readers first
  return fired;
}

}  // namespace precis::passes
