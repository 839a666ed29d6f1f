#include "engine/accumulate/terms.h"

namespace precis::accumulate {

bool HasDots(const ir::Op& op) {
  return std::holds_alternative<ir::Conv>(op) || std::holds_alternative<ir::ConvTranspose>(op) ||
         std::holds_alternative<ir::MatMul>(op);
}

std::optional<Terms> TermsOf(const ir::Graph& graph, ir::NodeId id) {
  const ir::Node& node = graph.node(id);
  if (!HasDots(node.op)) return std::nullopt;
  const Shape &src = graph.value(node.inputs[0]).shape, &weights = graph.value(node.inputs[1]).shape;
  const Shape& dst = graph.value(node.outputs[0]).shape;
  if (const auto* product = std::get_if<ir::MatMul>(&node.op)) return MatMulTerms(*product, src, weights, dst);
  if (!kernels::Window3::Fits(src)) return std::nullopt;
  if (const auto* conv = std::get_if<ir::Conv>(&node.op)) return ConvTerms(*conv, src, weights, dst);
  return ConvTransposeTerms(std::get<ir::ConvTranspose>(node.op), src, weights, dst);
}

}  // namespace precis::accumulate
