// Evaluates a graph over polynomials instead of numbers.
#include "engine/passes/polynomial.h"

#include <algorithm>
#include <cmath>

#include "engine/passes/match.h"

namespace precis::passes {
namespace {

// The deepest spelling known (tanh GELU with x^3 as two products) is six nodes deep.
constexpr int kMaxDepth = 8;
constexpr double kRelativeTolerance = 1e-5;

Polynomial Linear(const Polynomial& p, double scale, double shift) {
  Polynomial result = p;
  for (auto& row : result.coefficient) {
    for (double& c : row) c *= scale;
  }
  result.coefficient[0][0] += shift;
  return result;
}

Polynomial Sum(const Polynomial& a, const Polynomial& b, double sign) {
  Polynomial result = a;
  for (size_t i = 0; i < a.coefficient.size(); ++i) {
    for (size_t j = 0; j < 2; ++j) result.coefficient[i][j] += sign * b.coefficient[i][j];
  }
  return result;
}

std::optional<Polynomial> Product(const Polynomial& a, const Polynomial& b) {
  Polynomial result;
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < 4; ++j) {
      const double c = a.coefficient[i / 4][j / 2] * b.coefficient[i % 4][j % 2];
      if (c == 0.0) continue;
      const size_t x = i / 4 + i % 4, t = j / 2 + j % 2;
      if (x >= 4 || t >= 2) return std::nullopt;
      result.coefficient[x][t] += c;
    }
  }
  return result;
}

std::optional<Polynomial> Evaluate(const ir::Graph& graph, ir::ValueId v, ir::ValueId x, ir::ValueId t, int depth);

std::optional<Polynomial> EvaluatePower(const ir::Graph& graph, const ir::Node& node, ir::ValueId x, ir::ValueId t,
                                        int depth) {
  const auto exponent = UniformConstant(graph, node.inputs[1]);
  if (!exponent || (*exponent != 2.0 && *exponent != 3.0)) return std::nullopt;
  const auto base = Evaluate(graph, node.inputs[0], x, t, depth);
  auto power = base ? Product(*base, *base) : std::nullopt;
  return power && *exponent == 3.0 ? Product(*power, *base) : power;
}

std::optional<Polynomial> Evaluate(const ir::Graph& graph, ir::ValueId v, ir::ValueId x, ir::ValueId t, int depth) {
  if (v == ir::kNoValue) return std::nullopt;
  if (v == x || v == t) {
    Polynomial p;
    (v == x ? p.coefficient[1][0] : p.coefficient[0][1]) = 1.0;
    return p;
  }
  const ir::NodeId id = graph.producer(v);
  if (depth == 0 || id == ir::kNoNode || !graph.node(id).post_ops.empty()) return std::nullopt;
  const ir::Node& node = graph.node(id);
  if (const auto* unary = std::get_if<ir::Unary>(&node.op); unary != nullptr && unary->kind == ir::UnaryKind::kLinear) {
    const auto p = Evaluate(graph, node.inputs[0], x, t, depth - 1);
    return p ? std::optional(Linear(*p, unary->alpha, unary->beta)) : std::nullopt;
  }
  const auto* binary = std::get_if<ir::Binary>(&node.op);
  if (binary == nullptr) return std::nullopt;
  if (binary->kind == ir::BinaryKind::kPow) return EvaluatePower(graph, node, x, t, depth - 1);
  const auto a = Evaluate(graph, node.inputs[0], x, t, depth - 1);
  const auto b = a ? Evaluate(graph, node.inputs[1], x, t, depth - 1) : std::nullopt;
  if (!b) return std::nullopt;
  switch (binary->kind) {
    case ir::BinaryKind::kAdd: return Sum(*a, *b, 1.0);
    case ir::BinaryKind::kSub: return Sum(*a, *b, -1.0);
    case ir::BinaryKind::kMul: return Product(*a, *b);
    default: return std::nullopt;
  }
}

}  // namespace

bool Polynomial::Matches(const Polynomial& other) const {
  for (size_t i = 0; i < coefficient.size(); ++i) {
    for (size_t j = 0; j < 2; ++j) {
      const double a = coefficient[i][j], b = other.coefficient[i][j];
      if (std::abs(a - b) > kRelativeTolerance * std::max(std::abs(a), std::abs(b))) return false;
    }
  }
  return true;
}

std::optional<Polynomial> PolynomialOf(const ir::Graph& graph, ir::ValueId v, ir::ValueId x, ir::ValueId t) {
  return Evaluate(graph, v, x, t, kMaxDepth);
}

}  // namespace precis::passes
