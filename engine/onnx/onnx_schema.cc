// Nodes are checked one by one, not whole models: the model checker would read external data by its own rules, and refuse models
// for operators that the caller wants to list together.
#include "engine/onnx/onnx_schema.h"

#include <onnx/checker.h>
#include <onnx/defs/schema.h>

#include <exception>

#include "absl/strings/string_view.h"

namespace precis::onnx_import {
namespace {

// libonnx's messages go on with advice and a dump of the node; their first line says what is wrong.
absl::Status FirstLine(absl::string_view message) {
  return absl::InvalidArgumentError(message.substr(0, message.find('\n')));
}

}  // namespace

absl::Status CheckNode(const onnx::NodeProto& node, int ir_version, int opset, const std::string& folder) {
  onnx::checker::CheckerContext context;
  context.set_ir_version(ir_version);
  context.set_opset_imports({{"", opset}});
  context.set_model_dir(folder);
  try {
    onnx::checker::check_node(node, context, onnx::checker::LexicalScopeContext());
  } catch (const std::exception& error) {
    return FirstLine(error.what());
  }
  return absl::OkStatus();
}

std::optional<onnx::FunctionProto> FunctionBody(const std::string& op_type, int opset) {
  try {
    const onnx::OpSchema* schema = onnx::OpSchemaRegistry::Schema(op_type, opset, "");
    const onnx::FunctionProto* body = schema == nullptr ? nullptr : schema->GetFunction(opset);
    if (body == nullptr) return std::nullopt;
    onnx::FunctionProto with_defaults = *body;
    for (const auto& [name, attribute] : schema->attributes()) {
      if (attribute.default_value.has_name()) *with_defaults.add_attribute_proto() = attribute.default_value;
    }
    return with_defaults;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace precis::onnx_import
