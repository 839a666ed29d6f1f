// The query, key and value projections of attention multiply one tensor by three matrices. One product with the matrices side by side reads the
// tensor once and has wider rows to work on; a Split hands the parts out.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/passes/heavy.h"
#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::kNoValue;
using ir::NodeId;
using ir::ValueId;

constexpr size_t kWeights = 1, kBias = 2;

int64_t Columns(const Graph& graph, NodeId id) { return graph.value(graph.node(id).outputs[0]).shape.back(); }

// x (input 0) times a constant f32 matrix, plus a constant row or nothing.
bool IsProjection(const Graph& graph, NodeId id, ValueId x) {
  const auto* matmul = OpIf<ir::MatMul>(graph, id);
  if (matmul == nullptr || matmul->transpose_a || graph.node(id).inputs[0] != x || graph.value(x).shape.size() < 2)
    return false;
  const Tensor* weights = graph.ConstantOrNull(graph.node(id).inputs[kWeights]);
  if (weights == nullptr || weights->dtype() != DataType::kF32 || weights->shape().size() != 2) return false;
  const ValueId bias = graph.Input(id, kBias);
  if (bias != kNoValue && (!graph.IsConstant(bias) || graph.value(bias).shape != Shape{Columns(graph, id)}))
    return false;
  return graph.node(id).post_ops.empty();
}

bool SameForm(const Graph& graph, NodeId a, NodeId b) {
  const auto &x = std::get<ir::MatMul>(graph.node(a).op), &y = std::get<ir::MatMul>(graph.node(b).op);
  return x.transpose_b == y.transpose_b && x.alpha == y.alpha &&
         (graph.Input(a, kBias) == kNoValue) == (graph.Input(b, kBias) == kNoValue);
}

// The matrices of `nodes` side by side (one below the other when they are transposed).
Tensor JoinWeights(const Graph& graph, const std::vector<NodeId>& nodes, int64_t columns) {
  const int64_t k = graph.value(graph.node(nodes[0]).inputs[0]).shape.back();
  const bool transposed = std::get<ir::MatMul>(graph.node(nodes[0]).op).transpose_b;
  Tensor joined(DataType::kF32, transposed ? Shape{columns, k} : Shape{k, columns});
  const int64_t rows = transposed ? 1 : k;  // transposed matrices are one long row each
  float* to = joined.As<float>().data();
  for (int64_t row = 0; row < rows; ++row) {
    for (const NodeId id : nodes) {
      const auto from = graph.ConstantOrNull(graph.node(id).inputs[kWeights])->As<float>();
      const int64_t width = static_cast<int64_t>(from.size()) / rows;
      to = std::copy_n(from.data() + row * width, width, to);
    }
  }
  return joined;
}

Tensor JoinBiases(const Graph& graph, const std::vector<NodeId>& nodes, int64_t columns) {
  Tensor joined(DataType::kF32, {columns});
  float* to = joined.As<float>().data();
  for (const NodeId id : nodes) {
    const auto from = graph.ConstantOrNull(graph.Input(id, kBias))->As<float>();
    to = std::copy(from.begin(), from.end(), to);
  }
  return joined;
}

// The first node does the work of all; its name stays.
void Merge(Graph& graph, const std::vector<NodeId>& nodes) {
  const NodeId first = nodes[0];
  ir::Ints widths;
  std::vector<ValueId> parts;
  for (const NodeId id : nodes) {
    widths.push_back(Columns(graph, id));
    parts.push_back(graph.node(id).outputs[0]);
  }
  Shape shape = graph.value(parts[0]).shape;
  shape.back() = 0;
  for (const int64_t width : widths) shape.back() += width;
  Tensor weights = JoinWeights(graph, nodes, shape.back());
  if (graph.Input(first, kBias) != kNoValue)
    ReplaceConstantInput(graph, first, kBias, JoinBiases(graph, nodes, shape.back()));
  ReplaceConstantInput(graph, first, kWeights, std::move(weights));
  for (size_t i = 1; i < nodes.size(); ++i) graph.RemoveNode(nodes[i]);
  const ValueId merged = graph.AddValue(absl::StrCat(graph.value(parts[0]).name, "/merged"), DataType::kF32, shape);
  graph.SetOutput(first, 0, merged);
  const std::string name = graph.node(first).name;
  graph.AddNode(absl::StrCat(name, "/split"),
                ir::Split{static_cast<int64_t>(shape.size()) - 1, static_cast<int64_t>(nodes.size())},
                {merged, AddInt64Constant(graph, absl::StrCat(name, "/widths"), widths)}, parts);
}

}  // namespace

int MergeParallelMatMuls(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    const ValueId x = graph.alive(id) ? graph.Input(id, 0) : kNoValue;
    if (x == kNoValue || !IsProjection(graph, id, x)) continue;
    std::vector<NodeId> nodes;
    for (const NodeId reader : graph.consumers(x)) {
      if (IsProjection(graph, reader, x) && SameForm(graph, id, reader)) nodes.push_back(reader);
    }
    if (nodes.size() < 2) continue;
    std::sort(nodes.begin(), nodes.end());
    Merge(graph, nodes);
    ++fired;
  }
  return fired;
}

}  // namespace precis::passes
