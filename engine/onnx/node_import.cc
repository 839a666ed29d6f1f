// Names: the node that computes the ONNX node's outputs bears its name, helpers are "name/suffix"; values that ONNX has no name
// for are "output:suffix".
#include "engine/onnx/node_import.h"

#include "absl/strings/str_cat.h"
#include "engine/onnx/quoting.h"

namespace precis::onnx_import {

using ir::ValueId;

std::string ImportContext::UniqueNodeName(const std::string& name) {
  std::string candidate = name;
  while (!node_names.try_emplace(candidate, 1).second) candidate = absl::StrCat(name, "#", ++node_names[name]);
  return candidate;
}

NodeImport::NodeImport(ImportContext& context, const onnx::NodeProto& proto, int opset, std::string name,
                       std::vector<ValueId> inputs, std::vector<ValueId> outputs)
    : context_(context),
      proto_(proto),
      attributes_(proto),
      opset_(opset),
      name_(std::move(name)),
      inputs_(std::move(inputs)),
      outputs_(std::move(outputs)) {}

ValueId NodeImport::Input(size_t i) {
  if (!HasInput(i)) Fail(absl::StrCat("input ", i, " is missing"));
  return Optional(i);
}

std::vector<ValueId> NodeImport::Inputs(size_t count) {
  std::vector<ValueId> all;
  for (size_t i = 0; i < count; ++i) all.push_back(Input(i));
  return all;
}

const precis::Tensor* NodeImport::ConstantInput(size_t i) const { return context_.graph.ConstantOrNull(Optional(i)); }

std::optional<DataType> NodeImport::InputType(size_t i) const {
  const auto it = context_.types.find(Optional(i));
  return it == context_.types.end() ? std::nullopt : std::optional(it->second);
}

std::string NodeImport::FreeValueName(absl::string_view suffix) const {
  const ValueId owner = outputs_.empty() ? ir::kNoValue : outputs_[0];
  std::string name = absl::StrCat(owner == ir::kNoValue ? name_ : context_.graph.value(owner).name, ":", suffix);
  while (context_.reserved_values.contains(name)) name += '\'';
  return name;
}

void NodeImport::Emit(ir::Op op, std::vector<ValueId> inputs, size_t i) {
  if (!status().ok() || !WantsOutput(i)) return;
  if (const auto* cast = std::get_if<ir::Cast>(&op); cast != nullptr) context_.types.try_emplace(outputs_[i], cast->to);
  context_.graph.AddNode(context_.UniqueNodeName(name_), std::move(op), std::move(inputs), {outputs_[i]});
}

void NodeImport::EmitAll(ir::Op op, std::vector<ValueId> inputs) {
  if (!status().ok()) return;
  context_.graph.AddNode(context_.UniqueNodeName(name_), std::move(op), std::move(inputs), outputs_);
}

ValueId NodeImport::Add(absl::string_view suffix, ir::Op op, std::vector<ValueId> inputs) {
  if (!status().ok()) return ir::kNoValue;
  const ValueId value = context_.graph.AddValue(FreeValueName(suffix));
  context_.graph.AddNode(context_.UniqueNodeName(absl::StrCat(name_, "/", suffix)), std::move(op), std::move(inputs),
                         {value});
  return value;
}

std::vector<ValueId> NodeImport::AddMany(absl::string_view suffix, ir::Op op, std::vector<ValueId> inputs,
                                         size_t count) {
  std::vector<ValueId> values(count, ir::kNoValue);
  if (!status().ok()) return values;
  for (size_t i = 0; i < count; ++i) values[i] = context_.graph.AddValue(FreeValueName(absl::StrCat(suffix, i)));
  context_.graph.AddNode(context_.UniqueNodeName(absl::StrCat(name_, "/", suffix)), std::move(op), std::move(inputs),
                         values);
  return values;
}

ValueId NodeImport::Constant(absl::string_view suffix, precis::Tensor tensor) {
  if (!status().ok()) return ir::kNoValue;
  const DataType type = tensor.dtype();
  const ValueId value = context_.graph.AddConstant(FreeValueName(suffix), std::move(tensor));
  context_.types[value] = type;
  return value;
}

ValueId NodeImport::Int64s(absl::string_view suffix, const ir::Ints& values) {
  return Constant(suffix, precis::Tensor::From<int64_t>({static_cast<int64_t>(values.size())}, values));
}

ValueId NodeImport::Int64(absl::string_view suffix, int64_t value) {
  return Constant(suffix, precis::Tensor::From<int64_t>({}, {value}));
}

void NodeImport::EmitConstant(precis::Tensor tensor) {
  if (!status().ok() || !WantsOutput(0)) return;
  context_.types[outputs_[0]] = tensor.dtype();
  context_.graph.MakeConstant(outputs_[0], std::move(tensor));
}

precis::Tensor NodeImport::Read(const onnx::TensorProto& proto) {
  absl::StatusOr<precis::Tensor> tensor = context_.tensors.Read(proto);
  if (tensor.ok()) return *std::move(tensor);
  Fail(tensor.status());
  return precis::Tensor();
}

void NodeImport::Fail(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);
}

void NodeImport::FailAttribute(absl::string_view name, const std::string& value) {
  Fail(absl::StrCat("attribute \"", name, "\" is ", Quoted(value)));
}

}  // namespace precis::onnx_import
