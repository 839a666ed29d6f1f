#ifndef PRECIS_ENGINE_IR_GRAPH_H_
#define PRECIS_ENGINE_IR_GRAPH_H_

// The graph that every stage meets at: import makes one, passes rewrite it, quantization sets its precisions, the plan lowers it.
//
// A graph exists in two states. As imported it is symbolic: shapes of inputs may hold kUnknownDim and intermediate values have no
// type. Specialised to concrete input shapes (passes/specialize.h), every value has a dtype and a concrete shape, and everything
// that depended on shapes alone has become a constant. All later stages work on the specialised form.
//
// Precision is a property of values: a value's dtype (f32, bf16, f16, u8, s8…) and, for quantized ones, its QuantParams. A node
// computes in whatever its values say: a Conv whose src is u8 with QuantParams, weights s8 and dst u8 is an integer convolution.
//
// Invariants: each value has at most one producer; node inputs name existing values; ids are stable until Compact().
// Not thread-safe; const access from many threads is fine.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ir/accumulation.h"
#include "engine/ir/op.h"
#include "engine/tensor/tensor.h"

namespace precis::ir {

using ValueId = int;
using NodeId = int;
inline constexpr ValueId kNoValue = -1;
inline constexpr NodeId kNoNode = -1;

// Affine quantization of a value: real = scale * (q - zero_point).
struct QuantParams {
  std::vector<float> scales;  // one, or one per index along `axis` (of each chunk in turn, where there are chunks)
  std::vector<int32_t> zero_points;  // as many as scales; empty means all zero (symmetric)
  int axis = -1;                     // -1: per tensor
  // Weights whose sums are cut: input channels per chunk, counted along the other of the first two dimensions. Products are summed exactly
  // inside a chunk and in f32 across chunks; scales[chunk * channels + channel]. 0: one sum. Needs an axis.
  int64_t chunk = 0;
  bool per_tensor() const { return axis < 0; }
  float scale() const { return scales[0]; }
  int32_t zero_point() const { return zero_points.empty() ? 0 : zero_points[0]; }
  bool operator==(const QuantParams&) const = default;
};

// The real numbers that the levels stand for, row-major.
std::vector<float> RealValues(const Tensor& levels, const QuantParams& quant);

struct Value {
  std::string name;  // unique in the graph; ONNX's name where there is one: calibration tables and policies refer to it
  bool typed = false;  // dtype and shape are known
  DataType dtype = DataType::kF32;
  Shape shape;
  std::optional<QuantParams> quant;        // set on s8/u8 values that stand for real numbers
  std::shared_ptr<const Tensor> constant;  // null: computed at run time (or an input)
};

struct Node {
  std::string name;  // unique, never empty; ONNX's name where there is one, else made from the first output
  Op op;
  std::vector<ValueId> inputs;   // may contain kNoValue where an optional input is absent
  std::vector<ValueId> outputs;  // may contain kNoValue for an unused optional output
  std::vector<PostOp>
      post_ops;  // only on Conv, ConvTranspose, MatMul, Pool and elementwise heads; refer to extra inputs by index
  std::string precision_note;  // why quantization left or put this node where it is; shown by DescribePlan
  std::optional<Accumulation> accumulation;  // of a Conv, ConvTranspose or MatMul: its sums are emulated so
};

// An input of the model, as a client sees it.
struct Port {
  ValueId value = kNoValue;
  std::vector<std::string> dim_names;  // per dimension: its symbol ("batch") or "" ; equal symbols must agree
};

class Graph {
 public:
  std::string name;
  std::vector<Port> inputs;
  std::vector<Port> outputs;

  // Adds a value / a constant; makes the name unique by appending "#2"…
  ValueId AddValue(std::string name);
  ValueId AddValue(std::string name, DataType dtype, Shape shape);
  ValueId AddConstant(std::string name, Tensor tensor);

  // Adds a node and makes it the producer of its outputs. Outputs must have no producer yet.
  NodeId AddNode(std::string name, Op op, std::vector<ValueId> inputs, std::vector<ValueId> outputs);
  // Removes a node; its outputs lose their producer (their values stay until Compact).
  void RemoveNode(NodeId id);

  const Value& value(ValueId id) const { return values_[static_cast<size_t>(id)]; }
  Value& value(ValueId id) { return values_[static_cast<size_t>(id)]; }
  const Node& node(NodeId id) const { return nodes_[static_cast<size_t>(id)]; }
  // Attributes, names, post-ops may be changed freely; inputs and outputs only through the functions below.
  Node& node(NodeId id) { return nodes_[static_cast<size_t>(id)]; }
  bool alive(NodeId id) const { return alive_[static_cast<size_t>(id)]; }
  int num_values() const { return static_cast<int>(values_.size()); }
  int num_node_slots() const { return static_cast<int>(nodes_.size()); }

  // Node that computes the value; kNoNode for inputs and constants.
  NodeId producer(ValueId id) const { return producers_[static_cast<size_t>(id)]; }
  // Nodes that read it, each once per input slot that does (a node that squares x appears twice). Graph outputs do not count.
  const std::vector<NodeId>& consumers(ValueId id) const { return consumers_[static_cast<size_t>(id)]; }
  bool IsGraphOutput(ValueId id) const;
  bool IsGraphInput(ValueId id) const;
  // True when exactly one node reads it, through one slot, and it is no graph output: it may vanish in a fusion.
  bool HasSingleUse(ValueId id) const;
  bool IsConstant(ValueId id) const { return id != kNoValue && value(id).constant != nullptr; }
  const Tensor* ConstantOrNull(ValueId id) const { return id == kNoValue ? nullptr : value(id).constant.get(); }
  // inputs[i] of the node, or kNoValue when it has fewer.
  ValueId Input(NodeId id, size_t i) const;

  void SetInput(NodeId node, size_t slot, ValueId value);  // grows the list with kNoValue if needed
  int AppendInput(NodeId node, ValueId value);             // returns the slot
  void SetInputs(NodeId node, std::vector<ValueId> inputs);
  void SetOutput(NodeId node, size_t slot, ValueId value);  // moves producership
  // Every reader of `from`, graph outputs included, reads `to` instead.
  void ReplaceUses(ValueId from, ValueId to);
  // Value becomes a constant; its producer, if any, stops producing it.
  void MakeConstant(ValueId id, Tensor tensor);

  // Alive nodes, producers before consumers. The order is stable: by insertion where the edges leave a choice.
  // An error names a node on a cycle (InvalidArgument).
  absl::StatusOr<std::vector<NodeId>> TopologicalOrder() const;

  // Removes nodes that nothing reads and renumbers nothing: ids stay valid. Returns how many were removed.
  int RemoveDeadNodes();

  // Checks the invariants; names the first object that breaks one (Internal).
  absl::Status Verify() const;

  // One line per node: `name = Op(inputs) -> outputs : dtype[shape]`; for tests and dumps.
  std::string ToString() const;

 private:
  std::string UniqueName(std::string name);
  void AddUse(ValueId value, NodeId node);
  void DropUse(ValueId value, NodeId node);

  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<bool> alive_;
  std::vector<NodeId> producers_;
  std::vector<std::vector<NodeId>> consumers_;
  absl::flat_hash_map<std::string, int> name_counts_;  // value names in use
};

}  // namespace precis::ir

#endif  // PRECIS_ENGINE_IR_GRAPH_H_
