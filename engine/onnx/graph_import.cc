// Nodes are visited producers first, so that import functions see which of their inputs are constants. A node that cannot be
// translated is noted and leaves its outputs without a producer; at the end all such nodes make one error.
#include "engine/onnx/graph_import.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/status_macros.h"
#include "engine/onnx/onnx_schema.h"
#include "engine/onnx/operators.h"
#include "engine/onnx/quoting.h"

namespace precis::onnx_import {
namespace {

using ir::ValueId;

constexpr int kMinOpset = 7, kMaxOpset = 22;
constexpr int kMinIrVersion = 3, kMaxIrVersion = 10;
constexpr size_t kMaxNameBytes = 4096;  // names are copied into what is derived from them
constexpr size_t kMaxListed = 100;      // unsupported nodes in one message

absl::Status Annotate(const absl::Status& status, absl::string_view label) {
  return absl::Status(status.code(), absl::StrCat(label, ": ", status.message()));
}

std::string NormalizedDomain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

std::string FunctionKey(absl::string_view domain, absl::string_view name, absl::string_view overload) {
  return absl::StrCat(domain, ":", name, ":", overload);
}

// Dimensions of a declared type: unknown ones are kUnknownDim and named where the file names them.
struct DeclaredShape {
  Shape shape;
  std::vector<std::string> dim_names;
};
DeclaredShape ReadShape(const onnx::TensorShapeProto& proto) {
  DeclaredShape declared;
  for (const auto& dim : proto.dim()) {
    const bool known = dim.has_dim_value() && dim.dim_value() >= 0;
    declared.shape.push_back(known ? dim.dim_value() : kUnknownDim);
    declared.dim_names.push_back(known ? "" : dim.dim_param());
  }
  return declared;
}

// Node with references to the enclosing function's attributes replaced by what the call gave; those it did not give are left out.
onnx::NodeProto BindAttributes(const onnx::NodeProto& node,
                               const absl::flat_hash_map<std::string, const onnx::AttributeProto*>& arguments) {
  onnx::NodeProto bound = node;
  bound.clear_attribute();
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.ref_attr_name().empty()) {
      *bound.add_attribute() = attribute;
    } else if (const auto it = arguments.find(attribute.ref_attr_name()); it != arguments.end()) {
      onnx::AttributeProto* given = bound.add_attribute();
      *given = *it->second;
      given->set_name(attribute.name());
    }
  }
  return bound;
}

// As in `MaxPool "pool1" (opset 12): output 1`.
std::string UnsupportedText(const onnx::NodeProto& node, const std::string& domain, int opset, absl::string_view why) {
  const bool named = !node.name().empty() || node.output_size() == 0;
  return absl::StrCat(domain, domain.empty() ? "" : ".", node.op_type(), " ",
                      Quoted(named ? node.name() : node.output(0)), " (opset ", opset, why.empty() ? ")" : "): ", why);
}

bool HasReferences(const onnx::NodeProto& node) {
  return std::any_of(node.attribute().begin(), node.attribute().end(),
                     [](const onnx::AttributeProto& a) { return !a.ref_attr_name().empty(); });
}

}  // namespace

GraphImport::GraphImport(ir::Graph& graph, const std::string& folder, const ImportLimits& limits)
    : graph_(graph),
      limits_(limits),
      folder_(folder),
      tensors_(folder, limits),
      context_{graph_, tensors_, {}, {}, {}} {}

absl::Status GraphImport::Run(onnx::ModelProto& model) {
  ir_version_ = static_cast<int>(model.ir_version());
  if (!model.has_graph() || ir_version_ < kMinIrVersion)
    return absl::InvalidArgumentError("not an ONNX model: no graph or IR version");
  if (model.ir_version() > kMaxIrVersion) {
    return absl::UnimplementedError(absl::StrCat("IR version ", model.ir_version(), ", want at most ", kMaxIrVersion));
  }
  Scope scope;
  PRECIS_RETURN_IF_ERROR(ReadOpsets(model.opset_import(), scope));
  if (const auto it = scope.opsets.find("");
      it != scope.opsets.end() && (it->second < kMinOpset || it->second > kMaxOpset)) {
    return absl::UnimplementedError(absl::StrCat("opset ", it->second, ", want ", kMinOpset, " to ", kMaxOpset));
  }
  for (const onnx::FunctionProto& function : model.functions()) {
    functions_.try_emplace(FunctionKey(NormalizedDomain(function.domain()), function.name(), function.overload()),
                           &function);
  }
  onnx::GraphProto& graph = *model.mutable_graph();
  graph_.name = graph.name();
  ReadDeclaredTypes(graph);
  for (onnx::TensorProto& initializer : *graph.mutable_initializer()) {
    onnx::TensorProto taken;
    taken.Swap(&initializer);
    PRECIS_RETURN_IF_ERROR(AddInitializer(taken, scope));
  }
  for (const auto& sparse : graph.sparse_initializer()) {
    unsupported_.push_back(absl::StrCat("sparse initializer ", Quoted(sparse.values().name())));
  }
  for (const auto& input : graph.input()) PRECIS_RETURN_IF_ERROR(AddInput(input, scope));
  PRECIS_RETURN_IF_ERROR(ImportNodes(graph.node(), scope));
  if (graph.output().empty()) return absl::InvalidArgumentError("the graph has no outputs");
  for (const auto& output : graph.output()) PRECIS_RETURN_IF_ERROR(AddOutput(output, scope));
  DropUnreadOutputs();
  return UnsupportedError();
}

