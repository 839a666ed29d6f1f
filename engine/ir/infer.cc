// Dispatch of the shape rules, and what they share: access to a node's operands, checks, and the bound on output sizes.
#include "engine/ir/infer.h"

#include <utility>
#include <variant>

#include "engine/base/status_macros.h"
#include "engine/ir/infer_rules.h"
#include "engine/ir/shape_rules.h"

namespace precis::ir {

absl::Status Rule::Need(size_t count) const {
  for (size_t i = 0; i < count; ++i) {
    if (!Has(i)) return Error("input ", i, " is missing, want ", count, " inputs");
  }
  return absl::OkStatus();
}

absl::StatusOr<const Tensor*> Rule::Constant(size_t input, const char* what) const {
  const Tensor* tensor = graph_.ConstantOrNull(graph_.Input(id_, input));
  if (tensor != nullptr) return tensor;
  return absl::UnimplementedError(
      absl::StrCat("node \"", graph_.node(id_).name, "\": ", what, " is computed at run time"));
}

absl::StatusOr<std::vector<int64_t>> Rule::Ints(size_t input, const char* what) const {
  if (!Has(input)) return std::vector<int64_t>();
  PRECIS_ASSIGN_OR_RETURN(const Tensor* tensor, Constant(input, what));
  if (IsFloat(tensor->dtype()) || tensor->dtype() == DataType::kBool) {
    return Error(what, " is ", Name(tensor->dtype()), ", want an integer type");
  }
  return ToInt64(tensor->view());
}

absl::StatusOr<std::vector<float>> Rule::Floats(size_t input, const char* what) const {
  if (!Has(input)) return std::vector<float>();
  PRECIS_ASSIGN_OR_RETURN(const Tensor* tensor, Constant(input, what));
  return ToFloat(tensor->view());
}

absl::Status Rule::SameType(size_t a, size_t b) const {
  if (!Has(a) || !Has(b) || dtype(a) == dtype(b)) return absl::OkStatus();
  return Error("input ", b, " is ", Name(dtype(b)), ", want ", Name(dtype(a)), " like input ", a);
}

absl::Status Rule::WantVector(size_t input, const char* what, int64_t size) const {
  if (!Has(input) || shape(input) == Shape{size}) return absl::OkStatus();
  return Error(what, " has shape ", ShapeToString(shape(input)), ", want [", size, "]");
}

absl::Status Rule::WantIndices(size_t input) const {
  if (dtype(input) == DataType::kS64 || dtype(input) == DataType::kS32) return absl::OkStatus();
  return Error("indices are ", Name(dtype(input)), ", want s32 or s64");
}

absl::Status Rule::FixAxis(int64_t& axis, size_t rank) const {
  const auto resolved = ResolveAxis(axis, rank);
  if (!resolved.ok()) return Named(resolved.status());
  axis = *resolved;
  return absl::OkStatus();
}

const Value* Rule::OutputValue(size_t slot) const {
  const auto& outputs = graph_.node(id_).outputs;
  return slot < outputs.size() && outputs[slot] != kNoValue ? &graph_.value(outputs[slot]) : nullptr;
}

absl::Status Rule::Output(size_t slot, DataType dtype, Shape shape) const {
  if (CheckedNumElements(shape, kMaxTensorBytes / static_cast<int64_t>(precis::SizeOf(dtype))) < 0) {
    return Error("output of shape ", ShapeToString(shape), " exceeds ", kMaxTensorBytes, " bytes");
  }
  if (OutputValue(slot) == nullptr) return absl::OkStatus();
  Value& value = graph_.value(graph_.node(id_).outputs[slot]);
  value.typed = true;
  value.dtype = dtype;
  value.shape = std::move(shape);
  return absl::OkStatus();
}

absl::Status InferNode(Graph& graph, NodeId id) {
  for (ValueId input : graph.node(id).inputs) {
    if (input != kNoValue && !graph.value(input).typed) {
      return absl::InternalError(
          absl::StrCat("node \"", graph.node(id).name, "\": input \"", graph.value(input).name, "\" has no type"));
    }
  }
  const Rule rule(graph, id);
  return std::visit([&rule](auto& op) { return Infer(rule, op); }, graph.node(id).op);
}

}  // namespace precis::ir
