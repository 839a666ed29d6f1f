// Post-ops and quantization attributes. oneDNN computes, in this order: accumulate, times src and weights scales, plus bias, post-ops in f32,
// over dst scale, plus dst zero point; so a fused chain costs no rounding in between.
#include "engine/plan/post_ops.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace precis::plan {
namespace {

using dnnl::algorithm;
using ir::UnaryKind;

// The layout for elements of another type; channels-last where it is blocked, as blocks depend on the type.
Desc WithType(const Desc& desc, DataType type) {
  if (desc.get_data_type() == DnnlType(type)) return desc;
  if (desc.get_inner_nblks() != 0) return ChannelsLast(Shape(desc.get_dims()), type);
  return {desc.get_dims(), DnnlType(type), desc.get_strides()};
}

// Whether the node may accumulate onto its operand in slot `slot`: it dies here and no other operand lies in its bytes.
bool CanBeOverwritten(Builder& b, ir::NodeId id, int slot) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId operand = n.inputs[static_cast<size_t>(slot)];
  if (b.graph().IsConstant(operand) || b.graph().IsGraphOutput(n.outputs[0]) || !b.DiesHere(operand)) return false;
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    const ir::ValueId other = n.inputs[i];
    if (static_cast<int>(i) != slot && other != ir::kNoValue && (other == operand || b.SharesBuffer(operand, other)))
      return false;
  }
  return true;
}

}  // namespace

std::optional<Shape> OperandDims(const Shape& operand, const Shape& output, const Shape& dst) {
  Shape aligned(output.size(), 1);
  std::copy(operand.begin(), operand.end(), aligned.end() - static_cast<std::ptrdiff_t>(operand.size()));
  if (output.size() == dst.size()) return aligned;
  if (aligned == output) return dst;
  const size_t kept = dst.size() - 1;
  for (size_t i = 0; i + kept < aligned.size(); ++i) {
    if (aligned[i] != 1) return std::nullopt;  // varies within the collapsed dims, but not like the output
  }
  Shape dims(dst.size(), 1);
  std::copy(aligned.end() - static_cast<std::ptrdiff_t>(kept), aligned.end(), dims.begin() + 1);
  return dims;
}

bool KernelCanFinish(const Builder& b, ir::NodeId id) {
  const ir::Node& n = b.graph().node(id);
  const DataType stored = b.Stored(n.outputs[0]);
  const bool relu_at_most =
      n.post_ops.empty() || (n.post_ops.size() == 1 && n.post_ops[0].kind == ir::PostOp::Kind::kUnary &&
                             n.post_ops[0].unary.kind == ir::UnaryKind::kRelu);
  return relu_at_most && (stored == DataType::kF32 || IsInt8(stored)) && stored == b.value(n.outputs[0]).dtype;
}

QuantizedOperand KernelResult(const Builder& b, ir::NodeId id) {
  const ir::Value& output = b.value(b.graph().node(id).outputs[0]);
  return IsInt8(output.dtype) ? QuantizedOperand{output.dtype, *output.quant} : QuantizedOperand{DataType::kF32, {}};
}

bool IsReference(const dnnl::primitive_desc_base& pd) { return absl::StrContains(pd.impl_info_str(), "ref"); }

std::optional<Eltwise> EltwiseOf(const ir::Unary& u) {
  switch (u.kind) {
    case UnaryKind::kRelu: return Eltwise{algorithm::eltwise_relu, 0.0f, 0.0f};
    case UnaryKind::kLeakyRelu: return Eltwise{algorithm::eltwise_relu, u.alpha, 0.0f};
    case UnaryKind::kElu: return Eltwise{algorithm::eltwise_elu, u.alpha, 0.0f};
    case UnaryKind::kClip:
      if (u.alpha == 0.0f && u.beta >= 3.4e38f) return Eltwise{algorithm::eltwise_relu, 0.0f, 0.0f};
      return Eltwise{algorithm::eltwise_clip, u.alpha, u.beta};
    case UnaryKind::kSigmoid: return Eltwise{algorithm::eltwise_logistic, 0.0f, 0.0f};
    case UnaryKind::kHardSigmoid: return Eltwise{algorithm::eltwise_hardsigmoid, u.alpha, u.beta};
    case UnaryKind::kHardSwish: return Eltwise{algorithm::eltwise_hardswish, 1.0f / 6.0f, 0.5f};
    case UnaryKind::kSilu: return Eltwise{algorithm::eltwise_swish, 1.0f, 0.0f};
    case UnaryKind::kMish: return Eltwise{algorithm::eltwise_mish, 0.0f, 0.0f};
    case UnaryKind::kTanh: return Eltwise{algorithm::eltwise_tanh, 0.0f, 0.0f};
    case UnaryKind::kGeluErf: return Eltwise{algorithm::eltwise_gelu_erf, 0.0f, 0.0f};
    case UnaryKind::kGeluTanh: return Eltwise{algorithm::eltwise_gelu_tanh, 0.0f, 0.0f};
    case UnaryKind::kSoftplus: return Eltwise{algorithm::eltwise_soft_relu, 1.0f, 0.0f};
    case UnaryKind::kExp: return Eltwise{algorithm::eltwise_exp, 0.0f, 0.0f};
    case UnaryKind::kLog: return Eltwise{algorithm::eltwise_log, 0.0f, 0.0f};
    case UnaryKind::kSqrt: return Eltwise{algorithm::eltwise_sqrt, 0.0f, 0.0f};
    case UnaryKind::kAbs: return Eltwise{algorithm::eltwise_abs, 0.0f, 0.0f};
    case UnaryKind::kNeg: return Eltwise{algorithm::eltwise_linear, -1.0f, 0.0f};
    case UnaryKind::kLinear: return Eltwise{algorithm::eltwise_linear, u.alpha, u.beta};
    default: return std::nullopt;
  }
}

