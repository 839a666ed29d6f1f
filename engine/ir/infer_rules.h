#ifndef PRECIS_ENGINE_IR_INFER_RULES_H_
#define PRECIS_ENGINE_IR_INFER_RULES_H_

// Inside of InferNode: one overload of Infer per operator, and the view of the node that they read and write. An operator without an
// overload does not compile.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/ir/graph.h"

namespace precis::ir {

// One node under inference.
class Rule {
 public:
  Rule(Graph& graph, NodeId id) : graph_(graph), id_(id) {}

  bool Has(size_t input) const { return graph_.Input(id_, input) != kNoValue; }
  size_t num_inputs() const { return graph_.node(id_).inputs.size(); }
  size_t num_outputs() const { return graph_.node(id_).outputs.size(); }
  // Of an input that is present.
  const Shape& shape(size_t input) const { return graph_.value(graph_.Input(id_, input)).shape; }
  DataType dtype(size_t input) const { return graph_.value(graph_.Input(id_, input)).dtype; }
  size_t rank(size_t input) const { return shape(input).size(); }

  // InvalidArgument, prefixed with the node's name.
  template <typename... Parts>
  absl::Status Error(const Parts&... parts) const {
    return absl::InvalidArgumentError(absl::StrCat("node \"", graph_.node(id_).name, "\": ", parts...));
  }
  absl::Status Named(const absl::Status& status) const { return Error(status.message()); }

  // Inputs 0 … count-1 must be there.
  absl::Status Need(size_t count) const;
  // Tensor of an input that must be constant. Unimplemented when it is computed at run time.
  absl::StatusOr<const Tensor*> Constant(size_t input, const char* what) const;
  // Numbers of a constant input; empty when it is absent.
  absl::StatusOr<std::vector<int64_t>> Ints(size_t input, const char* what) const;
  absl::StatusOr<std::vector<float>> Floats(size_t input, const char* what) const;
  // Two inputs must be of one type.
  absl::Status SameType(size_t a, size_t b) const;
  // An input, if present, must be one-dimensional with `size` elements.
  absl::Status WantVector(size_t input, const char* what, int64_t size) const;
  // Indices must be s32 or s64.
  absl::Status WantIndices(size_t input) const;
  // Resolves an axis attribute of input 0 in place.
  absl::Status FixAxis(int64_t& axis, size_t rank) const;
  // Types an output; an output that the node does not have is skipped. Enforces kMaxTensorBytes.
  absl::Status Output(size_t slot, DataType dtype, Shape shape) const;
  // The dtype already set on an output (Convert).
  const Value* OutputValue(size_t slot) const;

 private:
  Graph& graph_;
  NodeId id_;
};

// infer_heavy.cc: windows, matrices, normalisation.
absl::Status Infer(const Rule& rule, Conv& op);
absl::Status Infer(const Rule& rule, ConvTranspose& op);
absl::Status Infer(const Rule& rule, MatMul& op);
absl::Status Infer(const Rule& rule, Pool& op);
absl::Status Infer(const Rule& rule, GlobalPool& op);
absl::Status Infer(const Rule& rule, BatchNorm& op);
absl::Status Infer(const Rule& rule, LayerNorm& op);
absl::Status Infer(const Rule& rule, InstanceNorm& op);
absl::Status Infer(const Rule& rule, GroupNorm& op);
absl::Status Infer(const Rule& rule, Lrn& op);
absl::Status Infer(const Rule& rule, LpNorm& op);
absl::Status Infer(const Rule& rule, Softmax& op);

// infer_recurrent.cc
absl::Status Infer(const Rule& rule, Recurrent& op);

// infer_elementwise.cc: elementwise, types, reductions.
absl::Status Infer(const Rule& rule, Unary& op);
absl::Status Infer(const Rule& rule, Binary& op);
absl::Status Infer(const Rule& rule, Clip& op);
absl::Status Infer(const Rule& rule, Where& op);
absl::Status Infer(const Rule& rule, Choose& op);
absl::Status Infer(const Rule& rule, Cast& op);
absl::Status Infer(const Rule& rule, Quantize& op);
absl::Status Infer(const Rule& rule, Dequantize& op);
absl::Status Infer(const Rule& rule, DynamicQuantize& op);
absl::Status Infer(const Rule& rule, Convert& op);
absl::Status Infer(const Rule& rule, CumSum& op);
absl::Status Infer(const Rule& rule, Trilu& op);
absl::Status Infer(const Rule& rule, OneHot& op);
absl::Status Infer(const Rule& rule, Reduce& op);
absl::Status Infer(const Rule& rule, ArgReduce& op);
absl::Status Infer(const Rule& rule, TopK& op);

// infer_movement.cc: shapes and data movement.
absl::Status Infer(const Rule& rule, Identity& op);
absl::Status Infer(const Rule& rule, Reshape& op);
absl::Status Infer(const Rule& rule, Flatten& op);
absl::Status Infer(const Rule& rule, Squeeze& op);
absl::Status Infer(const Rule& rule, Unsqueeze& op);
absl::Status Infer(const Rule& rule, Transpose& op);
absl::Status Infer(const Rule& rule, Concat& op);
absl::Status Infer(const Rule& rule, Split& op);
absl::Status Infer(const Rule& rule, Slice& op);
absl::Status Infer(const Rule& rule, Gather& op);
absl::Status Infer(const Rule& rule, GatherElements& op);
absl::Status Infer(const Rule& rule, GatherNd& op);
absl::Status Infer(const Rule& rule, ScatterElements& op);
absl::Status Infer(const Rule& rule, ScatterNd& op);
absl::Status Infer(const Rule& rule, Expand& op);
absl::Status Infer(const Rule& rule, Tile& op);
absl::Status Infer(const Rule& rule, Pad& op);
absl::Status Infer(const Rule& rule, ShapeOf& op);
absl::Status Infer(const Rule& rule, SizeOf& op);
absl::Status Infer(const Rule& rule, ConstantOfShape& op);
absl::Status Infer(const Rule& rule, Range& op);
absl::Status Infer(const Rule& rule, DepthToSpace& op);
absl::Status Infer(const Rule& rule, SpaceToDepth& op);
absl::Status Infer(const Rule& rule, EyeLike& op);
absl::Status Infer(const Rule& rule, NonZero& op);
absl::Status Infer(const Rule& rule, Resize& op);
absl::Status Infer(const Rule& rule, GridSample& op);
absl::Status Infer(const Rule& rule, RoiAlign& op);

}  // namespace precis::ir

#endif  // PRECIS_ENGINE_IR_INFER_RULES_H_
