#ifndef PRECIS_ENGINE_QUANT_ASSIGN_H_
#define PRECIS_ENGINE_QUANT_ASSIGN_H_

// Decides, from the graph alone and from which values can be quantized, what an int8 variant computes in integers.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/ir/graph.h"
#include "engine/quant/operators.h"
#include "engine/quant/quantize.h"

namespace precis::quant {

// How a value exists in the quantized graph.
enum class Form {
  kFloat,
  kInt8,       // its producer writes levels
  kConverted,  // f32, with one int8 copy (a Convert) that its integer readers share
};

struct Assignment {
  std::vector<ir::NodeId> order;   // topological
  std::vector<Role> roles;         // per node slot
  std::vector<bool> int8;          // per node slot: computes in integers
  std::vector<std::string> notes;  // per node slot: why not
  std::vector<Form> forms;         // per value
  // Per value: first of the values that share its levels (itself, when none do). Movement shares, concatenation makes its inputs share.
  std::vector<ir::ValueId> group;
  std::vector<bool> needs_s8;  // per first of group: must be s8 without zero point (second operand of a product)
  // True when `slot` of an integer node reads levels (post-op operands may; weights and biases do not count).
  bool ReadsLevels(const ir::Graph& graph, ir::NodeId id, size_t slot) const;
};

// The value whose numbers `value` shows: movement operators are looked through, up to a concatenation.
ir::ValueId SourceOf(const ir::Graph& graph, ir::ValueId value);

// The values that `value` takes its numbers from: SourceOf, and where that is a concatenation, those of its parts.
std::vector<ir::ValueId> SourcesOf(const ir::Graph& graph, ir::ValueId value);

// `unusable` says why a source value cannot be quantized, or nothing when it can. `is_int8` tells which heavy nodes may
// be integer ones; null: all.
// Rules:
//  - A convolution or product with constant weights is an integer one when its input can be quantized; a product of two activations too.
//  - Movement, elementwise arithmetic and pooling are integer when all that reads their result takes levels and, for arithmetic, all
//    that they read can come as levels: levels stay levels from layer to layer.
//  - A residual operand of a convolution is read as levels where its producer writes them anyway; residual operands of products stay
//    f32, as the residual stream of a transformer has channels of very different ranges.
//  - A value is written as levels when every reader takes them; where only some do, it is f32 with one converted copy.
absl::StatusOr<Assignment> Assign(const ir::Graph& graph, const Target& target,
                                  const std::function<std::optional<std::string>(ir::ValueId)>& unusable,
                                  const std::function<bool(ir::NodeId)>& is_int8 = nullptr);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_ASSIGN_H_
