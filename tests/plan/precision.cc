// A miniature quantizer for tests, and its f32 shadow: every value of the low-precision graph has a rounding node in the expected one.
#include "tests/plan/precision.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "engine/base/affine.h"
#include "engine/base/float16.h"
#include "engine/base/status_macros.h"
#include "engine/exec/context.h"
#include "engine/plan/cpu_features.h"
#include "engine/plan/plan.h"
#include "tests/reference/reference.h"

namespace precis::testing {
namespace {

using ir::Graph;
using ir::NodeId;
using ir::QuantParams;
using ir::ValueId;

template <typename... Ops>
bool OneOf(const ir::Op& op) {
  return (std::holds_alternative<Ops>(op) || ...);
}

bool IsHeavy(const ir::Op& op) { return OneOf<ir::Conv, ir::ConvTranspose, ir::MatMul>(op); }

// Outputs hold input 0's elements (or a mean or maximum of them), so they keep its parameters.
bool KeepsParameters(const ir::Op& op) {
  return OneOf<ir::Identity, ir::Reshape, ir::Flatten, ir::Squeeze, ir::Unsqueeze, ir::Transpose, ir::Split, ir::Slice,
               ir::Gather, ir::Expand, ir::Tile, ir::DepthToSpace, ir::SpaceToDepth, ir::Pool, ir::Concat>(op);
}

bool ComputesInInt8(const ir::Node& n) {
  if (const auto* binary = std::get_if<ir::Binary>(&n.op)) {
    return n.post_ops.empty() && (binary->kind == ir::BinaryKind::kAdd || binary->kind == ir::BinaryKind::kSub ||
                                  binary->kind == ir::BinaryKind::kMul);
  }
  if (const auto* pool = std::get_if<ir::GlobalPool>(&n.op)) return pool->kind != ir::PoolKind::kMax;
  return IsHeavy(n.op) || KeepsParameters(n.op) || (OneOf<ir::Unary>(n.op) && n.post_ops.empty());
}

// Constants that a quantizer converts: weights, and operands that are tensors like any other.
bool IsConvertedConstant(const ir::Node& n, size_t slot) {
  if (std::any_of(n.post_ops.begin(), n.post_ops.end(),
                  [&](const auto& p) { return p.input == static_cast<int>(slot); }))
    return false;
  return (IsHeavy(n.op) && slot == 1) || OneOf<ir::Binary, ir::Concat>(n.op);
}

float RoundTo(DataType type, float x) {
  return type == DataType::kF16 ? F16ToF32(F32ToF16(x)) : BF16ToF32(F32ToBF16(x));
}

Tensor Rounded(const Tensor& t, DataType type, bool as_bits) {
  Tensor out(as_bits ? type : DataType::kF32, t.shape());
  const auto x = t.As<float>();
  for (size_t i = 0; i < x.size(); ++i) {
    if (as_bits) {
      static_cast<uint16_t*>(out.data())[i] = type == DataType::kF16 ? F32ToF16(x[i]) : F32ToBF16(x[i]);
    } else {
      out.As<float>()[i] = RoundTo(type, x[i]);
    }
  }
  return out;
}

class Converter {
 public:
  Converter(const Graph& graph, Precision precision)
      : precision_(precision), f32_(graph), low_(graph), expected_(graph) {
    type_ = precision == Precision::kBF16  ? DataType::kBF16
            : precision == Precision::kF16 ? DataType::kF16
            : precision == Precision::kU8  ? DataType::kU8
                                           : DataType::kS8;
  }

  absl::StatusOr<Lowered> Run(const std::vector<Tensor>& inputs) {
    PRECIS_ASSIGN_OR_RETURN(order_, f32_.TopologicalOrder());
    for (ValueId v = 0; v < f32_.num_values(); ++v) {
      const bool is_float = f32_.value(v).dtype == DataType::kF32 && !f32_.IsConstant(v);
      if (is_float && (f32_.IsGraphInput(v) || f32_.producer(v) != ir::kNoNode)) values_.push_back(v);
    }
    if (IsQuantized(precision_)) PRECIS_RETURN_IF_ERROR(ChooseParameters(inputs));
    for (NodeId id : order_) ConvertConstants(id);
    Lowered result;
    for (const ir::Port& port : f32_.outputs) result.steps.push_back(StepOf(port.value));
    result.relative_step = precision_ == Precision::kBF16 ? 0x1p-7f : precision_ == Precision::kF16 ? 0x1p-10f : 0.0f;
    for (ValueId v : values_) RoundExpected(v);
    for (ValueId v : values_) Store(v);
    PRECIS_RETURN_IF_ERROR(low_.Verify());
    PRECIS_RETURN_IF_ERROR(expected_.Verify());
    result.graph = std::move(low_);
    result.expected = std::move(expected_);
    return result;
  }

