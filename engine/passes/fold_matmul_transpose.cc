// The K^T of attention, exported as a Transpose of the last two dimensions.
#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::NodeId;

// The Transpose swaps the last two dimensions and nothing else.
bool SwapsLastTwo(const Graph& graph, NodeId id) {
  const auto* transpose = OpIf<ir::Transpose>(graph, id);
  if (transpose == nullptr) return false;
  const int64_t rank = static_cast<int64_t>(graph.value(graph.node(id).inputs[0]).shape.size());
  if (transpose->perm.empty()) return rank == 2;
  for (int64_t i = 0; i < rank; ++i) {
    const int64_t source = i < rank - 2 ? i : 2 * rank - 3 - i;
    if (transpose->perm[static_cast<size_t>(i)] != source) return false;
  }
  return rank >= 2;
}

bool Fold(Graph& graph, NodeId id, size_t slot) {
  const NodeId transpose = InputProducer(graph, id, slot);
  if (!SwapsLastTwo(graph, transpose)) return false;
  graph.SetInput(id, slot, graph.node(transpose).inputs[0]);
  auto& matmul = std::get<ir::MatMul>(graph.node(id).op);
  bool& flag = slot == 0 ? matmul.transpose_a : matmul.transpose_b;
  flag = !flag;
  return true;
}

}  // namespace

int FoldMatMulTranspose(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    if (!OpIf<ir::MatMul>(graph, id)) continue;
    fired += Fold(graph, id, 0) ? 1 : 0;
    fired += Fold(graph, id, 1) ? 1 : 0;
  }
  graph.RemoveDeadNodes();
  return fired;
}

}  // namespace precis::passes