std::optional<algorithm> BinaryAlgorithmOf(ir::BinaryKind kind) {
  switch (kind) {
    case ir::BinaryKind::kAdd: return algorithm::binary_add;
    case ir::BinaryKind::kSub: return algorithm::binary_sub;
    case ir::BinaryKind::kMul: return algorithm::binary_mul;
    case ir::BinaryKind::kDiv: return algorithm::binary_div;
    case ir::BinaryKind::kMin: return algorithm::binary_min;
    case ir::BinaryKind::kMax: return algorithm::binary_max;
    default: return std::nullopt;
  }
}

bool HasUsableZeroPoints(const ir::Value& value) {
  if (!value.quant || value.quant->per_tensor()) return true;
  const auto& zeros = value.quant->zero_points;
  return std::all_of(zeros.begin(), zeros.end(), [](int32_t z) { return z == 0; });
}

void AddQuantization(Builder& b, Attributes& a, const ir::QuantParams& quant, int dnnl_arg, int channel_mask) {
  a.attr.set_scales_mask(dnnl_arg, quant.per_tensor() || quant.scales.size() == 1 ? 0 : channel_mask);
  a.arguments.push_back({DNNL_ARG_ATTR_SCALES | dnnl_arg, b.ConstantF32(quant.scales)});
  if (quant.zero_point() != 0) {
    a.attr.set_zero_points_mask(dnnl_arg, 0);
    a.arguments.push_back({DNNL_ARG_ATTR_ZERO_POINTS | dnnl_arg, b.ConstantS32(quant.zero_point())});
  }
}

void AddQuantization(Builder& b, Attributes& a, ir::ValueId value, int dnnl_arg, int channel_mask) {
  if (const auto& quant = b.value(value).quant) AddQuantization(b, a, *quant, dnnl_arg, channel_mask);
}

void AddPostOps(Builder& b, Attributes& a, ir::NodeId id, const Desc& dst, bool allow_sum) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId output = n.outputs[0];
  const DataType out_type = b.Stored(output);
  for (const ir::PostOp& p : n.post_ops) {
    if (p.kind == ir::PostOp::Kind::kUnary) {
      const auto eltwise = EltwiseOf(p.unary);
      if (!eltwise) return;
      a.ops.append_eltwise(eltwise->algorithm, eltwise->alpha, eltwise->beta);
      ++a.attached;
      continue;
    }
    const ir::ValueId operand = n.inputs[static_cast<size_t>(p.input)];
    const auto algorithm = BinaryAlgorithmOf(p.binary);
    const auto dims = OperandDims(b.value(operand).shape, b.value(output).shape, Shape(dst.get_dims()));
    if (!algorithm || !dims) return;
    const bool full = *dims == Shape(dst.get_dims());
    if (allow_sum && full && *algorithm == algorithm::binary_add && a.sum == ir::kNoValue &&
        b.value(operand).shape == b.value(output).shape && CanBeOverwritten(b, id, p.input) &&
        SizeOf(b.Stored(operand)) == SizeOf(out_type) && (b.Stored(operand) == out_type || IsInt8(out_type))) {
      const auto& q = b.value(operand).quant;
      a.ops.append_sum(q ? q->scale() : 1.0f, q ? q->zero_point() : 0, DnnlType(b.Stored(operand)));
      a.sum = operand;
      ++a.attached;
      continue;
    }
    // A full-size operand comes in the result's layout; a broadcast one is small and row-major.
    const DataType held = b.Stored(operand);
    const bool as_float = IsInt8(held) || b.value(operand).quant;
    const DataType type = as_float ? DataType::kF32 : held;
    const Shape& shape = b.value(operand).shape;
    Desc own = RowMajor(shape, type);
    if (shape == Shape(dst.get_dims())) own = WithType(dst, type);
    const int m = as_float ? b.UseFloat(operand, own) : b.Use(operand, own);
    const Desc seen = shape == *dims ? own : own.reshape(Dims(*dims));
    a.ops.append_binary(*algorithm, seen);
    a.arguments.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(a.ops.len() - 1) | DNNL_ARG_SRC_1, b.AddMemoryOver(m, seen)});
    ++a.attached;
  }
}

