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

// Whether two nodes of one operator have the same attributes; false for operators that do not take part.
struct SameAttributes {
  const ir::Op& other;
  template <typename T>
  const T& Other() const {
    return std::get<T>(other);
  }
  bool operator()(const ir::Unary& a) const {
    const auto& b = Other<ir::Unary>();
    return a.kind == b.kind && a.alpha == b.alpha && a.beta == b.beta;
  }
  bool operator()(const ir::Reduce& a) const {
    const auto& b = Other<ir::Reduce>();
    return a.kind == b.kind && a.keep_dims == b.keep_dims && a.noop_with_empty_axes == b.noop_with_empty_axes;
  }
  bool operator()(const ir::Binary& a) const { return a.kind == Other<ir::Binary>().kind; }
  bool operator()(const ir::Cast& a) const { return a.to == Other<ir::Cast>().to; }
  bool operator()(const ir::Transpose& a) const { return a.perm == Other<ir::Transpose>().perm; }
  bool operator()(const ir::Gather& a) const { return a.axis == Other<ir::Gather>().axis; }
  bool operator()(const ir::Convert&) const { return true; }
  bool operator()(const ir::Where&) const { return true; }
  bool operator()(const ir::Reshape&) const { return true; }  // same input and same output shape
  bool operator()(const ir::Slice&) const { return true; }
  bool operator()(const ir::Expand&) const { return true; }
  template <typename T>
  bool operator()(const T&) const {
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
  if (x.op.index() != y.op.index() || x.inputs.size() != y.inputs.size() ||
      !SameType(graph, x.outputs[0], y.outputs[0]))
    return false;
  for (size_t i = 0; i < x.inputs.size(); ++i) {
    if (!SameInput(graph, x.inputs[i], y.inputs[i])) return false;
  }
  return std::visit(SameAttributes{y.op}, x.op);
}

}  // namespace

int EliminateCommonSubexpressions(Graph& graph) {
  int fired = 0;
  absl::flat_hash_map<std::pair<size_t, ValueId>, std::vector<NodeId>>
      seen;  // by operator and first input that is computed
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
