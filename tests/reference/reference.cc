// The walk: node by node in topological order, every value kept. A node whose first input and first output are floats and that has a
// Compute runs in double; any other runs on its plain kernel.
#include "tests/reference/reference.h"

#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "engine/base/float16.h"
#include "engine/base/status_macros.h"
#include "engine/kernels/kernel.h"
#include "tests/reference/real_tensor.h"

namespace precis::reference {
namespace {

using ir::kNoValue;
using ir::ValueId;

using Values = std::map<ValueId, Tensor>;

const Tensor* Find(const ir::Graph& graph, const Values& values, ValueId id) {
  if (id == kNoValue) return nullptr;
  const auto it = values.find(id);
  return it != values.end() ? &it->second : graph.ConstantOrNull(id);
}

// The result in double, for operators that have one.
std::optional<Real> ComputeReal(const ir::Op& op, const Operands& operands) {
  return std::visit(
      [&operands](const auto& o) -> std::optional<Real> {
        if constexpr (requires { Compute(o, operands); })
          return Compute(o, operands);
        else
          return std::nullopt;
      },
      op);
}

void ApplyPostOps(const ir::Node& node, const std::vector<Real>& inputs, Real& result) {
  for (const ir::PostOp& post : node.post_ops) {
    Operands operands{{&result}, result.shape};
    if (post.kind == ir::PostOp::Kind::kBinary) operands.inputs.push_back(&inputs[static_cast<size_t>(post.input)]);
    result = post.kind == ir::PostOp::Kind::kUnary ? Compute(post.unary, operands)
                                                   : Compute(ir::Binary{post.binary}, operands);
  }
}

absl::Status RunInDouble(const ir::Graph& graph, const ir::Node& node, Values& values) {
  std::vector<Real> inputs(node.inputs.size());
  Operands operands;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Tensor* tensor = Find(graph, values, node.inputs[i]);
    if (tensor != nullptr) inputs[i] = Real::Of(tensor->view());
    operands.inputs.push_back(tensor == nullptr ? nullptr : &inputs[i]);
  }
  const ir::Value& output = graph.value(node.outputs[0]);
  operands.out = output.shape;
  std::optional<Real> result = ComputeReal(node.op, operands);
  if (!result.has_value())
    return absl::UnimplementedError(absl::StrCat("node \"", node.name, "\": no reference for ", ir::OpName(node.op)));
  ApplyPostOps(node, inputs, *result);
  values[node.outputs[0]] = result->To(output.dtype);
  return absl::OkStatus();
}

absl::Status RunKernel(const ir::Graph& graph, ir::NodeId id, Values& values) {
  const ir::Node& node = graph.node(id);
  if (!node.post_ops.empty()) {
    return absl::UnimplementedError(absl::StrCat("node \"", node.name, "\": post-ops on ", ir::OpName(node.op)));
  }
  PRECIS_ASSIGN_OR_RETURN(const kernels::Kernel kernel, kernels::MakeKernel(kernels::SpecOf(graph, id)));
  std::vector<TensorView> inputs;
  std::vector<kernels::MutableTensorView> outputs;
  for (ValueId v : node.inputs) {
    const Tensor* tensor = Find(graph, values, v);
    inputs.push_back(tensor == nullptr ? TensorView{} : tensor->view());
  }
  for (ValueId v : node.outputs) {
    if (v == kNoValue) {
      outputs.emplace_back();
      continue;
    }
    Tensor& tensor = values[v] = Tensor(graph.value(v).dtype, graph.value(v).shape);
    outputs.push_back({tensor.dtype(), tensor.shape(), tensor.data()});
  }
  kernel(inputs, outputs);
  return absl::OkStatus();
}

// Where double arithmetic says more than the kernel: floats in, floats out, one result.
bool WantsDouble(const ir::Graph& graph, const ir::Node& node) {
  size_t used = 0;
  for (ValueId v : node.outputs) used += v != kNoValue;
  if (used != 1 || node.outputs[0] == kNoValue || node.inputs.empty() || node.inputs[0] == kNoValue) return false;
  if (!IsFloat(graph.value(node.inputs[0]).dtype) || !IsFloat(graph.value(node.outputs[0]).dtype)) return false;
  return std::visit([](const auto& op) { return requires { Compute(op, Operands{}); }; }, node.op);
}

}  // namespace

Real Real::Of(const TensorView& view) {
  Real real(view.shape);
  if (view.dtype == DataType::kF64) {
    std::memcpy(real.values.data(), view.data, view.size_bytes());
    return real;
  }
  const std::vector<float> floats = IsFloat(view.dtype) ? ToFloat(view) : std::vector<float>();
  const std::vector<int64_t> integers = IsFloat(view.dtype) ? std::vector<int64_t>() : ToInt64(view);
  for (size_t i = 0; i < real.values.size(); ++i) {
    real.values[i] = IsFloat(view.dtype) ? static_cast<double>(floats[i]) : static_cast<double>(integers[i]);
  }
  return real;
}

Tensor Real::To(DataType dtype) const {
  Tensor tensor(dtype, shape);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<float>(values[i]);
    switch (dtype) {
      case DataType::kF64: tensor.As<double>()[i] = values[i]; break;
      case DataType::kF16: static_cast<uint16_t*>(tensor.data())[i] = F32ToF16(value); break;
      case DataType::kBF16: static_cast<uint16_t*>(tensor.data())[i] = F32ToBF16(value); break;
      default: tensor.As<float>()[i] = value; break;
    }
  }
  return tensor;
}

absl::StatusOr<std::vector<Tensor>> RunTo(const ir::Graph& graph, const std::vector<Tensor>& inputs,
                                          const std::vector<ValueId>& wanted) {
  if (inputs.size() != graph.inputs.size()) {
    return absl::InvalidArgumentError(absl::StrCat(inputs.size(), " inputs, want ", graph.inputs.size()));
  }
  Values values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ir::Value& value = graph.value(graph.inputs[i].value);
    if (inputs[i].dtype() != value.dtype || inputs[i].shape() != value.shape) {
      return absl::InvalidArgumentError(absl::StrCat("input \"", value.name, "\": ", Name(inputs[i].dtype()),
                                                     ShapeToString(inputs[i].shape()), ", want ", Name(value.dtype),
                                                     ShapeToString(value.shape)));
    }
    values[graph.inputs[i].value] = inputs[i].Clone();
  }
  PRECIS_ASSIGN_OR_RETURN(const std::vector<ir::NodeId> order, graph.TopologicalOrder());
  for (ir::NodeId id : order) {
    PRECIS_RETURN_IF_ERROR(WantsDouble(graph, graph.node(id)) ? RunInDouble(graph, graph.node(id), values)
                                                              : RunKernel(graph, id, values));
  }
  std::vector<Tensor> results;
  for (ValueId v : wanted) {
    const Tensor* tensor = Find(graph, values, v);
    if (tensor == nullptr) return absl::InvalidArgumentError(absl::StrCat("value ", v, " is computed by nothing"));
    results.push_back(tensor->Clone());
  }
  return results;
}

absl::StatusOr<std::vector<Tensor>> Run(const ir::Graph& graph, const std::vector<Tensor>& inputs) {
  std::vector<ValueId> wanted;
  for (const ir::Port& port : graph.outputs) wanted.push_back(port.value);
  return RunTo(graph, inputs, wanted);
}

}  // namespace precis::reference