 private:
  // Without VNNI products of u8 and s8 are summed in 16 bits, in pairs: weights are kept in [-63, 63] so that nothing saturates. For s8 sources
  // oneDNN's convolutions halve the weights instead, with rounding: even levels survive both.
  static int32_t LargestWeight() { return plan::CpuHasVnni() ? 127 : 62; }
  int32_t WeightStep() const { return precision_ == Precision::kS8 && !plan::CpuHasVnni() ? 2 : 1; }

  QuantParams ParametersFor(float low, float high, bool weights) const {
    const int32_t levels = weights ? LargestWeight() : 127;
    if (weights || precision_ == Precision::kS8)
      return {{std::max({std::abs(low), std::abs(high), 1e-3f}) / static_cast<float>(levels)}, {}, -1};
    low = std::min(low, 0.0f);
    high = std::max({high, 0.0f, low + 1e-3f});
    const float scale = (high - low) / 255.0f;
    return {{scale}, {static_cast<int32_t>(std::nearbyint(-low / scale))}, -1};
  }

  static std::pair<float, float> RangeOf(const Tensor& t) {
    const auto x = t.As<float>();
    if (x.empty()) return {0.0f, 0.0f};
    const auto [low, high] = std::minmax_element(x.begin(), x.end());
    return {*low, *high};
  }

  absl::Status ChooseParameters(const std::vector<Tensor>& inputs) {
    PRECIS_ASSIGN_OR_RETURN(const auto tensors, reference::RunTo(f32_, inputs, values_));
    for (size_t i = 0; i < values_.size(); ++i) {
      const auto [low, high] = RangeOf(tensors[i]);
      quant_[values_[i]] = ParametersFor(low, high, PlaysWeights(values_[i]));
    }
    for (NodeId id : order_) {
      const ir::Node& n = f32_.node(id);
      if (!KeepsParameters(n.op) || !quant_.contains(n.inputs[0])) continue;
      for (ValueId v : n.outputs) {
        if (v != ir::kNoValue && quant_.contains(v)) quant_[v] = quant_[n.inputs[0]];
      }
      if (!OneOf<ir::Concat>(n.op)) continue;
      for (ValueId v : n.inputs) quant_[v] = quant_[n.inputs[0]];  // the test keeps their ranges alike
    }
    return absl::OkStatus();
  }

  // Whether the value, or a view of it, is the second operand of a product of activations.
  bool PlaysWeights(ValueId v) const {
    const auto& readers = f32_.consumers(v);
    return std::any_of(readers.begin(), readers.end(), [&](NodeId id) {
      const ir::Node& n = f32_.node(id);
      return (OneOf<ir::MatMul>(n.op) && f32_.Input(id, 1) == v) ||
             (KeepsParameters(n.op) && PlaysWeights(n.outputs[0]));
    });
  }

  DataType TypeOf(ValueId v) const {
    return IsQuantized(precision_) && quant_.at(v).zero_points.empty() ? DataType::kS8 : type_;
  }

  float StepOf(ValueId v) const {
    const auto it = quant_.find(v);
    return it == quant_.end() ? 0.0f : it->second.scale();
  }

  void ConvertConstants(NodeId id) {
    const ir::Node& n = f32_.node(id);
    for (size_t slot = 0; slot < n.inputs.size(); ++slot) {
      const Tensor* t = f32_.ConstantOrNull(n.inputs[slot]);
      if (t == nullptr || t->dtype() != DataType::kF32 || !IsConvertedConstant(n, slot)) continue;
      if (!IsQuantized(precision_)) {
        ReplaceConstant(low_, id, slot, Rounded(*t, type_, true), std::nullopt);
        ReplaceConstant(expected_, id, slot, Rounded(*t, type_, false), std::nullopt);
      } else if (ComputesInInt8(n)) {
        QuantizeConstant(id, slot, *t, IsHeavy(n.op) ? WeightAxis(n, static_cast<int>(t->shape().size())) : -1);
      }
    }
  }

