// QuantizeLinear and DequantizeLinear with constant parameters say what a tensor of integers stands for. That belongs to the value
// (QuantParams); what remains of the node is a change of representation, Convert. Parameters per channel are kept for constants alone: nothing
// computes on activations quantized per channel.
#include <utility>

#include "engine/kernels/kernel.h"
#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::kNoValue;
using ir::NodeId;
using ir::QuantParams;
using ir::ValueId;

// Parameters from inputs 1 (scale) and 2 (zero point, optional) for a tensor of `rank` dimensions.
std::optional<QuantParams> ParametersOf(const Graph& graph, NodeId id, int64_t axis, size_t rank) {
  const Tensor* scale = graph.ConstantOrNull(graph.Input(id, 1));
  const ValueId zero = graph.Input(id, 2);
  if (scale == nullptr || (zero != kNoValue && !graph.IsConstant(zero))) return std::nullopt;
  QuantParams params;
  params.scales = ToFloat(scale->view());
  if (zero != kNoValue) {
    const auto numbers = ToInt64(graph.ConstantOrNull(zero)->view());
    bool symmetric = true;
    for (const int64_t n : numbers) symmetric = symmetric && n == 0;
    if (!symmetric) params.zero_points.assign(numbers.begin(), numbers.end());
  }
  if (params.scales.size() != 1) params.axis = static_cast<int>(axis < 0 ? axis + static_cast<int64_t>(rank) : axis);
  return params;
}

// Gives `value` these parameters; false where it has others already.
bool SetParameters(Graph& graph, ValueId value, const QuantParams& params) {
  auto& quant = graph.value(value).quant;
  if (quant && *quant != params) return false;
  quant = params;
  return true;
}

void MakeConvert(Graph& graph, NodeId id) {
  graph.node(id).op = ir::Convert{};
  graph.SetInputs(id, {graph.node(id).inputs[0]});
}

// The node's output becomes the constant that it computes; false where no kernel can tell.
bool Fold(Graph& graph, NodeId id) {
  auto outputs = kernels::Evaluate(graph, id);
  if (!outputs.ok()) return false;
  const ValueId out = graph.node(id).outputs[0];
  graph.RemoveNode(id);
  graph.MakeConstant(out, std::move((*outputs)[0]));
  return true;
}

bool FromQuantize(Graph& graph, NodeId id) {
  const ValueId x = graph.node(id).inputs[0], q = graph.node(id).outputs[0];
  const auto& op = std::get<ir::Quantize>(graph.node(id).op);
  if (graph.IsConstant(x)) return Fold(graph, id);
  const auto params = ParametersOf(graph, id, op.axis, graph.value(x).shape.size());
  if (!params || !params->per_tensor() || op.block_size != 0 || graph.value(x).dtype != DataType::kF32 ||
      !IsInt8(graph.value(q).dtype) || !SetParameters(graph, q, *params)) {
    return false;
  }
  MakeConvert(graph, id);
  return true;
}

bool FromDequantize(Graph& graph, NodeId id) {
  const ValueId q = graph.node(id).inputs[0], x = graph.node(id).outputs[0];
  const auto& op = std::get<ir::Dequantize>(graph.node(id).op);
  const bool constant = graph.IsConstant(q);
  if (constant && !IsInt8(graph.value(q).dtype)) return Fold(graph, id);
  const auto params = ParametersOf(graph, id, op.axis, graph.value(q).shape.size());
  if (!params || op.block_size != 0 || graph.value(x).dtype != DataType::kF32 || !IsInt8(graph.value(q).dtype) ||
      (!constant && !params->per_tensor()) || !SetParameters(graph, q, *params)) {
    return false;
  }
  MakeConvert(graph, id);
  return true;
}

}  // namespace

int ConvertQdq(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    if (OpIf<ir::Quantize>(graph, id)) {
      fired += FromQuantize(graph, id) ? 1 : 0;
    } else if (OpIf<ir::Dequantize>(graph, id)) {
      fired += FromDequantize(graph, id) ? 1 : 0;
    }
  }
  return fired;
}

}  // namespace precis::passes