absl::Status GraphImport::ReadOpsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports,
                                     Scope& scope) {
  for (const auto& import : imports) {
    if (import.version() < 1 || import.version() > 1'000'000) {
      return absl::InvalidArgumentError(
          absl::StrCat("opset of domain ", Quoted(import.domain()), " is ", import.version()));
    }
    scope.opsets[NormalizedDomain(import.domain())] = static_cast<int>(import.version());
  }
  return absl::OkStatus();
}

void GraphImport::ReadDeclaredTypes(const onnx::GraphProto& graph) {
  const auto read = [this](const onnx::ValueInfoProto& info) {
    const auto type = DataTypeFromOnnx(info.type().tensor_type().elem_type());
    if (type.has_value()) declared_types_[info.name()] = *type;
  };
  for (const auto& info : graph.value_info()) read(info);
  for (const auto& info : graph.output()) read(info);
  for (const auto& node : graph.node()) context_.reserved_values.insert(node.output().begin(), node.output().end());
}

absl::Status GraphImport::Declare(const std::string& name, ValueId value, Scope& scope) {
  if (name.size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("value ", Quoted(name), ": its name has ", name.size(), " bytes"));
  }
  if (scope.values.try_emplace(name, value).second) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("value ", Quoted(name), ": defined twice"));
}

absl::Status GraphImport::AddInitializer(const onnx::TensorProto& initializer, Scope& scope) {
  const std::string label = absl::StrCat("initializer ", Quoted(initializer.name()));
  if (initializer.name().empty()) return absl::InvalidArgumentError("an initializer has no name");
  absl::StatusOr<Tensor> tensor = tensors_.Read(initializer);
  if (absl::IsUnimplemented(tensor.status())) {
    unsupported_.push_back(absl::StrCat(label, ": ", tensor.status().message()));
    return Declare(initializer.name(), graph_.AddValue(scope.prefix + initializer.name()), scope);
  }
  if (!tensor.ok()) return Annotate(tensor.status(), label);
  const DataType type = tensor->dtype();
  ValueId value = ir::kNoValue;
  if (const auto result = scope.results.find(initializer.name()); result != scope.results.end()) {
    value = result->second;
    graph_.MakeConstant(value, *std::move(tensor));
  } else {
    value = graph_.AddConstant(scope.prefix + initializer.name(), *std::move(tensor));
  }
  context_.types[value] = type;
  return Declare(initializer.name(), value, scope);
}

absl::Status GraphImport::AddInput(const onnx::ValueInfoProto& input, Scope& scope) {
  const auto known = scope.values.find(input.name());
  if (known != scope.values.end() && !graph_.IsGraphInput(known->second)) return absl::OkStatus();  // an initializer
  const std::string label = absl::StrCat("input ", Quoted(input.name()));
  if (input.name().empty()) return absl::InvalidArgumentError("an input has no name");
  const auto& proto = input.type().tensor_type();
  const std::optional<DataType> type = DataTypeFromOnnx(proto.elem_type());
  if (!input.type().has_tensor_type()) {
    unsupported_.push_back(absl::StrCat(label, ": not a tensor"));
  } else if (!type.has_value()) {
    unsupported_.push_back(absl::StrCat(label, ": element type ", OnnxTypeName(proto.elem_type())));
  } else if (!proto.has_shape()) {
    unsupported_.push_back(absl::StrCat(label, ": no declared shape"));
  }
  const DeclaredShape declared = ReadShape(proto.shape());
  Shape known_dims = declared.shape;
  std::erase(known_dims, kUnknownDim);
  if (declared.shape.size() > kMaxRank || CheckedNumElements(known_dims, limits_.max_tensor_bytes) < 0) {
    return absl::InvalidArgumentError(absl::StrCat(label, ": rank or dimensions over the limit"));
  }
  const ValueId value = graph_.AddValue(input.name());
  graph_.value(value).dtype = type.value_or(DataType::kF32);
  graph_.value(value).shape = declared.shape;
  context_.types[value] = graph_.value(value).dtype;
  graph_.inputs.push_back({value, declared.dim_names});
  return Declare(input.name(), value, scope);
}

