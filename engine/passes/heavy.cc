// Weights are visited element by element with their input and output channel, so that each rewrite is one line per operator.
#include "engine/passes/heavy.h"

#include <algorithm>
#include <utility>

#include "engine/passes/match.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::kNoValue;
using ir::NodeId;
using ir::ValueId;

constexpr size_t kWeights = 1, kBias = 2;

// Weights as [batch][rows][columns][inner]. Convolutions: rows and columns are the first two dimensions, inner the kernel.
// MatMul: rows and columns are the last two.
struct WeightLayout {
  int64_t batch = 1, rows = 1, columns = 1, inner = 1;
  int64_t groups = 1;
  bool rows_are_outputs = true;
};

WeightLayout LayoutOf(const Graph& graph, NodeId id) {
  const Shape& shape = graph.value(graph.node(id).inputs[kWeights]).shape;
  WeightLayout layout;
  if (const auto* matmul = OpIf<ir::MatMul>(graph, id)) {
    layout.rows = shape[shape.size() - 2];
    layout.columns = shape[shape.size() - 1];
    for (size_t i = 0; i + 2 < shape.size(); ++i) layout.batch *= shape[i];
    layout.rows_are_outputs = matmul->transpose_b;
    return layout;
  }
  layout.rows = shape[0];
  layout.columns = shape[1];
  for (size_t i = 2; i < shape.size(); ++i) layout.inner *= shape[i];
  const auto* conv = OpIf<ir::Conv>(graph, id);
  layout.groups = conv != nullptr ? conv->groups : std::get<ir::ConvTranspose>(graph.node(id).op).groups;
  layout.rows_are_outputs = conv != nullptr;
  return layout;
}

// Calls visit(element index, input channel, output channel) for each weight.
template <typename Visit>
void VisitWeights(const WeightLayout& layout, Visit visit) {
  const int64_t rows_per_group = layout.rows / layout.groups;
  int64_t index = 0;
  for (int64_t b = 0; b < layout.batch; ++b) {
    for (int64_t row = 0; row < layout.rows; ++row) {
      const int64_t first_column = row / rows_per_group * layout.columns;
      for (int64_t column = 0; column < layout.columns; ++column) {
        const size_t r = static_cast<size_t>(row), c = static_cast<size_t>(first_column + column);
        for (int64_t k = 0; k < layout.inner; ++k, ++index) {
          visit(static_cast<size_t>(index), layout.rows_are_outputs ? c : r, layout.rows_are_outputs ? r : c);
        }
      }
    }
  }
}

int64_t OutputChannels(const Graph& graph, NodeId id) {
  return graph.value(graph.node(id).outputs[0]).shape[static_cast<size_t>(ChannelAxis(graph, id))];
}

bool HasConstantWeights(const Graph& graph, NodeId id) {
  const Tensor* weights = graph.ConstantOrNull(graph.Input(id, kWeights));
  return weights != nullptr && weights->dtype() == DataType::kF32 && weights->shape().size() >= 2;
}

// One bias element per channel, as doubles; nullopt for any other bias.
std::optional<std::vector<double>> BiasOf(const Graph& graph, NodeId id) {
  const ValueId bias = graph.Input(id, kBias);
  const int64_t channels = OutputChannels(graph, id);
  if (bias == kNoValue) return std::vector<double>(static_cast<size_t>(channels), 0.0);
  if (OpIf<ir::MatMul>(graph, id) == nullptr) return ChannelConstant(graph, bias, {channels}, 0);
  return ChannelConstant(graph, bias, graph.value(graph.node(id).outputs[0]).shape, ChannelAxis(graph, id));
}

void SetBias(Graph& graph, NodeId id, const std::vector<double>& bias) {
  ReplaceConstantInput(
      graph, id, kBias,
      Tensor::From<float>({static_cast<int64_t>(bias.size())}, std::vector<float>(bias.begin(), bias.end())));
}

bool OnRealNumbers(const Graph& graph, NodeId id) {
  const ir::Value& out = graph.value(graph.node(id).outputs[0]);
  return out.dtype == DataType::kF32 && graph.value(graph.node(id).inputs[0]).dtype == DataType::kF32;
}

// A MatMul of two matrices (or batches of them): a vector operand has no channel dimension to speak of.
bool HasMatrixOperands(const Graph& graph, NodeId id) {
  if (OpIf<ir::MatMul>(graph, id) == nullptr) return true;
  return graph.value(graph.node(id).inputs[0]).shape.size() >= 2 &&
         graph.value(graph.node(id).inputs[1]).shape.size() >= 2;
}

