// Local value numbering over the whole graph: in topological order, a node whose operator, attributes and inputs equal those of an earlier one is
// replaced by it. Only operators that exporters do repeat are compared; heavy nodes never are equal in practice.
#include <cstring>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::kNoValue;
using ir::NodeId;
using ir::ValueId;

// Constants up to this size are compared by content: shapes, axes, scalars, scales.
constexpr size_t kMaxComparedBytes = 4096;

// Equality of attributes for the operators that take part; false for all others.
struct SameAttributes {
  bool operator()(const ir::Unary& a, const ir::Unary& b) const { return a.kind == b.kind && a.alpha == b.alpha && a.beta == b.beta; }
  bool operator()(const ir::Binary& a, const ir::Binary& b) const { return a.kind == b.kind; }
  bool operator()(const ir::Cast& a, const ir::Cast& b) const { return a.to == b.to; }
  bool operator()(const ir::Quantize& a, const ir::Quantize& b) const { return a.axis == b.axis && a.block_size == b.block_size; }
  bool operator()(const ir::Dequantize& a, const ir::Dequantize& b) const { return a.axis == b.axis && a.block_size == b.block_size; }
  bool operator()(const ir::Convert&, const ir::Convert&) const { return true; }
  bool operator()(const ir::Where&, const ir::Where&) const { return true; }
  bool operator()(const ir::Reshape&, const ir::Reshape&) const { return true; }  // same input and same output shape
  bool operator()(const ir::Transpose& a, const ir::Transpose& b) const { return a.perm == b.perm; }
  bool operator()(const ir::Slice&, const ir::Slice&) const { return true; }
  bool operator()(const ir::Expand&, const ir::Expand&) const { return true; }
  bool operator()(const ir::Gather& a, const ir::Gather& b) const { return a.axis == b.axis; }
  bool operator()(const ir::Reduce& a, const ir::Reduce& b) const { return a.kind == b.kind && a.keep_dims == b.keep_dims; }
  template <typename A, typename B>
  bool operator()(const A&, const B&) const {
    return false;
  }
};

bool SameInput(const Graph& graph, ValueId a, ValueId b) {
  if (a == b) return true;
  const Tensor* x = graph.ConstantOrNull(a);
  const Tensor* y = graph.ConstantOrNull(b);
  if (x == nullptr || y == nullptr || !SameType(graph, a, b)) return false;
  return x == y || (x->size_bytes() <= kMaxComparedBytes && std::memcmp(x->data(), y->data(), x->size_bytes()) == 0);
}

bool SameNode(const Graph& graph, NodeId a, NodeId b) {
  const ir::Node& x = graph.node(a);
  const ir::Node& y = graph.node(b);
  if (x.inputs.size() != y.inputs.size() || !SameType(graph, x.outputs[0], y.outputs[0])) return false;
  for (size_t i = 0; i < x.inputs.size(); ++i) {
    if (!SameInput(graph, x.inputs[i], y.inputs[i])) return false;
  }
  return std::visit(SameAttributes{}, x.op, y.op);
}

}  // namespace

int EliminateCommonSubexpressions(Graph& graph) {
  int fired = 0;
  absl::flat_hash_map<std::pair<size_t, ValueId>, std::vector<NodeId>> seen;  // by operator and first input that is computed
  for (const NodeId id : Order(graph)) {
    const ir::Node& node = graph.node(id);
    if (node.outputs.size() != 1 || node.outputs[0] == kNoValue || !node.post_ops.empty()) continue;
    ValueId first = kNoValue;
    for (const ValueId v : node.inputs) {
      if (first == kNoValue && v != kNoValue && !graph.IsConstant(v)) first = v;
    }
    auto& candidates = seen[{node.op.index(), first}];
    bool replaced = false;
    for (const NodeId earlier : candidates) {
      if (replaced || !SameNode(graph, earlier, id)) continue;
      replaced = Bypass(graph, id, graph.node(earlier).outputs[0]);
    }
    if (replaced) {
      ++fired;
    } else {
      candidates.push_back(id);
    }
  }
  return fired;
}

}  // namespace precis::passes
