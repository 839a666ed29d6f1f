// Graphs for tests, value by value.
#include "tests/support/graph_builder.h"

#include <utility>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "engine/ir/infer.h"

namespace precis::testing {

using ir::ValueId;

Tensor RandomTensor(std::mt19937& random, const Shape& shape, float low, float high, DataType dtype) {
  Tensor t(dtype, shape);
  const auto fill = [&](auto element, auto&& draw) {
    for (auto& x : t.As<decltype(element)>()) x = static_cast<decltype(element)>(draw());
  };
  std::uniform_real_distribution<float> real(low, high);
  std::uniform_int_distribution<int64_t> whole(static_cast<int64_t>(low), static_cast<int64_t>(high));
  const auto integer = [&] { return whole(random); };
  switch (dtype) {
    case DataType::kF32: fill(0.0f, [&] { return real(random); }); break;
    case DataType::kS8: fill(int8_t{}, integer); break;
    case DataType::kU8: fill(uint8_t{}, integer); break;
    case DataType::kS32: fill(int32_t{}, integer); break;
    case DataType::kS64: fill(int64_t{}, integer); break;
    case DataType::kBool: fill(bool{}, [&] { return (random() & 1u) != 0; }); break;
    default: LOG(FATAL) << "no random tensors of " << Name(dtype);
  }
  return t;
}

ValueId GraphBuilder::Input(const Shape& shape, DataType dtype) {
  const ValueId v = graph_.AddValue(absl::StrCat("input", graph_.inputs.size()), dtype, shape);
  graph_.inputs.push_back({v, std::vector<std::string>(shape.size())});
  return v;
}

ValueId GraphBuilder::Constant(Tensor tensor) {
  return graph_.AddConstant(absl::StrCat("constant", graph_.num_values()), std::move(tensor));
}

ValueId GraphBuilder::Weights(const Shape& shape, float low, float high) {
  return Constant(RandomTensor(random_, shape, low, high));
}

ValueId GraphBuilder::Ints(const std::vector<int64_t>& values) {
  return Constant(Tensor::From<int64_t>({static_cast<int64_t>(values.size())}, values));
}

ValueId GraphBuilder::Node(ir::Op op, std::vector<ValueId> inputs) {
  return Nodes(std::move(op), std::move(inputs), 1)[0];
}

std::vector<ValueId> GraphBuilder::Nodes(ir::Op op, std::vector<ValueId> inputs, size_t outputs) {
  const std::string name = absl::StrCat(ir::OpName(op), graph_.num_node_slots());
  std::vector<ValueId> values;
  for (size_t i = 0; i < outputs; ++i) values.push_back(graph_.AddValue(absl::StrCat(name, "_", i)));
  const ir::NodeId id = graph_.AddNode(name, std::move(op), std::move(inputs), values);
  CHECK_OK(ir::InferNode(graph_, id));
  return values;
}

void GraphBuilder::Fuse(ValueId value, ir::Unary unary) {
  graph_.node(graph_.producer(value)).post_ops.push_back({ir::PostOp::Kind::kUnary, unary, {}, -1});
}

void GraphBuilder::Fuse(ValueId value, ir::BinaryKind kind, ValueId operand) {
  const ir::NodeId id = graph_.producer(value);
  // Slots of absent optional inputs stay in front of the operands of post-ops.
  const bool has_bias_slot = std::holds_alternative<ir::Conv>(graph_.node(id).op) ||
                             std::holds_alternative<ir::ConvTranspose>(graph_.node(id).op) ||
                             std::holds_alternative<ir::MatMul>(graph_.node(id).op);
  if (has_bias_slot && graph_.node(id).inputs.size() < 3) graph_.SetInput(id, 2, ir::kNoValue);
  const int slot = graph_.AppendInput(id, operand);
  graph_.node(id).post_ops.push_back({ir::PostOp::Kind::kBinary, {}, kind, slot});
}

void GraphBuilder::Output(ValueId value) {
  graph_.outputs.push_back({value, std::vector<std::string>(graph_.value(value).shape.size())});
}

ValueId GraphBuilder::Unary(ir::UnaryKind kind, ValueId x, float alpha, float beta) {
  return Node(ir::Unary{kind, alpha, beta}, {x});
}

ValueId GraphBuilder::Binary(ir::BinaryKind kind, ValueId a, ValueId b) { return Node(ir::Binary{kind}, {a, b}); }

ValueId GraphBuilder::Transpose(ValueId x, ir::Ints perm) { return Node(ir::Transpose{std::move(perm)}, {x}); }

ValueId GraphBuilder::Reshape(ValueId x, const Shape& shape) { return Node(ir::Reshape{}, {x, Ints(shape)}); }

ValueId GraphBuilder::Conv(ValueId x, int64_t out_channels, ir::Window window, int64_t groups, bool bias) {
  Shape weights = {out_channels, graph_.value(x).shape[1] / groups};
  weights.insert(weights.end(), window.kernel.begin(), window.kernel.end());
  std::vector<ValueId> inputs = {x, Weights(weights)};
  if (bias) inputs.push_back(Weights({out_channels}));
  return Node(ir::Conv{std::move(window), groups}, std::move(inputs));
}

ir::Window SquareWindow(ir::Ints kernel, int64_t stride, int64_t pad, int64_t dilation) {
  ir::Window w;
  const size_t spatial = kernel.size();
  w.kernel = std::move(kernel);
  w.strides = ir::Ints(spatial, stride);
  w.dilations = ir::Ints(spatial, dilation);
  w.pads_begin = w.pads_end = ir::Ints(spatial, pad);
  return w;
}

std::vector<Tensor> RandomInputs(const ir::Graph& graph, std::mt19937& random, float low, float high) {
  std::vector<Tensor> tensors;
  for (const ir::Port& port : graph.inputs) {
    const ir::Value& v = graph.value(port.value);
    tensors.push_back(RandomTensor(random, v.shape, low, high, v.dtype));
  }
  return tensors;
}

}  // namespace precis::testing
