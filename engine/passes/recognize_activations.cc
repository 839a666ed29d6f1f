// Every activation here is outer(x, t) with a gate t = g(inner(x)), where outer and inner are polynomials:
//   GELU          0.5 x (1 + erf(x / sqrt 2))                            Hendrycks & Gimpel 2016, arXiv:1606.08415
//   GELU, tanh    0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))        the same, its approximation
//   SiLU          x sigmoid(x)
//   HardSwish     x hard_sigmoid(x) = x clip(x + 3, 0, 6) / 6            Howard et al. 2019, arXiv:1905.02244
// Starting from each gate, the pass looks for an x that makes inner fit, then follows the gate's only readers until outer fits.
#include <cmath>
#include <numbers>
#include <vector>

#include "engine/passes/match.h"
#include "engine/passes/polynomial.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::kNoNode;
using ir::kNoValue;
using ir::NodeId;
using ir::Unary;
using ir::UnaryKind;
using ir::ValueId;

struct Spelling {
  Unary gate;
  Polynomial inner;  // of x
  Polynomial outer;  // of x and t
  UnaryKind result;
};

Polynomial Inner(double constant, double linear, double cubic = 0.0) {
  return {{{{constant, 0}, {linear, 0}, {0, 0}, {cubic, 0}}}};
}
// x * (a + b t)
Polynomial Gated(double a, double b) { return {{{{0, 0}, {a, b}, {0, 0}, {0, 0}}}}; }

std::vector<Spelling> Spellings() {
  const double root = std::sqrt(2.0 / std::numbers::pi);
  return {
      {{UnaryKind::kErf}, Inner(0, std::numbers::sqrt2 / 2), Gated(0.5, 0.5), UnaryKind::kGeluErf},
      {{UnaryKind::kTanh}, Inner(0, root, root * 0.044715), Gated(0.5, 0.5), UnaryKind::kGeluTanh},
      {{UnaryKind::kSigmoid}, Inner(0, 1), Gated(0, 1), UnaryKind::kSilu},
      {{UnaryKind::kHardSigmoid, 1.0f / 6, 0.5f}, Inner(0, 1), Gated(0, 1), UnaryKind::kHardSwish},
      {{UnaryKind::kClip, 0.0f, 6.0f}, Inner(3, 1), Gated(0, 1.0 / 6), UnaryKind::kHardSwish},
      {{UnaryKind::kClip, 0.0f, 1.0f}, Inner(0.5, 1.0 / 6), Gated(0, 1), UnaryKind::kHardSwish},
  };
}

bool SameGate(const Unary& a, const Unary& b) {
  return a.kind == b.kind && std::abs(a.alpha - b.alpha) < 1e-6f && std::abs(a.beta - b.beta) < 1e-6f;
}

// Computed values that `v` is arithmetic of, `v` itself included.
std::vector<ValueId> Sources(const Graph& graph, ValueId v) {
  constexpr size_t kMaxSources = 12;
  std::vector<ValueId> sources = {v};
  for (size_t i = 0; i < sources.size() && sources.size() < kMaxSources; ++i) {
    const NodeId id = graph.producer(sources[i]);
    if (!OpIf<ir::Binary>(graph, id) && !IsUnary(graph, id, UnaryKind::kLinear)) continue;
    for (const ValueId input : graph.node(id).inputs) {
      if (!graph.IsConstant(input)) sources.push_back(input);
    }
  }
  return sources;
}

// The node behind gate value t that computes outer(x, t); kNoNode where nothing does.
NodeId FindRoot(const Graph& graph, ValueId x, ValueId t, const Polynomial& outer) {
  constexpr int kMaxSteps = 5;
  ValueId v = t;
  for (int step = 0; step < kMaxSteps; ++step) {
    const NodeId reader = OnlyReader(graph, v);
    if (!OpIf<ir::Binary>(graph, reader) && !IsUnary(graph, reader, UnaryKind::kLinear)) return kNoNode;
    v = graph.node(reader).outputs[0];
    if (const auto p = PolynomialOf(graph, v, x, t); p && p->Matches(outer)) return reader;
  }
  return kNoNode;
}

bool Recognize(Graph& graph, NodeId gate, const Spelling& spelling) {
  const ValueId t = graph.node(gate).outputs[0];
  for (const ValueId x : Sources(graph, graph.node(gate).inputs[0])) {
    const auto inner = PolynomialOf(graph, graph.node(gate).inputs[0], x, kNoValue);
    if (!inner || !inner->Matches(spelling.inner)) continue;
    const NodeId root = FindRoot(graph, x, t, spelling.outer);
    if (root == kNoNode || !SameType(graph, x, graph.node(root).outputs[0])) continue;
    graph.node(root).op = Unary{spelling.result};
    graph.SetInputs(root, {x});
    return true;
  }
  return false;
}

}  // namespace

int RecognizeActivations(Graph& graph) {
  const std::vector<Spelling> spellings = Spellings();
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    const auto* gate = OpIf<Unary>(graph, id);
    if (gate == nullptr || !graph.node(id).post_ops.empty() || !IsReal(graph, graph.node(id).outputs[0])) continue;
    for (const Spelling& spelling : spellings) {
      if (!SameGate(*gate, spelling.gate) || !Recognize(graph, id, spelling)) continue;
      ++fired;
      break;
    }
  }
  graph.RemoveDeadNodes();
  return fired;
}

}  // namespace precis::passes
