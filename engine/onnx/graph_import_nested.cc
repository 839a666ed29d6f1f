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

absl::StatusOr<const onnx::GraphProto*> GraphImport::FindBranch(const onnx::NodeProto& node, absl::string_view name,
                                                                size_t outputs) const {
  const onnx::GraphProto* branch = Attributes(node).Graph(name);
  if (branch != nullptr && branch->output_size() >= static_cast<int>(outputs)) return branch;
  return absl::InvalidArgumentError(absl::StrCat(NodeLabel(node), ": ", name, " or its outputs are missing"));
}

absl::StatusOr<GraphImport::Scope> GraphImport::EnterBranch(const onnx::NodeProto& node, const Scope& scope) const {
  PRECIS_ASSIGN_OR_RETURN(Scope inner, Enter(node, scope));
  inner.outer = &scope;
  inner.opsets = scope.opsets;
  inner.arguments = scope.arguments;
  return inner;
}

absl::Status GraphImport::ImportBranch(const onnx::GraphProto& branch, Scope& inner) {
  for (const auto& initializer : branch.initializer()) PRECIS_RETURN_IF_ERROR(AddInitializer(initializer, inner));
  return ImportNodes(branch.node(), inner);
}

absl::Status GraphImport::ImportIf(const onnx::NodeProto& node, ValueId condition, const std::vector<ValueId>& outputs,
                                   const Scope& scope) {
  const Tensor* value = graph_.ConstantOrNull(condition);
  if (value == nullptr) return ImportBothBranches(node, condition, outputs, scope);
  if (value->num_elements() != 1)
    return absl::InvalidArgumentError(absl::StrCat(NodeLabel(node), ": its condition is no scalar"));
  const absl::string_view taken = ToInt64(value->view())[0] != 0 ? "then_branch" : "else_branch";
  PRECIS_ASSIGN_OR_RETURN(const onnx::GraphProto* branch, FindBranch(node, taken, outputs.size()));
  PRECIS_ASSIGN_OR_RETURN(Scope inner, EnterBranch(node, scope));
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] != ir::kNoValue) inner.results.try_emplace(branch->output(static_cast<int>(i)).name(), outputs[i]);
  }
  PRECIS_RETURN_IF_ERROR(ImportBranch(*branch, inner));
  for (size_t i = 0; i < outputs.size(); ++i) {
    PRECIS_RETURN_IF_ERROR(BindResult(node, branch->output(static_cast<int>(i)).name(), outputs[i], inner));
  }
  return absl::OkStatus();
}

// The condition may follow from shapes (exporters ask whether a dimension is one before they squeeze it), or from data.
absl::Status GraphImport::ImportBothBranches(const onnx::NodeProto& node, ValueId condition,
                                             const std::vector<ValueId>& outputs, const Scope& scope) {
  std::vector<std::vector<ValueId>> choices(outputs.size(), {condition});
  for (const char* name : {"then_branch", "else_branch"}) {
    PRECIS_ASSIGN_OR_RETURN(const onnx::GraphProto* branch, FindBranch(node, name, outputs.size()));
    PRECIS_ASSIGN_OR_RETURN(Scope inner, EnterBranch(node, scope));
    absl::StrAppend(&inner.prefix, name, "/");
    PRECIS_RETURN_IF_ERROR(ImportBranch(*branch, inner));
    for (size_t i = 0; i < outputs.size(); ++i) {
      PRECIS_ASSIGN_OR_RETURN(const ValueId result,
                              FindResult(node, branch->output(static_cast<int>(i)).name(), inner));
      choices[i].push_back(result);
    }
  }
  const std::string name = node.name().empty() ? absl::StrCat("If:", node.output(0)) : node.name();
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == ir::kNoValue) continue;
    graph_.AddNode(context_.UniqueNodeName(scope.prefix + name), ir::Choose{}, choices[i], {outputs[i]});
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

absl::StatusOr<ValueId> GraphImport::FindResult(const onnx::NodeProto& node, const std::string& name,
                                                const Scope& scope) const {
  for (const Scope* s = &scope; s != nullptr; s = s->outer) {
    const auto found = s->values.find(name);
    if (found != s->values.end() && found->second != ir::kNoValue) return found->second;
  }
  return absl::InvalidArgumentError(absl::StrCat(NodeLabel(node), ": nothing inside computes ", Quoted(name)));
}

absl::Status GraphImport::BindResult(const onnx::NodeProto& node, const std::string& name, ValueId result,
                                     const Scope& scope) {
  if (result == ir::kNoValue) return absl::OkStatus();
  PRECIS_ASSIGN_OR_RETURN(const ValueId found, FindResult(node, name, scope));
  if (found != result) {
    graph_.AddNode(context_.UniqueNodeName(absl::StrCat(scope.prefix, name)), ir::Identity{}, {found}, {result});
  }
  return absl::OkStatus();
}

}  // namespace precis::onnx_import
