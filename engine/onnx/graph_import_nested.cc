// What stands for a graph inside a graph: calls of functions and branches of If, expanded in place.
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/onnx/graph_import.h"
#include "engine/onnx/quoting.h"

namespace precis::onnx_import {
namespace {

using ir::ValueId;

constexpr size_t kMaxPrefixBytes = 64;  // of a call's or branch's name, in the names inside it

}  // namespace

absl::Status GraphImport::ImportIf(const onnx::NodeProto& node, ValueId condition, const std::vector<ValueId>& outputs,
                                   const Scope& scope) {
  const Tensor& value = *graph_.ConstantOrNull(condition);
  Attributes attributes(node);
  const absl::string_view taken =
      value.num_elements() == 1 && ToInt64(value.view())[0] != 0 ? "then_branch" : "else_branch";
  const onnx::GraphProto* branch = attributes.Graph(taken);
  if (branch == nullptr || branch->output_size() < static_cast<int>(outputs.size()) || value.num_elements() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(NodeLabel(node), ": ", taken, " or its outputs are missing, or no scalar condition"));
  }
  PRECIS_ASSIGN_OR_RETURN(Scope inner, Enter(node, scope));
  inner.outer = &scope;
  inner.opsets = scope.opsets;
  inner.arguments = scope.arguments;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] != ir::kNoValue) inner.results.try_emplace(branch->output(static_cast<int>(i)).name(), outputs[i]);
  }
  for (const auto& initializer : branch->initializer()) PRECIS_RETURN_IF_ERROR(AddInitializer(initializer, inner));
  PRECIS_RETURN_IF_ERROR(ImportNodes(branch->node(), inner));
  for (size_t i = 0; i < outputs.size(); ++i) {
    PRECIS_RETURN_IF_ERROR(BindResult(node, branch->output(static_cast<int>(i)).name(), outputs[i], inner));
  }
  return absl::OkStatus();
}

absl::Status GraphImport::CallFunction(const onnx::NodeProto& node, const onnx::FunctionProto& function,
                                       const std::vector<ValueId>& inputs, const std::vector<ValueId>& outputs,
                                       const Scope& scope) {
  if (static_cast<int>(inputs.size()) > function.input_size() ||
      static_cast<int>(outputs.size()) > function.output_size()) {
    return absl::InvalidArgumentError(absl::StrCat(NodeLabel(node), ": more inputs or outputs than its function has"));
  }
  PRECIS_ASSIGN_OR_RETURN(Scope inner, Enter(node, scope));
  inner.opsets = scope.opsets;
  PRECIS_RETURN_IF_ERROR(ReadOpsets(function.opset_import(), inner));
  for (const auto& fallback : function.attribute_proto()) inner.arguments[fallback.name()] = &fallback;
  for (const auto& attribute : node.attribute()) inner.arguments[attribute.name()] = &attribute;
  for (int i = 0; i < function.input_size(); ++i) {
    const ValueId given = i < static_cast<int>(inputs.size()) ? inputs[static_cast<size_t>(i)] : ir::kNoValue;
    PRECIS_RETURN_IF_ERROR(Declare(function.input(i), given, inner));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] != ir::kNoValue) inner.results.try_emplace(function.output(static_cast<int>(i)), outputs[i]);
  }
  PRECIS_RETURN_IF_ERROR(ImportNodes(function.node(), inner));
  for (size_t i = 0; i < outputs.size(); ++i) {
    PRECIS_RETURN_IF_ERROR(BindResult(node, function.output(static_cast<int>(i)), outputs[i], inner));
  }
  return absl::OkStatus();
}

absl::StatusOr<GraphImport::Scope> GraphImport::Enter(const onnx::NodeProto& node, const Scope& scope) const {
  if (scope.depth >= limits_.max_graph_depth) {
    return absl::InvalidArgumentError(absl::StrCat(NodeLabel(node), ": functions or branches nested deeper than ",
                                                   limits_.max_graph_depth, ", or recursive"));
  }
  Scope inner;
  inner.depth = scope.depth + 1;
  const std::string& name = node.name().empty() ? node.op_type() : node.name();
  inner.prefix = absl::StrCat(scope.prefix, absl::string_view(name).substr(0, kMaxPrefixBytes), "/");
  return inner;
}

absl::Status GraphImport::BindResult(const onnx::NodeProto& node, const std::string& name, ValueId result,
                                     const Scope& scope) {
  if (result == ir::kNoValue) return absl::OkStatus();
  for (const Scope* s = &scope; s != nullptr; s = s->outer) {
    const auto found = s->values.find(name);
    if (found == s->values.end() || found->second == ir::kNoValue) continue;
    if (found->second != result) {
      graph_.AddNode(context_.UniqueNodeName(absl::StrCat(scope.prefix, name)), ir::Identity{}, {found->second},
                     {result});
    }
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(NodeLabel(node), ": nothing inside computes ", Quoted(name)));
}

}  // namespace precis::onnx_import
