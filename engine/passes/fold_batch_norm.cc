// Inference batch norm (Ioffe & Szegedy 2015, arXiv:1502.03167) is y = s * x + t per channel with s = gamma / sqrt(variance + eps) and
// t = beta - mean * s. Behind a heavy node it moves into weights and bias; elsewhere it is spelled Mul and Add, which other passes fold further.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/passes/heavy.h"
#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::kNoNode;
using ir::NodeId;
using ir::ValueId;

struct Affine {
  std::vector<double> scale, shift;
};

std::optional<Affine> AffineOf(const Graph& graph, NodeId id) {
  const auto* op = OpIf<ir::BatchNorm>(graph, id);
  if (op == nullptr || graph.value(graph.node(id).outputs[0]).dtype != DataType::kF32) return std::nullopt;
  std::vector<float> parameters[4];  // gamma, beta, mean, variance
  for (size_t i = 0; i < 4; ++i) {
    const Tensor* tensor = graph.ConstantOrNull(graph.Input(id, i + 1));
    if (tensor == nullptr) return std::nullopt;
    parameters[i] = ToFloat(tensor->view());
  }
  const auto& [gamma, beta, mean, variance] = parameters;
  Affine affine;
  for (size_t c = 0; c < gamma.size(); ++c) {
    affine.scale.push_back(gamma[c] / std::sqrt(double{variance[c]} + op->epsilon));
    affine.shift.push_back(beta[c] - mean[c] * affine.scale[c]);
  }
  return affine;
}

bool FoldIntoProducer(Graph& graph, NodeId id, const Affine& affine) {
  const ValueId x = graph.node(id).inputs[0];
  const NodeId heavy = graph.producer(x);
  if (heavy == kNoNode || OnlyReader(graph, x) != id || !CanScaleOutput(graph, heavy) || ChannelAxis(graph, heavy) != 1)
    return false;
  ScaleOutput(graph, heavy, affine.scale);
  ShiftOutput(graph, heavy, affine.shift);
  AbsorbReader(graph, heavy, id);
  return true;
}

// The Transpose that computes x when all that reads the batch norm are Transposes too: moving the arithmetic in front lets them meet.
NodeId TransposeToCross(const Graph& graph, NodeId id) {
  const ValueId x = graph.node(id).inputs[0];
  const NodeId transpose = graph.producer(x);
  if (!OpIf<ir::Transpose>(graph, transpose) || OnlyReader(graph, x) != id) return kNoNode;
  const ValueId out = graph.node(id).outputs[0];
  if (graph.IsGraphOutput(out) || graph.consumers(out).empty()) return kNoNode;
  for (const NodeId reader : graph.consumers(out)) {
    if (!OpIf<ir::Transpose>(graph, reader)) return kNoNode;
  }
  return transpose;
}

// Constant that broadcasts along `axis` of a tensor of `rank`.
ValueId AddChannelConstant(Graph& graph, const std::string& name, const std::vector<double>& numbers, size_t rank,
                           size_t axis) {
  Shape shape(rank - axis, 1);
  shape[0] = static_cast<int64_t>(numbers.size());
  return graph.AddConstant(name, Tensor::From<float>(shape, std::vector<float>(numbers.begin(), numbers.end())));
}

// The batch norm node becomes the Add; a new Mul feeds it.
void SpellOut(Graph& graph, NodeId id, const Affine& affine) {
  size_t axis = 1;
  if (const NodeId transpose = TransposeToCross(graph, id); transpose != kNoNode) {
    // x -> Transpose -> BatchNorm -> y becomes x -> BatchNorm' -> Transpose -> y, with the channels where x has them.
    const ir::Transpose op = std::get<ir::Transpose>(graph.node(transpose).op);
    const ValueId x = graph.node(transpose).inputs[0], y = graph.node(id).outputs[0];
    const size_t rank = graph.value(x).shape.size();
    axis = op.perm.empty() ? rank - 2 : static_cast<size_t>(op.perm[1]);
    const ValueId normalized =
        graph.AddValue(absl::StrCat(graph.value(y).name, "/untransposed"), DataType::kF32, graph.value(x).shape);
    graph.SetInput(id, 0, x);
    graph.SetOutput(id, 0, normalized);
    graph.SetInput(transpose, 0, normalized);
    graph.SetOutput(transpose, 0, y);
  }
  const ValueId x = graph.node(id).inputs[0];
  const std::string name = graph.node(id).name;
  const Shape shape = graph.value(x).shape;
  const ValueId scaled =
      graph.AddValue(absl::StrCat(graph.value(graph.node(id).outputs[0]).name, "/scaled"), DataType::kF32, shape);
  const ValueId scale = AddChannelConstant(graph, absl::StrCat(name, "/scale"), affine.scale, shape.size(), axis);
  const ValueId shift = AddChannelConstant(graph, absl::StrCat(name, "/shift"), affine.shift, shape.size(), axis);
  graph.AddNode(absl::StrCat(name, "/mul"), ir::Binary{ir::BinaryKind::kMul}, {x, scale}, {scaled});
  graph.node(id).op = ir::Binary{ir::BinaryKind::kAdd};
  graph.SetInputs(id, {scaled, shift});
}

}  // namespace

int FoldBatchNorm(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    const auto affine = AffineOf(graph, id);
    if (!affine) continue;
    if (!FoldIntoProducer(graph, id, *affine)) SpellOut(graph, id, *affine);
    ++fired;
  }
  return fired;
}

}  // namespace precis::passes
