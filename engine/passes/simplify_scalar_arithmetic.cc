// One spelling for arithmetic with a single number: y = alpha * x + beta, and products, roots and inverses for powers.
// Exporters write attention scales, GELU and input normalisation as chains of Mul, Div, Add and Sub; later passes match kLinear alone.
#include <cmath>
#include <limits>

#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::BinaryKind;
using ir::Graph;
using ir::NodeId;
using ir::Unary;
using ir::UnaryKind;

// `x op number` (or `number op x`) as a Unary, where there is one.
std::optional<Unary> AsUnary(BinaryKind kind, double number, bool number_first) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float c = static_cast<float>(number);
  switch (kind) {
    case BinaryKind::kAdd: return Unary{UnaryKind::kLinear, 1.0f, c};
    case BinaryKind::kSub:
      return number_first ? Unary{UnaryKind::kLinear, -1.0f, c} : Unary{UnaryKind::kLinear, 1.0f, -c};
    case BinaryKind::kMul: return Unary{UnaryKind::kLinear, c, 0.0f};
    case BinaryKind::kDiv:
      if (number_first || c == 0.0f) return std::nullopt;
      return Unary{UnaryKind::kLinear, static_cast<float>(1.0 / number), 0.0f};
    case BinaryKind::kMax: return c == 0.0f ? Unary{UnaryKind::kRelu} : Unary{UnaryKind::kClip, c, kInfinity};
    case BinaryKind::kMin: return Unary{UnaryKind::kClip, -kInfinity, c};
    case BinaryKind::kPrelu:
      if (number_first) return std::nullopt;
      return Unary{UnaryKind::kLeakyRelu, c};
    default: return std::nullopt;
  }
}

// Powers that have an operator of their own, which is faster and exact.
bool SimplifyPower(Graph& graph, NodeId id, ir::ValueId base, double exponent) {
  if (exponent == 2.0) {
    graph.node(id).op = ir::Binary{BinaryKind::kMul};
    graph.SetInputs(id, {base, base});
  } else if (exponent == 0.5 || exponent == -1.0) {
    graph.node(id).op = Unary{exponent == 0.5 ? UnaryKind::kSqrt : UnaryKind::kReciprocal};
    graph.SetInputs(id, {base});
  } else {
    return false;
  }
  return true;
}

bool Canonicalize(Graph& graph, NodeId id) {
  if (!IsReal(graph, graph.node(id).outputs[0]) || !graph.node(id).post_ops.empty()) return false;
  if (IsUnary(graph, id, UnaryKind::kNeg)) {
    graph.node(id).op = Unary{UnaryKind::kLinear, -1.0f, 0.0f};
    return true;
  }
  if (auto* unary = OpIf<Unary>(graph, id); unary != nullptr && unary->kind == UnaryKind::kClip &&
                                            unary->alpha == 0.0f && unary->beta >= std::numeric_limits<float>::max()) {
    *unary = Unary{UnaryKind::kRelu};
    return true;
  }
  const auto operand = MatchConstantOperand(graph, id);
  const auto number = operand ? UniformConstant(graph, operand->constant) : std::nullopt;
  if (!number || !std::isfinite(static_cast<float>(*number))) return false;
  if (operand->kind == BinaryKind::kPow && !operand->constant_first)
    return SimplifyPower(graph, id, operand->variable, *number);
  const auto unary = AsUnary(operand->kind, *number, operand->constant_first);
  if (!unary || !std::isfinite(unary->kind == UnaryKind::kLinear ? unary->alpha : 0.0f)) return false;
  graph.node(id).op = *unary;
  graph.SetInputs(id, {operand->variable});
  return true;
}

// linear2(linear1(x)) -> linear(x); clip2(clip1(x)) -> clip(x).
bool MergeWithProducer(Graph& graph, NodeId id) {
  const NodeId first = InputProducer(graph, id, 0);
  auto* outer = OpIf<Unary>(graph, id);
  const auto* inner = OpIf<Unary>(graph, first);
  if (outer == nullptr || inner == nullptr || outer->kind != inner->kind || !graph.node(id).post_ops.empty() ||
      !graph.node(first).post_ops.empty() || OnlyReader(graph, graph.node(id).inputs[0]) != id) {
    return false;
  }
  Unary merged = *outer;
  if (outer->kind == UnaryKind::kLinear) {
    merged.alpha = static_cast<float>(double{outer->alpha} * inner->alpha);
    merged.beta = static_cast<float>(double{outer->alpha} * inner->beta + outer->beta);
    if (!std::isfinite(merged.alpha) || !std::isfinite(merged.beta)) return false;
  } else if (outer->kind == UnaryKind::kClip) {
    merged.alpha = std::fmin(std::fmax(inner->alpha, outer->alpha), outer->beta);
    merged.beta = std::fmin(std::fmax(inner->beta, outer->alpha), outer->beta);
  } else {
    return false;
  }
  *outer = merged;
  graph.SetInput(id, 0, graph.node(first).inputs[0]);
  graph.RemoveNode(first);
  return true;
}

}  // namespace

int SimplifyScalarArithmetic(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    if (Canonicalize(graph, id)) ++fired;
    if (MergeWithProducer(graph, id)) ++fired;
    const auto* unary = OpIf<Unary>(graph, id);
    if (IsUnary(graph, id, UnaryKind::kLinear) && unary->alpha == 1.0f && unary->beta == 0.0f) {
      fired += Bypass(graph, id, graph.node(id).inputs[0]) ? 1 : 0;
    }
  }
  return fired;
}

}  // namespace precis::passes
