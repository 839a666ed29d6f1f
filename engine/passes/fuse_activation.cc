// Activations behind a heavy or arithmetic node are applied while its result is still in registers.
#include "engine/passes/heavy.h"
#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::BinaryKind;
using ir::Graph;
using ir::kNoNode;
using ir::NodeId;
using ir::UnaryKind;

// What oneDNN applies as an eltwise post-op and networks use behind a layer.
bool IsActivation(UnaryKind kind) {
  switch (kind) {
    case UnaryKind::kRelu:
    case UnaryKind::kLeakyRelu:
    case UnaryKind::kElu:
    case UnaryKind::kClip:
    case UnaryKind::kSigmoid:
    case UnaryKind::kHardSigmoid:
    case UnaryKind::kHardSwish:
    case UnaryKind::kSilu:
    case UnaryKind::kMish:
    case UnaryKind::kTanh:
    case UnaryKind::kGeluErf:
    case UnaryKind::kGeluTanh:
    case UnaryKind::kSoftplus:
    case UnaryKind::kAbs:
    case UnaryKind::kLinear: return true;
    default: return false;
  }
}

bool IsArithmetic(const Graph& graph, NodeId id) {
  const auto* binary = OpIf<ir::Binary>(graph, id);
  return binary != nullptr && (binary->kind == BinaryKind::kAdd || binary->kind == BinaryKind::kSub ||
                               binary->kind == BinaryKind::kMul || binary->kind == BinaryKind::kDiv);
}

bool Fuse(Graph& graph, NodeId id) {
  const ir::ValueId out = graph.node(id).outputs[0];
  const NodeId reader = OnlyReader(graph, out);
  const auto* unary = OpIf<ir::Unary>(graph, reader);
  if (unary == nullptr || !IsActivation(unary->kind) || !graph.node(reader).post_ops.empty()) return false;
  if (!SameType(graph, out, graph.node(reader).outputs[0])) return false;
  graph.node(id).post_ops.push_back({.kind = ir::PostOp::Kind::kUnary, .unary = *unary});
  AbsorbReader(graph, id, reader);
  return true;
}

}  // namespace

int FuseActivation(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    if (!graph.alive(id) || (!IsHeavy(graph, id) && !IsArithmetic(graph, id)) ||
        !IsReal(graph, graph.node(id).outputs[0]))
      continue;
    while (Fuse(graph, id)) ++fired;
  }
  return fired;
}

}  // namespace precis::passes
