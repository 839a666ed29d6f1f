// Three kinds of leftovers: nodes whose output equals their input, chains of Reshape or Transpose that one node can do, and Expand nodes
// whose readers broadcast anyway.
#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::kNoNode;
using ir::kNoValue;
using ir::NodeId;
using ir::ValueId;

bool AllEqual(const Graph& graph, ValueId id, int64_t number) {
  const Tensor* tensor = graph.ConstantOrNull(id);
  if (tensor == nullptr) return false;
  const auto numbers = ToInt64(tensor->view());
  return std::all_of(numbers.begin(), numbers.end(), [number](int64_t n) { return n == number; });
}

bool IsReshape(const Graph& graph, NodeId id) {
  return OpIf<ir::Reshape>(graph, id) || OpIf<ir::Flatten>(graph, id) || OpIf<ir::Squeeze>(graph, id) ||
         OpIf<ir::Unsqueeze>(graph, id);
}

// x + 0, x - 0, x * 1, x / 1, x ^ 1.
bool IsNeutralArithmetic(const Graph& graph, NodeId id) {
  const auto operand = MatchConstantOperand(graph, id);
  if (!operand) return false;
  const auto number = UniformConstant(graph, operand->constant);
  if (!number) return false;
  switch (operand->kind) {
    case ir::BinaryKind::kAdd: return *number == 0.0;
    case ir::BinaryKind::kMul: return *number == 1.0;
    case ir::BinaryKind::kSub: return *number == 0.0 && !operand->constant_first;
    case ir::BinaryKind::kDiv:
    case ir::BinaryKind::kPow: return *number == 1.0 && !operand->constant_first;
    default: return false;
  }
}

// The input that the node's only output always equals, or kNoValue.
ValueId EqualInput(const Graph& graph, NodeId id) {
  const ir::Node& node = graph.node(id);
  if (node.inputs.empty() || node.outputs.size() != 1 || node.outputs[0] == kNoValue || !node.post_ops.empty())
    return kNoValue;
  if (OpIf<ir::Binary>(graph, id) && IsNeutralArithmetic(graph, id)) return MatchConstantOperand(graph, id)->variable;
  const ValueId x = node.inputs[0];
  if (x == kNoValue || !SameType(graph, x, node.outputs[0])) return kNoValue;
  if (OpIf<ir::Identity>(graph, id) || OpIf<ir::Cast>(graph, id) || OpIf<ir::Convert>(graph, id) ||
      IsReshape(graph, id) || OpIf<ir::Expand>(graph, id) || OpIf<ir::Tile>(graph, id) || OpIf<ir::Split>(graph, id)) {
    return x;
  }
  if (OpIf<ir::Concat>(graph, id) && node.inputs.size() == 1) return x;
  if (const auto* transpose = OpIf<ir::Transpose>(graph, id)) {
    return !transpose->perm.empty() && std::is_sorted(transpose->perm.begin(), transpose->perm.end()) ? x : kNoValue;
  }
  if (OpIf<ir::Pad>(graph, id)) return AllEqual(graph, graph.Input(id, 1), 0) ? x : kNoValue;
  if (OpIf<ir::Slice>(graph, id)) {
    const ValueId steps = graph.Input(id, 4);
    return steps == kNoValue || AllEqual(graph, steps, 1) ? x : kNoValue;
  }
  if (const auto* unary = OpIf<ir::Unary>(graph, id); unary != nullptr && unary->kind == ir::UnaryKind::kClip) {
    return unary->alpha <= std::numeric_limits<float>::lowest() && unary->beta >= std::numeric_limits<float>::max()
               ? x
               : kNoValue;
  }
  return kNoValue;
}

void MakeReshape(Graph& graph, NodeId id, ValueId source) {
  const Shape shape = graph.value(graph.node(id).outputs[0]).shape;
  graph.node(id).op = ir::Reshape{.allow_zero = true};
  graph.SetInputs(id, {source, AddInt64Constant(graph, absl::StrCat(graph.node(id).name, "/shape"), shape)});
}

ir::Ints PermOf(const Graph& graph, NodeId id) {
  ir::Ints perm = std::get<ir::Transpose>(graph.node(id).op).perm;
  if (perm.empty()) {
    for (int64_t d = static_cast<int64_t>(graph.value(graph.node(id).inputs[0]).shape.size()); d-- > 0;)
      perm.push_back(d);
  }
  return perm;
}

// A Reshape of a reshape, or a Transpose of a transpose, reads the first one's input.
bool MergeChain(Graph& graph, NodeId id) {
  const NodeId first = InputProducer(graph, id, 0);
  if (first == kNoNode) return false;
  if (IsReshape(graph, id) && IsReshape(graph, first)) {
    MakeReshape(graph, id, graph.node(first).inputs[0]);
    return true;
  }
  if (OpIf<ir::Transpose>(graph, id) && OpIf<ir::Transpose>(graph, first)) {
    const ir::Ints inner = PermOf(graph, first);
    ir::Ints perm = PermOf(graph, id);
    for (int64_t& d : perm) d = inner[static_cast<size_t>(d)];
    std::get<ir::Transpose>(graph.node(id).op).perm = std::move(perm);
    graph.SetInput(id, 0, graph.node(first).inputs[0]);
    return true;
  }
  return false;
}

// A Transpose that keeps the order of all dimensions but those of 1 moves no byte.
bool TransposeToReshape(Graph& graph, NodeId id) {
  if (!OpIf<ir::Transpose>(graph, id)) return false;
  const Shape& shape = graph.value(graph.node(id).inputs[0]).shape;
  int64_t last = -1;
  for (const int64_t d : PermOf(graph, id)) {
    if (shape[static_cast<size_t>(d)] == 1) continue;
    if (d < last) return false;
    last = d;
  }
  MakeReshape(graph, id, graph.node(id).inputs[0]);
  return true;
}

// Shape of a and b broadcast against each other, which are known to fit.
Shape Broadcast(const Shape& a, const Shape& b) {
  Shape shape(std::max(a.size(), b.size()));
  for (size_t i = 0; i < shape.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1, y = i < b.size() ? b[b.size() - 1 - i] : 1;
    shape[shape.size() - 1 - i] = x == 1 ? y : x;
  }
  return shape;
}

// The node reads the input of an Expand where its own broadcasting gives the same result.
bool SkipExpand(Graph& graph, NodeId id) {
  if (!OpIf<ir::Binary>(graph, id) || !graph.node(id).post_ops.empty()) return false;
  for (const size_t slot : {0, 1}) {
    const NodeId expand = InputProducer(graph, id, slot);
    if (!OpIf<ir::Expand>(graph, expand)) continue;
    const ValueId source = graph.node(expand).inputs[0], other = graph.node(id).inputs[1 - slot];
    if (Broadcast(graph.value(source).shape, graph.value(other).shape) != graph.value(graph.node(id).outputs[0]).shape)
      continue;
    graph.SetInput(id, slot, source);
    return true;
  }
  return false;
}

}  // namespace

int RemoveNoOps(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    if (MergeChain(graph, id)) ++fired;
    if (TransposeToReshape(graph, id)) {
      ++fired;
      MergeChain(graph, id);
    }
    if (SkipExpand(graph, id)) ++fired;
    if (const ValueId x = EqualInput(graph, id); x != kNoValue && Bypass(graph, id, x)) ++fired;
  }
  graph.RemoveDeadNodes();
  return fired;
}

}  // namespace precis::passes
