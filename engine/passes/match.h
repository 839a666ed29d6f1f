#ifndef PRECIS_ENGINE_PASSES_MATCH_H_
#define PRECIS_ENGINE_PASSES_MATCH_H_

// The questions that several rewrites ask of a specialised graph, and the edits that they share.

#include <optional>
#include <variant>
#include <vector>

#include "engine/ir/graph.h"

namespace precis::passes {

// The node's operator when it is a T; null for any other and for kNoNode.
template <typename T>
const T* OpIf(const ir::Graph& graph, ir::NodeId id) {
  return id == ir::kNoNode ? nullptr : std::get_if<T>(&graph.node(id).op);
}
template <typename T>
T* OpIf(ir::Graph& graph, ir::NodeId id) {
  return id == ir::kNoNode ? nullptr : std::get_if<T>(&graph.node(id).op);
}

// Node `id` when it is a plain Unary / Binary of that kind (no post-ops).
bool IsUnary(const ir::Graph& graph, ir::NodeId id, ir::UnaryKind kind);
bool IsBinary(const ir::Graph& graph, ir::NodeId id, ir::BinaryKind kind);

// A floating-point value: arithmetic may be rearranged up to rounding.
bool IsReal(const ir::Graph& graph, ir::ValueId id);

// Same dtype, shape and quantization.
bool SameType(const ir::Graph& graph, ir::ValueId a, ir::ValueId b);

// The producer of node's input `slot`; kNoNode where that is absent, a constant or a graph input.
ir::NodeId InputProducer(const ir::Graph& graph, ir::NodeId id, size_t slot);

// The one node that reads `value`, which may vanish in a fusion; kNoNode where it has other readers or is a graph output.
ir::NodeId OnlyReader(const ir::Graph& graph, ir::ValueId value);

// The number that every element of a constant equals.
std::optional<double> UniformConstant(const ir::Graph& graph, ir::ValueId value);

// A constant f32 tensor that, broadcast to `shape`, varies along dimension `axis` alone: its shape[axis] elements. A scalar counts.
std::optional<std::vector<double>> ChannelConstant(const ir::Graph& graph, ir::ValueId value, const Shape& shape,
                                                   int axis);

// A Binary seen as `variable op constant` (or `constant op variable`), whose result has the variable's shape.
struct ConstantOperand {
  ir::BinaryKind kind;
  ir::ValueId variable;
  ir::ValueId constant;
  bool constant_first;
};
std::optional<ConstantOperand> MatchConstantOperand(const ir::Graph& graph, ir::NodeId id);

// What a plain elementwise node does to each element along `axis` of its input: scale * x + shift. Understands Unary kLinear and Add, Sub, Mul,
// Div with a channel constant. scale and shift hold one number per index.
struct ChannelAffine {
  ir::ValueId variable;
  std::vector<double> scale, shift;
  bool scales = false, shifts = false;  // false: all ones, all zeros
};
std::optional<ChannelAffine> MatchChannelAffine(const ir::Graph& graph, ir::NodeId id, int axis);

// Axes of a Reduce, ascending and non-negative; nullopt when they are not constant.
std::optional<ir::Ints> ReducedAxes(const ir::Graph& graph, ir::NodeId id);

// Alive nodes, producers first. The graph must be acyclic, as every verified graph is.
std::vector<ir::NodeId> Order(const ir::Graph& graph);

// Removes node `id` and lets `replacement`, which equals its only output, take that output's place. Names of graph outputs survive.
// Returns false and changes nothing where two names that clients know would have to become one.
bool Bypass(ir::Graph& graph, ir::NodeId id, ir::ValueId replacement);

// Node `id` takes over the output of `reader`, its only reader, which is removed.
void AbsorbReader(ir::Graph& graph, ir::NodeId id, ir::NodeId reader);

// Makes the node read `tensor` in `slot` instead of its present constant (if any); the constant keeps its name unless others read it.
void ReplaceConstantInput(ir::Graph& graph, ir::NodeId id, size_t slot, Tensor tensor);

// A one-dimensional s64 constant.
ir::ValueId AddInt64Constant(ir::Graph& graph, const std::string& name, const ir::Ints& numbers);

}  // namespace precis::passes

#endif  // PRECIS_ENGINE_PASSES_MATCH_H_
