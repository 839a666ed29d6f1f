// Matching and editing shared by the rewrites.
#include "engine/passes/match.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"

namespace precis::passes {

using ir::BinaryKind;
using ir::Graph;
using ir::kNoNode;
using ir::kNoValue;
using ir::NodeId;
using ir::ValueId;

bool IsUnary(const Graph& graph, NodeId id, ir::UnaryKind kind) {
  const auto* op = OpIf<ir::Unary>(graph, id);
  return op != nullptr && op->kind == kind && graph.node(id).post_ops.empty();
}

bool IsBinary(const Graph& graph, NodeId id, BinaryKind kind) {
  const auto* op = OpIf<ir::Binary>(graph, id);
  return op != nullptr && op->kind == kind && graph.node(id).post_ops.empty();
}

bool IsReal(const Graph& graph, ValueId id) { return id != kNoValue && IsFloat(graph.value(id).dtype); }

bool SameType(const Graph& graph, ValueId a, ValueId b) {
  const ir::Value& x = graph.value(a);
  const ir::Value& y = graph.value(b);
  return x.dtype == y.dtype && x.shape == y.shape && x.quant == y.quant;
}

NodeId InputProducer(const Graph& graph, NodeId id, size_t slot) {
  const ValueId value = graph.Input(id, slot);
  return value == kNoValue ? kNoNode : graph.producer(value);
}

NodeId OnlyReader(const Graph& graph, ValueId value) {
  return value != kNoValue && graph.HasSingleUse(value) ? graph.consumers(value)[0] : kNoNode;
}

std::optional<double> UniformConstant(const Graph& graph, ValueId value) {
  const Tensor* tensor = graph.ConstantOrNull(value);
  if (tensor == nullptr || tensor->num_elements() == 0) return std::nullopt;
  const auto uniform = [](auto elements) -> std::optional<double> {
    const auto first = elements[0];
    if (!std::all_of(elements.begin(), elements.end(), [first](auto e) { return e == first; })) return std::nullopt;
    return static_cast<double>(first);
  };
  switch (tensor->dtype()) {
    case DataType::kF32: return uniform(tensor->As<float>());
    case DataType::kF64: return uniform(tensor->As<double>());
    case DataType::kS32: return uniform(tensor->As<int32_t>());
    case DataType::kS64: return uniform(tensor->As<int64_t>());
    default: return std::nullopt;
  }
}

std::optional<std::vector<double>> ChannelConstant(const Graph& graph, ValueId value, const Shape& shape, int axis) {
  const Tensor* tensor = graph.ConstantOrNull(value);
  if (tensor == nullptr || tensor->dtype() != DataType::kF32 || tensor->shape().size() > shape.size())
    return std::nullopt;
  const size_t channel = static_cast<size_t>(axis);
  const size_t missing = shape.size() - tensor->shape().size();
  for (size_t i = missing; i < shape.size(); ++i) {
    const int64_t dim = tensor->shape()[i - missing];
    if (dim != 1 && (i != channel || dim != shape[i])) return std::nullopt;
  }
  const auto elements = tensor->As<float>();
  if (elements.size() == 1) return std::vector<double>(static_cast<size_t>(shape[channel]), elements[0]);
  return std::vector<double>(elements.begin(), elements.end());
}

std::optional<ConstantOperand> MatchConstantOperand(const Graph& graph, NodeId id) {
  const auto* op = OpIf<ir::Binary>(graph, id);
  if (op == nullptr || !graph.node(id).post_ops.empty()) return std::nullopt;
  const ValueId a = graph.Input(id, 0), b = graph.Input(id, 1);
  if (graph.IsConstant(a) == graph.IsConstant(b)) return std::nullopt;
  const bool first = graph.IsConstant(a);
  ConstantOperand match{op->kind, first ? b : a, first ? a : b, first};
  if (graph.value(match.variable).shape != graph.value(graph.node(id).outputs[0]).shape) return std::nullopt;
  return match;
}

std::optional<ChannelAffine> MatchChannelAffine(const Graph& graph, NodeId id, int axis) {
  if (id == kNoNode || !graph.node(id).post_ops.empty() || !IsReal(graph, graph.node(id).outputs[0]))
    return std::nullopt;
  const Shape& shape = graph.value(graph.node(id).outputs[0]).shape;
  if (static_cast<size_t>(axis) >= shape.size()) return std::nullopt;  // a reader that changes the rank
  const size_t channels = static_cast<size_t>(shape[static_cast<size_t>(axis)]);
  ChannelAffine result{kNoValue, std::vector<double>(channels, 1.0), std::vector<double>(channels, 0.0)};
  if (IsUnary(graph, id, ir::UnaryKind::kLinear)) {
    const auto& linear = std::get<ir::Unary>(graph.node(id).op);
    result.variable = graph.node(id).inputs[0];
    result.scale.assign(channels, linear.alpha);
    result.shift.assign(channels, linear.beta);
    result.scales = linear.alpha != 1.0f;
    result.shifts = linear.beta != 0.0f;
    return result;
  }
  const auto operand = MatchConstantOperand(graph, id);
  if (!operand) return std::nullopt;
  auto numbers = ChannelConstant(graph, operand->constant, shape, axis);
  if (!numbers) return std::nullopt;
  result.variable = operand->variable;
  switch (operand->kind) {
    case BinaryKind::kMul:
      result.scale = *std::move(numbers);
      result.scales = true;
      return result;
    case BinaryKind::kDiv:
      if (operand->constant_first || std::count(numbers->begin(), numbers->end(), 0.0) > 0) return std::nullopt;
      std::transform(numbers->begin(), numbers->end(), result.scale.begin(), [](double c) { return 1.0 / c; });
      result.scales = true;
      return result;
    case BinaryKind::kAdd:
      result.shift = *std::move(numbers);
      result.shifts = true;
      return result;
    case BinaryKind::kSub:
      result.shifts = true;
      if (operand->constant_first) {
        result.scales = true;
        result.scale.assign(channels, -1.0);
        result.shift = *std::move(numbers);
      } else {
        std::transform(numbers->begin(), numbers->end(), result.shift.begin(), [](double c) { return -c; });
      }
      return result;
    default: return std::nullopt;
  }
}

std::optional<ir::Ints> ReducedAxes(const Graph& graph, NodeId id) {
  const auto& op = std::get<ir::Reduce>(graph.node(id).op);
  const int64_t rank = static_cast<int64_t>(graph.value(graph.node(id).inputs[0]).shape.size());
  ir::Ints axes;
  if (const ValueId given = graph.Input(id, 1); given != kNoValue) {
    const Tensor* tensor = graph.ConstantOrNull(given);
    if (tensor == nullptr) return std::nullopt;
    axes = ToInt64(tensor->view());
  }
  if (axes.empty() && !op.noop_with_empty_axes) {
    axes.resize(static_cast<size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
  }
  for (int64_t& axis : axes) axis += axis < 0 ? rank : 0;
  std::sort(axes.begin(), axes.end());
  return axes;
}

std::vector<NodeId> Order(const Graph& graph) {
  auto order = graph.TopologicalOrder();
  return order.ok() ? *std::move(order) : std::vector<NodeId>{};
}

bool Bypass(Graph& graph, NodeId id, ValueId replacement) {
  const ValueId out = graph.node(id).outputs[0];
  if (!graph.IsGraphOutput(out)) {
    graph.RemoveNode(id);
    graph.ReplaceUses(out, replacement);
    return true;
  }
  const NodeId source = graph.producer(replacement);
  if (source == kNoNode || graph.IsGraphOutput(replacement)) return false;
  const auto& outputs = graph.node(source).outputs;
  const size_t slot = static_cast<size_t>(std::find(outputs.begin(), outputs.end(), replacement) - outputs.begin());
  graph.RemoveNode(id);
  graph.ReplaceUses(replacement, out);
  graph.SetOutput(source, slot, out);
  return true;
}

void AbsorbReader(Graph& graph, NodeId id, NodeId reader) {
  const ValueId out = graph.node(reader).outputs[0];
  graph.RemoveNode(reader);
  graph.SetOutput(id, 0, out);
}

void ReplaceConstantInput(Graph& graph, NodeId id, size_t slot, Tensor tensor) {
  const ValueId old = graph.Input(id, slot);
  if (old != kNoValue && graph.IsConstant(old) && graph.HasSingleUse(old)) {
    graph.MakeConstant(old, std::move(tensor));
    return;
  }
  const std::string name = old == kNoValue ? absl::StrCat(graph.node(id).name, "/bias") : graph.value(old).name;
  graph.SetInput(id, slot, graph.AddConstant(name, std::move(tensor)));
}

ValueId AddInt64Constant(Graph& graph, const std::string& name, const ir::Ints& numbers) {
  return graph.AddConstant(name, Tensor::From<int64_t>({static_cast<int64_t>(numbers.size())}, numbers));
}

}  // namespace precis::passes