  // The dimension of output channels.
  static int WeightAxis(const ir::Node& n, int rank) {
    if (const auto* matmul = std::get_if<ir::MatMul>(&n.op)) return matmul->transpose_b ? rank - 2 : rank - 1;
    return OneOf<ir::ConvTranspose>(n.op) ? 1 : 0;
  }

  void QuantizeConstant(NodeId id, size_t slot, const Tensor& t, int axis) {
    const auto x = t.As<float>();
    const ir::Node& n = f32_.node(id);
    const bool weights = IsHeavy(n.op);
    // Transposed convolutions with groups repeat the channel dimension per group: one scale for all keeps the test simple.
    if (const auto* op = std::get_if<ir::ConvTranspose>(&n.op); op != nullptr && op->groups > 1) axis = -1;
    const size_t channels = axis < 0 ? 1 : static_cast<size_t>(t.shape()[static_cast<size_t>(axis)]);
    const auto stride =
        axis < 0 ? x.size() : static_cast<size_t>(RowMajorStrides(t.shape())[static_cast<size_t>(axis)]);
    const auto channel_of = [&](size_t i) { return axis < 0 ? 0 : i / stride % channels; };
    std::vector<float> low(channels, 0.0f), high(channels, 0.0f);
    for (size_t i = 0; i < x.size(); ++i) {
      low[channel_of(i)] = std::min(low[channel_of(i)], x[i]);
      high[channel_of(i)] = std::max(high[channel_of(i)], x[i]);
    }
    QuantParams q;
    q.axis = axis;
    for (size_t c = 0; c < channels; ++c) {
      const QuantParams one = ParametersFor(low[c], high[c], weights);
      q.scales.push_back(one.scale());
      if (!one.zero_points.empty()) q.zero_points.push_back(one.zero_point());
    }
    if (OneOf<ir::Concat>(n.op)) q = quant_.at(n.outputs[0]);
    const bool is_unsigned = !q.zero_points.empty();
    Tensor levels(is_unsigned ? DataType::kU8 : DataType::kS8, t.shape()), real(DataType::kF32, t.shape());
    const int32_t limit = weights ? LargestWeight() : 127, step = weights ? WeightStep() : 1;
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = channel_of(i);
      const int32_t zero = q.zero_points.empty() ? 0 : q.zero_points[c];
      const int32_t lowest = is_unsigned ? 0 : -limit / step, highest = is_unsigned ? 255 : limit / step;
      const int32_t level = step * QuantizeAffine(x[i], q.scales[c] * static_cast<float>(step), zero, lowest, highest);
      static_cast<uint8_t*>(levels.data())[i] = static_cast<uint8_t>(level);
      real.As<float>()[i] = DequantizeAffine(level, q.scales[c], zero);
    }
    ReplaceConstant(low_, id, slot, std::move(levels), q);
    ReplaceConstant(expected_, id, slot, std::move(real), std::nullopt);
  }

  static void ReplaceConstant(Graph& graph, NodeId id, size_t slot, Tensor tensor, std::optional<QuantParams> quant) {
    const ValueId v = graph.AddConstant("converted", std::move(tensor));
    graph.value(v).quant = std::move(quant);
    graph.SetInput(id, slot, v);
  }

  // Makes every reader of `v` read what comes out of `second`(`first`(v)).
  void RoundExpected(ValueId v) {
    const Shape shape = expected_.value(v).shape;
    const ValueId real = expected_.AddValue("rounded", DataType::kF32, shape);
    expected_.ReplaceUses(v, real);
    if (!IsQuantized(precision_)) {
      const ValueId narrow = expected_.AddValue("narrow", type_, shape);
      expected_.AddNode("", ir::Cast{type_}, {v}, {narrow});
      expected_.AddNode("", ir::Cast{DataType::kF32}, {narrow}, {real});
      return;
    }
    const QuantParams& q = quant_.at(v);
    const bool is_unsigned = TypeOf(v) == DataType::kU8;
    const ValueId scale = expected_.AddConstant("scale", Tensor::From<float>({}, {q.scale()}));
    const ValueId zero =
        expected_.AddConstant("zero", is_unsigned ? Tensor::From<uint8_t>({}, {static_cast<uint8_t>(q.zero_point())})
                                                  : Tensor::From<int8_t>({}, {static_cast<int8_t>(q.zero_point())}));
    const ValueId levels = expected_.AddValue("levels", TypeOf(v), shape);
    expected_.AddNode("", ir::Quantize{0, 0, TypeOf(v)}, {v, scale, zero}, {levels});
    expected_.AddNode("", ir::Dequantize{0, 0}, {levels, scale, zero}, {real});
  }

