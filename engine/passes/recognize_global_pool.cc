// Exporters write global average pooling as ReduceMean over the spatial axes, or as an AveragePool whose window is the whole image.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::NodeId;
using ir::ValueId;

bool IsSpatialMean(const Graph& graph, NodeId id) {
  const auto* reduce = OpIf<ir::Reduce>(graph, id);
  if (reduce == nullptr || (reduce->kind != ir::ReduceKind::kMean && reduce->kind != ir::ReduceKind::kMax))
    return false;
  const size_t rank = graph.value(graph.node(id).inputs[0]).shape.size();
  const auto axes = ReducedAxes(graph, id);
  return rank >= 4 && axes && axes->size() == rank - 2 && axes->front() == 2;  // ascending and distinct: 2, 3, …
}

// ReduceMean -> GlobalPool, and a Reshape where the reduced dimensions are dropped.
void FromReduce(Graph& graph, NodeId id) {
  const ir::Reduce reduce = std::get<ir::Reduce>(graph.node(id).op);
  const ValueId x = graph.node(id).inputs[0], out = graph.node(id).outputs[0];
  graph.node(id).op = ir::GlobalPool{reduce.kind == ir::ReduceKind::kMax ? ir::PoolKind::kMax : ir::PoolKind::kAverage};
  graph.SetInputs(id, {x});
  if (reduce.keep_dims) return;
  Shape pooled = graph.value(x).shape;
  std::fill(pooled.begin() + 2, pooled.end(), 1);
  const std::string name = graph.node(id).name;
  const ValueId y = graph.AddValue(absl::StrCat(graph.value(out).name, "/pooled"), graph.value(out).dtype, pooled);
  graph.SetOutput(id, 0, y);
  const Shape shape = graph.value(out).shape;
  graph.AddNode(absl::StrCat(name, "/reshape"), ir::Reshape{.allow_zero = true},
                {y, AddInt64Constant(graph, absl::StrCat(name, "/shape"), shape)}, {out});
}

bool IsWholeImagePool(const Graph& graph, NodeId id) {
  const auto* pool = OpIf<ir::Pool>(graph, id);
  if (pool == nullptr || graph.node(id).outputs.size() != 1) return false;
  const Shape& shape = graph.value(graph.node(id).inputs[0]).shape;
  const ir::Window& window = pool->window;
  const auto is = [](const ir::Ints& numbers, int64_t n) {
    return std::all_of(numbers.begin(), numbers.end(), [n](int64_t x) { return x == n; });
  };
  return ir::Ints(shape.begin() + 2, shape.end()) == window.kernel && is(window.dilations, 1) &&
         is(window.pads_begin, 0) && is(window.pads_end, 0);
}

}  // namespace

int RecognizeGlobalPool(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    if (!IsReal(graph, graph.node(id).outputs[0])) continue;
    if (IsSpatialMean(graph, id)) {
      FromReduce(graph, id);
      ++fired;
    } else if (IsWholeImagePool(graph, id)) {
      const bool max = std::get<ir::Pool>(graph.node(id).op).kind == ir::PoolKind::kMax;
      graph.node(id).op = ir::GlobalPool{max ? ir::PoolKind::kMax : ir::PoolKind::kAverage};
      ++fired;
    }
  }
  return fired;
}

}  // namespace precis::passes
