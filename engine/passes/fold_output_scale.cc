// scale * y + shift behind a Conv, ConvTranspose or MatMul: the bias of MatMul + Add and of Conv + Add, layer scales, input normalisation.
#include "engine/passes/heavy.h"
#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::kNoNode;
using ir::NodeId;
using ir::ValueId;

bool Fold(Graph& graph, NodeId heavy) {
  const NodeId reader = OnlyReader(graph, graph.node(heavy).outputs[0]);
  if (reader == kNoNode || !CanShiftOutput(graph, heavy)) return false;
  const auto affine = MatchChannelAffine(graph, reader, ChannelAxis(graph, heavy));
  if (!affine || (affine->scales && !CanScaleOutput(graph, heavy))) return false;
  if (affine->scales) ScaleOutput(graph, heavy, affine->scale);
  if (affine->shifts) ShiftOutput(graph, heavy, affine->shift);
  AbsorbReader(graph, heavy, reader);
  return true;
}

}  // namespace

int FoldOutputScale(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    if (!graph.alive(id) || !IsHeavy(graph, id)) continue;
    while (Fold(graph, id)) ++fired;
  }
  return fired;
}

}  // namespace precis::passes