absl::Status GraphImport::AddOutput(const onnx::ValueInfoProto& output, const Scope& scope) {
  const auto found = scope.values.find(output.name());
  if (found == scope.values.end()) {
    return absl::InvalidArgumentError(absl::StrCat("output ", Quoted(output.name()), ": nothing computes it"));
  }
  const ValueId id = found->second;
  const auto& proto = output.type().tensor_type();
  if (output.type().value_case() != onnx::TypeProto::VALUE_NOT_SET && !output.type().has_tensor_type()) {
    unsupported_.push_back(absl::StrCat("output ", Quoted(output.name()), ": not a tensor"));
  }
  const DeclaredShape declared = ReadShape(proto.shape());
  ir::Value& value = graph_.value(id);
  if (!value.typed && !graph_.IsGraphInput(id)) {
    value.dtype = DataTypeFromOnnx(proto.elem_type()).value_or(DataType::kF32);
    value.shape = declared.shape;
  }
  graph_.outputs.push_back({id, declared.dim_names});
  return absl::OkStatus();
}

absl::Status GraphImport::CountNodes(int64_t more) {
  if (more > limits_.max_nodes - num_nodes_)
    return absl::InvalidArgumentError(absl::StrCat("more than ", limits_.max_nodes, " nodes"));
  num_nodes_ += static_cast<int>(more);
  return absl::OkStatus();
}

absl::Status GraphImport::ImportNodes(const NodeList& nodes, Scope& scope) {
  PRECIS_RETURN_IF_ERROR(CountNodes(nodes.size()));
  PRECIS_ASSIGN_OR_RETURN(const std::vector<int> order, OrderNodes(nodes));
  for (const int i : order) {
    const onnx::NodeProto& node = nodes[i];
    PRECIS_RETURN_IF_ERROR(HasReferences(node) ? ImportNode(BindAttributes(node, scope.arguments), scope)
                                               : ImportNode(node, scope));
  }
  return absl::OkStatus();
}

absl::Status GraphImport::ImportNode(const onnx::NodeProto& node, Scope& scope) {
  if (node.name().size() > kMaxNameBytes || node.op_type().size() > kMaxNameBytes ||
      node.domain().size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat(NodeLabel(node), ": a name of over ", kMaxNameBytes, " bytes"));
  }
  const std::string domain = NormalizedDomain(node.domain());
  PRECIS_ASSIGN_OR_RETURN(std::vector<ValueId> inputs, ResolveInputs(node, scope));
  PRECIS_ASSIGN_OR_RETURN(std::vector<ValueId> outputs, DeclareOutputs(node, scope));
  const auto local = functions_.find(FunctionKey(domain, node.op_type(), node.overload()));
  if (local != functions_.end()) return CallFunction(node, *local->second, inputs, outputs, scope);
  if (domain.empty() && node.op_type() == "If" && !inputs.empty() && inputs[0] != ir::kNoValue && !outputs.empty())
    return ImportIf(node, inputs[0], outputs, scope);
  if (domain.empty() && node.op_type() == "Loop") return ImportLoop(node, inputs, outputs, scope);
  return Translate(node, domain, std::move(inputs), std::move(outputs), scope);
}

