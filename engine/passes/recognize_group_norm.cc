// Group normalisation (Wu and He 2018, arXiv:1803.08494) as exporters spell it before opset 21: an InstanceNorm of [N, groups, rest], between
// Reshapes from and to [N, C, spatial…], then gamma and beta per channel. One node reads the channels where they lie, in any layout.
#include <algorithm>

#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::NodeId;
using ir::ValueId;

// The numbers per group of InstanceNorm's input `slot`, repeated for the channels of each group.
std::optional<std::vector<double>> PerChannel(const Graph& graph, NodeId id, size_t slot, size_t channels) {
  const Shape& shape = graph.value(graph.node(id).outputs[0]).shape;
  const Tensor* tensor = graph.ConstantOrNull(graph.Input(id, slot));
  if (tensor == nullptr || tensor->dtype() != DataType::kF32) return std::nullopt;
  const auto numbers = tensor->As<float>();
  const size_t per_group = channels / static_cast<size_t>(shape[1]);
  std::vector<double> repeated;
  for (float x : numbers) repeated.insert(repeated.end(), per_group, x);
  return repeated;
}

Tensor VectorOf(const std::vector<double>& numbers) {
  Tensor tensor(DataType::kF32, {static_cast<int64_t>(numbers.size())});
  std::copy(numbers.begin(), numbers.end(), tensor.As<float>().begin());
  return tensor;
}

bool Recognize(Graph& graph, NodeId id) {
  const auto* norm = OpIf<ir::InstanceNorm>(graph, id);
  if (norm == nullptr || !graph.node(id).post_ops.empty()) return false;
  const NodeId before = InputProducer(graph, id, 0), after = OnlyReader(graph, graph.node(id).outputs[0]);
  if (OpIf<ir::Reshape>(graph, before) == nullptr || OpIf<ir::Reshape>(graph, after) == nullptr) return false;
  const ValueId src = graph.node(before).inputs[0];
  const Shape shape = graph.value(src).shape, grouped = graph.value(graph.node(id).outputs[0]).shape;
  if (shape.size() < 3 || shape.size() > 5 || grouped[0] != shape[0] || grouped[1] < 1 || shape[1] % grouped[1] != 0 ||
      graph.value(graph.node(after).outputs[0]).shape != shape) {
    return false;
  }
  const auto channels = static_cast<size_t>(shape[1]);
  auto scale = PerChannel(graph, id, 1, channels), shift = PerChannel(graph, id, 2, channels);
  if (!scale || !shift) return false;
  graph.node(id).op = ir::GroupNorm{grouped[1], norm->epsilon};
  AbsorbReader(graph, id, after);
  for (;;) {
    const ValueId out = graph.node(id).outputs[0];
    const NodeId reader = OnlyReader(graph, out);
    const auto affine = MatchChannelAffine(graph, reader, 1);
    if (!affine || affine->variable != out || graph.value(graph.node(reader).outputs[0]).shape != shape) break;
    for (size_t c = 0; c < channels; ++c) {
      (*scale)[c] *= affine->scale[c];
      (*shift)[c] = (*shift)[c] * affine->scale[c] + affine->shift[c];
    }
    AbsorbReader(graph, id, reader);
  }
  graph.SetInputs(id, {src, graph.Input(id, 1), graph.Input(id, 2)});
  ReplaceConstantInput(graph, id, 1, VectorOf(*scale));
  ReplaceConstantInput(graph, id, 2, VectorOf(*shift));
  return true;
}

}  // namespace

int RecognizeGroupNorm(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    if (graph.alive(id) && Recognize(graph, id)) ++fired;
  }
  graph.RemoveDeadNodes();
  return fired;
}

}  // namespace precis::passes