bool IsPadded(const ir::Window& window) {
  const auto nonzero = [](int64_t pad) { return pad != 0; };
  return window.auto_pad != ir::AutoPad::kExplicit ||
         std::any_of(window.pads_begin.begin(), window.pads_begin.end(), nonzero) ||
         std::any_of(window.pads_end.begin(), window.pads_end.end(), nonzero);
}

}  // namespace

bool IsHeavy(const Graph& graph, NodeId id) {
  return OpIf<ir::Conv>(graph, id) != nullptr || OpIf<ir::ConvTranspose>(graph, id) != nullptr ||
         OpIf<ir::MatMul>(graph, id) != nullptr;
}

int ChannelAxis(const Graph& graph, NodeId id) {
  return OpIf<ir::MatMul>(graph, id) == nullptr
             ? 1
             : static_cast<int>(graph.value(graph.node(id).outputs[0]).shape.size()) - 1;
}

bool CanShiftOutput(const Graph& graph, NodeId id) {
  return IsHeavy(graph, id) && graph.node(id).post_ops.empty() && OnRealNumbers(graph, id) &&
         HasMatrixOperands(graph, id) && BiasOf(graph, id).has_value();
}

void ShiftOutput(Graph& graph, NodeId id, const std::vector<double>& shift) {
  std::vector<double> bias = *BiasOf(graph, id);
  for (size_t o = 0; o < bias.size(); ++o) bias[o] += shift[o];
  SetBias(graph, id, bias);
}

bool CanScaleOutput(const Graph& graph, NodeId id) {
  return CanShiftOutput(graph, id) && HasConstantWeights(graph, id);
}

void ScaleOutput(Graph& graph, NodeId id, const std::vector<double>& scale) {
  Tensor weights = graph.ConstantOrNull(graph.node(id).inputs[kWeights])->Clone();
  const auto w = weights.As<float>();
  VisitWeights(LayoutOf(graph, id), [&](size_t i, size_t, size_t o) { w[i] = static_cast<float>(w[i] * scale[o]); });
  if (graph.Input(id, kBias) != kNoValue) {
    std::vector<double> bias = *BiasOf(graph, id);
    for (size_t o = 0; o < bias.size(); ++o) bias[o] *= scale[o];
    SetBias(graph, id, bias);
  }
  ReplaceConstantInput(graph, id, kWeights, std::move(weights));
}

bool CanScaleInput(const Graph& graph, NodeId id, bool shifts) {
  if (!IsHeavy(graph, id) || !OnRealNumbers(graph, id) || !HasConstantWeights(graph, id) ||
      !HasMatrixOperands(graph, id))
    return false;
  if (const auto* matmul = OpIf<ir::MatMul>(graph, id)) {
    if (matmul->transpose_a) return false;
    return !shifts || (graph.value(graph.node(id).inputs[kWeights]).shape.size() == 2 && BiasOf(graph, id).has_value());
  }
  if (!shifts) return true;
  const auto* conv = OpIf<ir::Conv>(graph, id);
  return conv != nullptr && !IsPadded(conv->window) && BiasOf(graph, id).has_value();
}

void ScaleInput(Graph& graph, NodeId id, const std::vector<double>& scale, const std::vector<double>& shift) {
  Tensor weights = graph.ConstantOrNull(graph.node(id).inputs[kWeights])->Clone();
  const auto w = weights.As<float>();
  const auto* matmul = OpIf<ir::MatMul>(graph, id);
  const double alpha = matmul == nullptr ? 1.0 : matmul->alpha;
  std::vector<double> added(static_cast<size_t>(OutputChannels(graph, id)), 0.0);
  VisitWeights(LayoutOf(graph, id), [&](size_t e, size_t i, size_t o) {
    added[o] += alpha * w[e] * shift[i];
    w[e] = static_cast<float>(w[e] * scale[i]);
  });
  if (std::any_of(shift.begin(), shift.end(), [](double s) { return s != 0.0; })) {
    std::vector<double> bias = *BiasOf(graph, id);
    for (size_t o = 0; o < bias.size(); ++o) bias[o] += added[o];
    SetBias(graph, id, bias);
  }
  ReplaceConstantInput(graph, id, kWeights, std::move(weights));
}

}  // namespace precis::passes