absl::Status GraphImport::Translate(const onnx::NodeProto& node, const std::string& domain, std::vector<ValueId> inputs,
                                    std::vector<ValueId> outputs, const Scope& scope) {
  const auto opset = scope.opsets.find(domain);
  const int version = opset == scope.opsets.end() ? 0 : opset->second;
  const ImportFunction function = FindOperator(domain, node.op_type());
  if (function == nullptr) {
    const auto body = domain.empty() && version != 0 ? FunctionBody(node.op_type(), version) : std::nullopt;
    if (body.has_value()) return CallFunction(node, *body, inputs, outputs, scope);
    unsupported_.push_back(UnsupportedText(node, domain, version, ""));
    return absl::OkStatus();
  }
  const std::string label = NodeLabel(node);
  if (domain.empty() && (version < kMinOpset || version > kMaxOpset)) {
    return absl::InvalidArgumentError(
        absl::StrCat(label, ": opset ", version, ", want ", kMinOpset, " to ", kMaxOpset));
  }
  if (domain.empty()) {
    const absl::Status checked = CheckNode(node, ir_version_, version, folder_);
    if (!checked.ok()) return Annotate(checked, label);
  }
  const std::string name = !node.name().empty()     ? node.name()
                           : node.output_size() > 0 ? absl::StrCat(node.op_type(), ":", node.output(0))
                                                    : node.op_type();
  NodeImport import(context_, node, version, scope.prefix + name, std::move(inputs), outputs);
  function(import);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (import.status().ok() && outputs[i] != ir::kNoValue && !IsComputed(outputs[i])) {
      left_out_.push_back({outputs[i], UnsupportedText(node, domain, version, absl::StrCat("output ", i))});
    }
  }
  if (absl::IsUnimplemented(import.status())) {
    unsupported_.push_back(UnsupportedText(node, domain, version, import.status().message()));
    return absl::OkStatus();
  }
  return import.status().ok() ? absl::OkStatus() : Annotate(import.status(), label);
}

absl::StatusOr<std::vector<ValueId>> GraphImport::ResolveInputs(const onnx::NodeProto& node, const Scope& scope) const {
  std::vector<ValueId> inputs;
  for (const std::string& name : node.input()) {
    if (name.empty()) {
      inputs.push_back(ir::kNoValue);
      continue;
    }
    const Scope* s = &scope;
    while (s != nullptr && !s->values.contains(name)) s = s->outer;
    if (s == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(NodeLabel(node), ": input ", Quoted(name),
                                                     " is neither computed, nor an input, nor an initializer"));
    }
    inputs.push_back(s->values.at(name));
  }
  return inputs;
}

absl::StatusOr<std::vector<ValueId>> GraphImport::DeclareOutputs(const onnx::NodeProto& node, Scope& scope) {
  std::vector<ValueId> outputs;
  for (const std::string& name : node.output()) {
    if (name.empty()) {
      outputs.push_back(ir::kNoValue);
      continue;
    }
    const auto result = scope.results.find(name);
    const ValueId value = result != scope.results.end() ? result->second : graph_.AddValue(scope.prefix + name);
    PRECIS_RETURN_IF_ERROR(Declare(name, value, scope));
    if (scope.depth == 0) {
      const auto type = declared_types_.find(name);
      if (type != declared_types_.end()) context_.types[value] = type->second;
    }
    outputs.push_back(value);
  }
  return outputs;
}

bool GraphImport::IsComputed(ValueId value) const {
  return graph_.producer(value) != ir::kNoNode || graph_.IsConstant(value);
}

absl::Status GraphImport::NoteUnsupported(const onnx::NodeProto& node, const Scope& scope, absl::string_view why) {
  const auto opset = scope.opsets.find("");
  unsupported_.push_back(UnsupportedText(node, "", opset == scope.opsets.end() ? 0 : opset->second, why));
  return absl::OkStatus();
}

void GraphImport::DropUnreadOutputs() {
  for (ir::NodeId id = 0; id < graph_.num_node_slots(); ++id) {
    if (!graph_.alive(id)) continue;
    ir::Node& node = graph_.node(id);
    const bool recurrent = std::holds_alternative<ir::Recurrent>(node.op);
    if (!recurrent && !std::holds_alternative<ir::Pool>(node.op)) continue;
    for (size_t slot = recurrent ? 0 : 1; slot < node.outputs.size(); ++slot) {
      const ValueId v = node.outputs[slot];
      if (v != ir::kNoValue && graph_.consumers(v).empty() && !graph_.IsGraphOutput(v))
        graph_.SetOutput(id, slot, ir::kNoValue);
    }
    while (node.outputs.size() > 1 && node.outputs.back() == ir::kNoValue) node.outputs.pop_back();
  }
}

absl::Status GraphImport::UnsupportedError() {
  for (const auto& [value, text] : left_out_) {
    if (!graph_.consumers(value).empty() || graph_.IsGraphOutput(value)) unsupported_.push_back(text);
  }
  if (unsupported_.empty()) return absl::OkStatus();
  const size_t listed = std::min(unsupported_.size(), kMaxListed);
  const std::string rest = absl::StrCat(" and ", unsupported_.size() - listed, " more");
  return absl::UnimplementedError(absl::StrCat(
      "unsupported: ",
      absl::StrJoin(unsupported_.begin(), unsupported_.begin() + static_cast<std::ptrdiff_t>(listed), ", "),
      unsupported_.size() > listed ? rest : ""));
}

}  // namespace precis::onnx_import