  // In the low-precision graph `v` becomes a value of the precision where its producer computes in it; Converts stand where f32 is wanted.
  void Store(ValueId v) {
    const Shape shape = low_.value(v).shape;
    const NodeId producer = f32_.producer(v);
    const bool made_in_f32 =
        producer == ir::kNoNode || (IsQuantized(precision_) && !ComputesInInt8(f32_.node(producer)));
    ValueId low = v;
    if (made_in_f32) {
      low = low_.AddValue(low_.value(v).name + "/low", type_, shape);
      low_.ReplaceUses(v, low);
      low_.AddNode("", ir::Convert{}, {v}, {low});
    }
    low_.value(low).dtype = IsQuantized(precision_) ? TypeOf(v) : type_;
    if (IsQuantized(precision_)) low_.value(low).quant = quant_.at(v);
    ValueId wide = ir::kNoValue;
    const auto widened = [&] {
      if (wide != ir::kNoValue) return wide;
      wide = low_.AddValue(low_.value(v).name + "/f32", DataType::kF32, shape);
      low_.AddNode("", ir::Convert{}, {low}, {wide});
      return wide;
    };
    for (ir::Port& port : low_.outputs) {
      if (port.value == low) port.value = widened();
    }
    if (!IsQuantized(precision_)) return;
    const std::vector<NodeId> readers = low_.consumers(low);
    for (NodeId id : readers) {
      if (OneOf<ir::Convert>(low_.node(id).op) || ComputesInInt8(low_.node(id))) continue;
      const size_t slots = low_.node(id).inputs.size();
      for (size_t slot = 0; slot < slots; ++slot) {
        if (low_.Input(id, slot) == low) low_.SetInput(id, slot, widened());
      }
    }
  }

  const Precision precision_;
  const Graph& f32_;
  Graph low_, expected_;
  DataType type_;
  std::vector<NodeId> order_;
  std::vector<ValueId> values_;  // f32 values computed at run time, inputs included
  std::map<ValueId, QuantParams> quant_;
};

}  // namespace

std::string NameOf(Precision precision) {
  switch (precision) {
    case Precision::kF32: return "F32";
    case Precision::kBF16: return "BF16";
    case Precision::kF16: return "F16";
    case Precision::kU8: return "U8";
    case Precision::kS8: return "S8";
  }
  return "";
}

absl::StatusOr<Lowered> ToPrecision(const ir::Graph& graph, Precision precision, const std::vector<Tensor>& inputs) {
  if (precision == Precision::kF32) return Lowered{graph, graph, std::vector<float>(graph.outputs.size()), 0.0f};
  return Converter(graph, precision).Run(inputs);
}

absl::StatusOr<std::vector<Tensor>> RunPlan(const ir::Graph& graph, const std::vector<Tensor>& inputs, int threads) {
  plan::WeightStore store;
  plan::PlanOptions options;
  options.threads = threads;
  PRECIS_ASSIGN_OR_RETURN(auto plan, plan::BuildPlan(graph, options, store));
  std::vector<const void*> in;
  for (const Tensor& t : inputs) in.push_back(t.data());
  std::vector<Tensor> outputs;
  std::vector<void*> out;
  for (int m : plan->output_memories) {
    const plan::Memory& memory = plan->memories[static_cast<size_t>(m)];
    outputs.emplace_back(memory.dtype, memory.shape);
    std::fill_n(static_cast<char*>(outputs.back().data()), outputs.back().size_bytes(), char{0x7f});
  }
  for (Tensor& t : outputs) out.push_back(t.data());
  exec::Context context(std::move(plan));
  PRECIS_RETURN_IF_ERROR(context.Run(in, out));
  return outputs;
}

}  // namespace precis::testing
