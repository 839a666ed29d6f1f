// Loop, unrolled: each pass over the body is a scope of its own. What tells how many there are must be constant, as torch.jit.script writes
// `for i in range(n)`; a loop that data ends is unsupported.
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/onnx/graph_import.h"
#include "engine/onnx/quoting.h"

namespace precis::onnx_import {
namespace {

using ir::kNoValue;
using ir::ValueId;

constexpr int64_t kMaxPasses = 1024;
constexpr int64_t kMaxUnrolledBytes = int64_t{1} << 30;  // of the body's file form, times the passes

// The constant that `v` is, through copies and casts; null when it is computed.
const Tensor* ConstantBehind(const ir::Graph& graph, ValueId v) {
  while (v != kNoValue && !graph.IsConstant(v)) {
    const ir::NodeId id = graph.producer(v);
    if (id == ir::kNoNode || (!std::holds_alternative<ir::Identity>(graph.node(id).op) &&
                              !std::holds_alternative<ir::Cast>(graph.node(id).op)))
      return nullptr;
    v = graph.Input(id, 0);
  }
  const Tensor* tensor = graph.ConstantOrNull(v);
  return tensor != nullptr && tensor->num_elements() == 1 ? tensor : nullptr;
}

Tensor True() {
  Tensor value(DataType::kBool, {});
  *static_cast<uint8_t*>(value.data()) = 1;
  return value;
}

}  // namespace

absl::Status GraphImport::ImportLoop(const onnx::NodeProto& node, const std::vector<ValueId>& inputs,
                                     const std::vector<ValueId>& outputs, const Scope& scope) {
  const size_t carried_count = inputs.size() < 2 ? 0 : inputs.size() - 2;
  const onnx::GraphProto* body = Attributes(node).Graph("body");
  if (inputs.size() < 2 || body == nullptr || body->input_size() != static_cast<int>(carried_count) + 2 ||
      body->output_size() != static_cast<int>(outputs.size()) + 1 || outputs.size() < carried_count) {
    return absl::InvalidArgumentError(absl::StrCat(NodeLabel(node), ": its body does not fit its inputs and outputs"));
  }
  const Tensor* trips = ConstantBehind(graph_, inputs[0]);
  const Tensor* starts = ConstantBehind(graph_, inputs[1]);
  if (trips == nullptr || (inputs[1] != kNoValue && starts == nullptr))
    return NoteUnsupported(node, scope, "a number of passes computed at run time");
  const int64_t passes = starts != nullptr && ToInt64(starts->view())[0] == 0 ? 0 : ToInt64(trips->view())[0];
  const auto body_bytes = static_cast<int64_t>(body->ByteSizeLong());
  if (passes < 1 || passes > kMaxPasses || passes * body_bytes > kMaxUnrolledBytes)
    return NoteUnsupported(node, scope, absl::StrCat(passes, " passes over a body of ", body_bytes, " bytes"));

  // Each pass has a number, and a row of each scanned output, whatever is in the body.
  PRECIS_RETURN_IF_ERROR(CountNodes(passes * static_cast<int64_t>(1 + outputs.size() - carried_count)));

  std::vector<ValueId> carried(inputs.begin() + 2, inputs.end());
  std::vector<std::vector<ValueId>> scanned(outputs.size() - carried_count);
  for (int64_t pass = 0; pass < passes; ++pass) {
    PRECIS_ASSIGN_OR_RETURN(Scope inner, EnterBranch(node, scope));
    absl::StrAppend(&inner.prefix, pass, "/");
    const ValueId number = graph_.AddConstant(inner.prefix + body->input(0).name(), Tensor::From<int64_t>({}, {pass}));
    context_.types[number] = DataType::kS64;
    PRECIS_RETURN_IF_ERROR(Declare(body->input(0).name(), number, inner));
    PRECIS_RETURN_IF_ERROR(
        Declare(body->input(1).name(), graph_.AddConstant(inner.prefix + body->input(1).name(), True()), inner));
    for (size_t i = 0; i < carried_count; ++i)
      PRECIS_RETURN_IF_ERROR(Declare(body->input(static_cast<int>(i) + 2).name(), carried[i], inner));
    PRECIS_RETURN_IF_ERROR(ImportBranch(*body, inner));
    for (size_t i = 0; i < outputs.size(); ++i) {
      PRECIS_ASSIGN_OR_RETURN(const ValueId result,
                              FindResult(node, body->output(static_cast<int>(i) + 1).name(), inner));
      if (i < carried_count) {
        carried[i] = result;
      } else {
        const ValueId axis = graph_.AddConstant(inner.prefix + "axis", Tensor::From<int64_t>({1}, {0}));
        const ValueId row = graph_.AddValue(inner.prefix + "scanned");
        graph_.AddNode(context_.UniqueNodeName(inner.prefix + "scan"), ir::Unsqueeze{}, {result, axis}, {row});
        scanned[i - carried_count].push_back(row);
      }
    }
    PRECIS_ASSIGN_OR_RETURN(const ValueId goes_on, FindResult(node, body->output(0).name(), inner));
    const Tensor* known = ConstantBehind(graph_, goes_on);
    if (known == nullptr) return NoteUnsupported(node, scope, "a condition computed at run time");
    if (ToInt64(known->view())[0] == 0) break;
  }
  const std::string name = node.name().empty() ? absl::StrCat("Loop:", node.output(0)) : node.name();
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == kNoValue) continue;
    const std::string own = context_.UniqueNodeName(scope.prefix + name);
    if (i < carried_count) {
      graph_.AddNode(own, ir::Identity{}, {carried[i]}, {outputs[i]});
    } else {
      graph_.AddNode(own, ir::Concat{0}, scanned[i - carried_count], {outputs[i]});
    }
  }
  return absl::OkStatus();
}

}  // namespace precis::onnx_import