absl::Status EmitPostOps(Builder& b, ir::NodeId id, size_t first, int target) {
  const ir::Node& n = b.graph().node(id);
  const Desc desc = b.memory(target).desc;
  if (desc.get_size() == 0) return absl::OkStatus();
  for (size_t i = first; i < n.post_ops.size(); ++i) {
    const ir::PostOp& p = n.post_ops[i];
    Attributes a;
    if (p.kind == ir::PostOp::Kind::kUnary) {
      if (const auto eltwise = EltwiseOf(p.unary)) {
        const dnnl::eltwise_forward::primitive_desc pd(b.engine(), dnnl::prop_kind::forward_inference,
                                                       eltwise->algorithm, desc, desc, eltwise->alpha, eltwise->beta,
                                                       a.Finish());
        b.EmitPrimitive(dnnl::eltwise_forward(pd), pd, {{DNNL_ARG_SRC, target}, {DNNL_ARG_DST, target}}, false);
        continue;
      }
      kernels::KernelSpec spec;
      spec.op = p.unary;
      kernels::KernelSpec::Operand flat;
      flat.present = true;
      flat.shape = {static_cast<int64_t>(desc.get_size() / sizeof(float))};
      spec.inputs = {flat};
      spec.outputs = {flat};
      PRECIS_ASSIGN_OR_RETURN(kernels::Kernel kernel, kernels::MakeKernel(spec));
      b.EmitKernel(std::move(kernel), {target}, {target});
      continue;
    }
    const ir::ValueId operand = n.inputs[static_cast<size_t>(p.input)];
    const auto algorithm = BinaryAlgorithmOf(p.binary);
    const auto dims = OperandDims(b.value(operand).shape, b.value(n.outputs[0]).shape, Shape(desc.get_dims()));
    if (!algorithm || !dims) {
      return absl::UnimplementedError(absl::StrCat("node \"", n.name, "\": fused ", ir::OpName(p.binary),
                                                   " with operand of shape ", ShapeToString(b.value(operand).shape)));
    }
    const Shape& shape = b.value(operand).shape;
    const Desc own = shape == Shape(desc.get_dims()) ? desc : RowMajor(shape, DataType::kF32);
    const int m = b.UseFloat(operand, own);
    const Desc seen = shape == *dims ? own : own.reshape(Dims(*dims));
    const dnnl::binary::primitive_desc pd(b.engine(), *algorithm, desc, seen, desc, a.Finish());
    b.EmitPrimitive(dnnl::binary(pd), pd,
                    {{DNNL_ARG_SRC_0, target}, {DNNL_ARG_SRC_1, b.AddMemoryOver(m, seen)}, {DNNL_ARG_DST, target}},
                    false);
  }
  return absl::OkStatus();
}

absl::Status EmitWithPostOps(Builder& b, ir::NodeId id, Attributes& a, const dnnl::primitive& primitive,
                             const dnnl::primitive_desc_base& pd, const Desc& dst, std::vector<Argument> arguments) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId output = n.outputs[0];
  const Shape& shape = b.value(output).shape;
  const DataType stored = b.Stored(output);
  // The output's own descriptor: the primitive's, unless it saw the output collapsed or extended to another rank.
  const Desc own = Shape(dst.get_dims()) == shape ? dst : RowMajor(shape, TypeOf(dst));
  arguments.insert(arguments.end(), a.arguments.begin(), a.arguments.end());
  int target;
  if (TypeOf(dst) != stored) {
    target = b.Temporary(own);  // f32; the rest of the chain runs on it
  } else if (a.sum != ir::kNoValue) {
    const int m = b.AddMemoryOver(b.Use(a.sum, WithType(own, b.Stored(a.sum))), own);
    b.DefineOver(output, m);
    target = m;
  } else {
    target = b.Define(output, own);
  }
  const int seen = b.memory(target).desc == dst ? target : b.AddMemoryOver(target, dst);
  arguments.push_back({DNNL_ARG_DST, seen});
  b.EmitPrimitive(primitive, pd, std::move(arguments), true);
  if (TypeOf(dst) == stored) return EmitPostOps(b, id, a.attached, target);
  return EmitRest(b, id, a.attached, target);
}

absl::Status EmitRest(Builder& b, ir::NodeId id, size_t first, int target) {
  PRECIS_RETURN_IF_ERROR(EmitPostOps(b, id, first, target));
  const ir::ValueId output = b.graph().node(id).outputs[0];
  const DataType stored = b.Stored(output);
  if (stored == DataType::kF32) return absl::OkStatus();
  const auto& quant = b.value(output).quant;
  b.EmitReorder(target, nullptr, b.Define(output, WithType(b.memory(target).desc, stored)), quant ? &*quant : nullptr);
  return absl::OkStatus();
}

}  // namespace precis::plan
