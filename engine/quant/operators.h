#ifndef PRECIS_ENGINE_QUANT_OPERATORS_H_
#define PRECIS_ENGINE_QUANT_OPERATORS_H_

// Which part an operator can play at 8 bits. One table for every network.

#include <cstdint>
#include <string>

#include "engine/ir/graph.h"

namespace precis::quant {

enum class Role {
  kFloat,        // no integer form
  kConvolution,  // integer arithmetic with constant weights
  kProduct,      // MatMul with constant weights
  kAttention,    // MatMul of two activations
  kMovement,     // its output holds its input's numbers (or averages of them) and shares their levels
  kArithmetic,   // int8 in, int8 out at levels of its own: elementwise pairs, activations, global averages
};

// Why LSTM, GRU and RNN stay in f32, whatever the precision of the rest.
inline constexpr char kRecurrentInF32[] = "a recurrent layer: what its state loses adds up over the steps";

struct RoleAndReason {
  Role role = Role::kFloat;
  std::string reason;  // why kFloat
};
RoleAndReason RoleOf(const ir::Graph& graph, ir::NodeId id);

inline bool IsHeavy(Role role) {
  return role == Role::kConvolution || role == Role::kProduct || role == Role::kAttention;
}

// The operators that a policy speaks of: convolutions and matrix products. Those between them follow.
bool IsLayer(const ir::Op& op);

// How many inputs of a kMovement or kArithmetic node carry data (the rest are shapes, axes…).
size_t NumDataInputs(const ir::Graph& graph, ir::NodeId id);

// Heavy node's weights seen as rows of output channels: dimension of the constant that counts them.
int OutputChannelAxis(const ir::Graph& graph, ir::NodeId id);

// Dimension of an activation that channels run along: 1 where convolutions or poolings give or read it, else the last.
size_t ChannelAxis(const ir::Graph& graph, ir::ValueId value);

// True when `slot` of the node is a post-op's operand.
bool IsPostOpOperand(const ir::Node& node, size_t slot);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_OPERATORS_H_
