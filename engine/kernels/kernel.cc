// Dispatch to the kernels, and folding. Float types of 16 bits are computed in f32: where a kernel does arithmetic on them, its operands
// are widened around it.
#include "engine/kernels/kernel.h"

#include <memory>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/float16.h"
#include "engine/base/status_macros.h"
#include "engine/kernels/make.h"

namespace precis::kernels {
namespace {

bool IsNarrowFloat(DataType type) { return type == DataType::kF16 || type == DataType::kBF16; }

// Operators that copy elements without looking at them: any type, any quantization.
struct MovesElements {
  template <typename... Ops>
  static constexpr bool OneOf(const ir::Op& op) {
    return (std::holds_alternative<Ops>(op) || ...);
  }
  bool operator()(const ir::Op& op) const {
    if (const auto* scatter = std::get_if<ir::ScatterElements>(&op))
      return scatter->reduction == ir::ScatterReduction::kNone;
    if (const auto* scatter = std::get_if<ir::ScatterNd>(&op)) return scatter->reduction == ir::ScatterReduction::kNone;
    if (const auto* resize = std::get_if<ir::Resize>(&op)) return resize->mode == ir::ResizeMode::kNearest;
    return OneOf<ir::Identity, ir::Reshape, ir::Flatten, ir::Squeeze, ir::Unsqueeze, ir::Transpose, ir::Concat,
                 ir::Split, ir::Slice, ir::Gather, ir::GatherElements, ir::GatherNd, ir::Expand, ir::Tile, ir::Pad,
                 ir::ShapeOf, ir::SizeOf, ir::ConstantOfShape, ir::DepthToSpace, ir::SpaceToDepth, ir::Trilu,
                 ir::OneHot, ir::Where>(op);
  }
};

bool Converts(const ir::Op& op) { return MovesElements::OneOf<ir::Cast, ir::Convert>(op); }

// Quantized numbers are not integers: only these kernels know what they stand for. Order is kept by max pooling.
bool TakesQuantized(const ir::Op& op) {
  if (const auto* pool = std::get_if<ir::Pool>(&op)) return pool->kind == ir::PoolKind::kMax;
  if (const auto* pool = std::get_if<ir::GlobalPool>(&op)) return pool->kind == ir::PoolKind::kMax;
  return std::holds_alternative<ir::Unary>(op) || Converts(op) || MovesElements{}(op);
}

void Widen(const TensorView& from, float* to) {
  const auto* bits = static_cast<const uint16_t*>(from.data);
  const bool f16 = from.dtype == DataType::kF16;
  for (int64_t i = 0, n = from.num_elements(); i < n; ++i) to[i] = f16 ? F16ToF32(bits[i]) : BF16ToF32(bits[i]);
}

void Narrow(const float* from, const MutableTensorView& to) {
  auto* bits = static_cast<uint16_t*>(to.data);
  const bool f16 = to.dtype == DataType::kF16;
  for (int64_t i = 0, n = NumElements(to.shape); i < n; ++i) bits[i] = f16 ? F32ToF16(from[i]) : F32ToBF16(from[i]);
}

absl::StatusOr<Kernel> MakeDirect(const KernelSpec& spec) {
  return std::visit([&spec](const auto& op) { return Make(op, spec); }, spec.op);
}

// The f32 kernel between conversions of its 16-bit operands.
absl::StatusOr<Kernel> MakeThroughF32(const KernelSpec& spec) {
  KernelSpec wide = spec;
  for (auto* operands : {&wide.inputs, &wide.outputs}) {
    for (KernelSpec::Operand& operand : *operands) {
      if (IsNarrowFloat(operand.dtype)) operand.dtype = DataType::kF32;
      operand.constant = nullptr;  // its type would not match
    }
  }
  for (size_t i = 0; i < wide.inputs.size(); ++i) {
    if (!IsNarrowFloat(spec.inputs[i].dtype)) wide.inputs[i].constant = spec.inputs[i].constant;
  }
  PRECIS_ASSIGN_OR_RETURN(Kernel kernel, MakeDirect(wide));
  return Kernel(
      [kernel = std::move(kernel)](std::span<const TensorView> inputs, std::span<const MutableTensorView> outputs) {
        std::vector<TensorView> wide_inputs(inputs.begin(), inputs.end());
        std::vector<MutableTensorView> wide_outputs(outputs.begin(), outputs.end());
        std::vector<Tensor> owned;
        owned.reserve(inputs.size() + outputs.size());  // views keep pointing at these
        for (TensorView& input : wide_inputs) {
          if (input.data == nullptr || !IsNarrowFloat(input.dtype)) continue;
          owned.emplace_back(DataType::kF32, input.shape);
          Widen(input, owned.back().As<float>().data());
          input = owned.back().view();
        }
        for (MutableTensorView& output : wide_outputs) {
          if (output.data == nullptr || !IsNarrowFloat(output.dtype)) continue;
          owned.emplace_back(DataType::kF32, output.shape);
          output = {DataType::kF32, output.shape, owned.back().data()};
        }
        kernel(wide_inputs, wide_outputs);
        for (size_t i = 0; i < outputs.size(); ++i) {
          if (wide_outputs[i].data != outputs[i].data)
            Narrow(static_cast<const float*>(wide_outputs[i].data), outputs[i]);
        }
      });
}

std::string TypeNames(const std::vector<KernelSpec::Operand>& operands) {
  return absl::StrJoin(operands, ", ", [](std::string* out, const KernelSpec::Operand& operand) {
    absl::StrAppend(out, operand.present ? Name(operand.dtype) : "none");
    if (operand.quant.has_value()) absl::StrAppend(out, " (quantized)");
  });
}

}  // namespace

absl::Status Unsupported(const KernelSpec& spec) {
  return absl::UnimplementedError(absl::StrCat("no plain kernel for ", ir::OpName(spec.op), " of ",
                                               TypeNames(spec.inputs), " to ", TypeNames(spec.outputs)));
}

absl::StatusOr<Kernel> MakeKernel(const KernelSpec& spec) {
  bool narrow = false, quantized = false;
  for (const auto* operands : {&spec.inputs, &spec.outputs}) {
    for (const KernelSpec::Operand& operand : *operands) {
      narrow |= operand.present && IsNarrowFloat(operand.dtype);
      quantized |= operand.present && operand.quant.has_value();
    }
  }
  if (quantized && !TakesQuantized(spec.op)) return Unsupported(spec);
  if (narrow && !MovesElements{}(spec.op) && !Converts(spec.op)) return MakeThroughF32(spec);
  return MakeDirect(spec);
}

KernelSpec SpecOf(const ir::Graph& graph, ir::NodeId id) {
  const ir::Node& node = graph.node(id);
  const auto operand = [&graph](ir::ValueId v) {
    if (v == ir::kNoValue) return KernelSpec::Operand{};
    const ir::Value& value = graph.value(v);
    return KernelSpec::Operand{true, value.dtype, value.shape, value.constant, value.quant};
  };
  KernelSpec spec;
  spec.op = node.op;
  for (ir::ValueId v : node.inputs) spec.inputs.push_back(operand(v));
  for (ir::ValueId v : node.outputs) spec.outputs.push_back(operand(v));
  return spec;
}

absl::StatusOr<std::vector<Tensor>> Evaluate(const ir::Graph& graph, ir::NodeId id) {
  const KernelSpec spec = SpecOf(graph, id);
  PRECIS_ASSIGN_OR_RETURN(const Kernel kernel, MakeKernel(spec));
  std::vector<TensorView> inputs;
  for (const KernelSpec::Operand& operand : spec.inputs) {
    inputs.push_back(operand.constant == nullptr ? TensorView{operand.dtype, {}, nullptr} : operand.constant->view());
  }
  std::vector<Tensor> results;
  std::vector<MutableTensorView> outputs;
  for (const KernelSpec::Operand& operand : spec.outputs) {
    results.push_back(operand.present ? Tensor(operand.dtype, operand.shape) : Tensor());
    outputs.push_back({operand.dtype, operand.shape, operand.present ? results.back().data() : nullptr});
  }
  kernel(inputs, outputs);
  return results;
}

}  // namespace precis::kernels
