// Elementwise operators that no heavy operator took as a post-op: oneDNN eltwise and binary for floats, plain kernels otherwise. In place where the
// operand dies; in whatever layout the operand has, as long as it is dense.
#include <algorithm>

#include "engine/base/status_macros.h"
#include "engine/plan/post_ops.h"
#include "engine/plan/quantized_kernels.h"

namespace precis::plan {
namespace {

// Defines `output` over `src`'s bytes when they die here and no other operand lies in them, else fresh, in the same layout.
int DefineLike(Builder& b, ir::NodeId id, ir::ValueId output, ir::ValueId src, int src_memory) {
  const Desc layout = b.memory(src_memory).desc;
  const Desc desc(layout.get_dims(), DnnlType(b.Stored(output)), layout.get_strides());
  const auto& operands = b.graph().node(id).inputs;
  const bool alone = std::none_of(operands.begin(), operands.end(), [&](ir::ValueId v) {
    return v != ir::kNoValue && v != src && b.SharesBuffer(src, v);
  });
  if (alone && b.value(src).shape == b.value(output).shape && b.Stored(src) == b.Stored(output) && b.DiesHere(src) &&
      !b.graph().IsGraphOutput(output)) {
    b.DefineOver(output, src_memory);
    return src_memory;
  }
  return b.Define(output, desc);
}

// The value's memory in a dense layout of plain strides.
int UseDense(Builder& b, ir::ValueId v) {
  const int m = b.Use(v);
  return DenseOrder(b.memory(m).desc) ? m : b.UseRowMajor(v);
}

kernels::KernelSpec::Operand Flat(const Builder& b, ir::ValueId v) {
  kernels::KernelSpec::Operand operand;
  operand.present = true;
  operand.dtype = b.Stored(v);
  operand.shape = {NumElements(b.value(v).shape)};
  operand.quant = b.value(v).quant;
  return operand;
}

}  // namespace

absl::Status LowerUnary(Builder& b, ir::NodeId id, const ir::Unary& op) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId src = n.inputs[0], output = n.outputs[0];
  if (DnnlType(b.Stored(src)) == dnnl::memory::data_type::undef ||
      DnnlType(b.Stored(output)) == dnnl::memory::data_type::undef) {
    return absl::UnimplementedError("");
  }
  const int from = UseDense(b, src);
  const Desc desc = b.memory(from).desc;
  if (const auto eltwise = EltwiseOf(op); eltwise && b.IsStoredAsFloat(src) && b.Stored(src) == b.Stored(output)) {
    Attributes a;
    AddPostOps(b, a, id, desc, /*allow_sum=*/false);
    const dnnl::eltwise_forward::primitive_desc pd(b.engine(), dnnl::prop_kind::forward_inference, eltwise->algorithm,
                                                   desc, desc, eltwise->alpha, eltwise->beta, a.Finish(), true);
    if (pd && a.attached == n.post_ops.size()) {
      std::vector<Argument> arguments = std::move(a.arguments);
      arguments.push_back({DNNL_ARG_SRC, from});
      arguments.push_back({DNNL_ARG_DST, DefineLike(b, id, output, src, from)});
      b.EmitPrimitive(dnnl::eltwise_forward(pd), pd, std::move(arguments), false);
      return absl::OkStatus();
    }
  }
  if (!n.post_ops.empty()) return absl::UnimplementedError("");
  kernels::KernelSpec spec;
  spec.op = op;
  spec.inputs = {Flat(b, src)};
  spec.outputs = {Flat(b, output)};
  PRECIS_ASSIGN_OR_RETURN(kernels::Kernel kernel, kernels::MakeKernel(spec));
  const int to = DefineLike(b, id, output, src, from);
  b.EmitKernel(std::move(kernel), {from}, {to});
  return absl::OkStatus();
}

namespace {

bool PerTensorInt8(const ir::Value& v) { return IsInt8(v.dtype) && v.quant && v.quant->per_tensor(); }

// How often `small` repeats along the channels-last or row-major memory of `shape`: 1 for a scalar, the element count for the same shape, the
// innermost dimension for a vector along it; nullopt otherwise.
std::optional<int64_t> PeriodOf(const Shape& small, const Shape& shape, size_t innermost) {
  if (small == shape) return NumElements(shape);
  if (NumElements(small) == 1) return 1;
  Shape aligned(shape.size(), 1);
  std::copy(small.begin(), small.end(), aligned.end() - static_cast<std::ptrdiff_t>(small.size()));
  const bool vector = NumElements(small) == shape[innermost] && aligned[innermost] == shape[innermost];
  return vector ? std::optional<int64_t>(shape[innermost]) : std::nullopt;
}

// The dimension with unit stride; DenseOrder lists dimensions of size 1 last.
int InnermostOf(const std::vector<int>& order, const Shape& shape) {
  for (size_t i = order.size(); i-- > 0;) {
    if (shape[static_cast<size_t>(order[i])] != 1) return order[i];
  }
  return 0;
}

// u8/s8 operands with zero points, for which oneDNN's binary has no argument.
absl::Status LowerQuantizedBinary(Builder& b, ir::NodeId id, ir::BinaryKind kind) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId output = n.outputs[0];
  const Shape& shape = b.value(output).shape;
  ir::ValueId x = n.inputs[0], y = n.inputs[1];
  if (b.value(x).shape != shape && kind != ir::BinaryKind::kSub) std::swap(x, y);
  const bool supported =
      (kind == ir::BinaryKind::kAdd || kind == ir::BinaryKind::kSub || kind == ir::BinaryKind::kMul) &&
      n.post_ops.empty() && b.value(x).shape == shape && !shape.empty() && PerTensorInt8(b.value(y)) &&
      (PerTensorInt8(b.value(output)) || b.Stored(output) == DataType::kF32);
  if (!supported) return absl::UnimplementedError("");
  const int from = UseDense(b, x);
  const auto order = DenseOrder(b.memory(from).desc);
  const auto period = PeriodOf(b.value(y).shape, shape, static_cast<size_t>(InnermostOf(*order, shape)));
  if (!period) return absl::UnimplementedError("");
  const Desc layout = b.memory(from).desc;
  const int other =
      b.value(y).shape == shape ? b.Use(y, Desc(shape, DnnlType(b.Stored(y)), layout.get_strides())) : b.UseRowMajor(y);
  const auto operand = [&](ir::ValueId v) {
    return QuantizedOperand{b.Stored(v), b.value(v).quant.value_or(ir::QuantParams{{1.0f}, {}, -1})};
  };
  auto kernel = QuantizedBinary(kind, operand(x), operand(y), operand(output), NumElements(shape), *period);
  const int to = x == y ? b.Define(output, Desc(shape, DnnlType(b.Stored(output)), layout.get_strides()))
                        : DefineLike(b, id, output, x, from);
  b.EmitKernel(std::move(kernel), {from, other}, {to}, "int8");
  return absl::OkStatus();
}

}  // namespace

absl::Status LowerBinary(Builder& b, ir::NodeId id, const ir::Binary& op) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId output = n.outputs[0];
  const Shape& shape = b.value(output).shape;
  if (PerTensorInt8(b.value(n.inputs[0]))) return LowerQuantizedBinary(b, id, op.kind);
  const auto algorithm = BinaryAlgorithmOf(op.kind);
  // The first operand gives the layout: it must have the result's shape; commutative operators may swap.
  ir::ValueId x = n.inputs[0], y = n.inputs[1];
  const bool commutative =
      algorithm && *algorithm != dnnl::algorithm::binary_sub && *algorithm != dnnl::algorithm::binary_div;
  if (b.value(x).shape != shape && commutative && b.value(y).shape == shape) std::swap(x, y);
  // Levels may be written straight away: over the scale and plus the zero point is one more linear step.
  const bool quantizes = PerTensorInt8(b.value(output));
  const bool supported = algorithm && b.IsStoredAsFloat(x) && b.IsStoredAsFloat(y) &&
                         (b.IsStoredAsFloat(output) || quantizes) && b.value(x).shape == shape && !shape.empty() &&
                         shape.size() <= 5 && NumElements(shape) > 0;
  if (!supported) return absl::UnimplementedError("");
  const int from = UseDense(b, x);
  const Desc desc = b.memory(from).desc;
  Shape aligned(shape.size(), 1);
  const Shape& small = b.value(y).shape;
  std::copy(small.begin(), small.end(), aligned.end() - static_cast<std::ptrdiff_t>(small.size()));
  const Desc own =
      small == shape ? Desc(shape, DnnlType(b.Stored(y)), desc.get_strides()) : RowMajor(small, b.Stored(y));
  const int other = b.Use(y, own);
  const Desc seen = small == shape ? own : own.reshape(aligned);
  const Desc to(shape, DnnlType(b.Stored(output)), desc.get_strides());
  Attributes a;
  AddPostOps(b, a, id, to, /*allow_sum=*/false);
  if (quantizes) {
    const ir::QuantParams& q = *b.value(output).quant;
    a.ops.append_eltwise(dnnl::algorithm::eltwise_linear, 1 / q.scale(), static_cast<float>(q.zero_point()));
  }
  const dnnl::binary::primitive_desc pd(b.engine(), *algorithm, desc, seen, to, a.Finish(), true);
  if (!pd || IsReference(pd) || a.attached != n.post_ops.size()) return absl::UnimplementedError("");
  std::vector<Argument> arguments = std::move(a.arguments);
  arguments.push_back({DNNL_ARG_SRC_0, from});
  arguments.push_back({DNNL_ARG_SRC_1, b.AddMemoryOver(other, seen)});
  arguments.push_back({DNNL_ARG_DST, x == y ? b.Define(output, to) : DefineLike(b, id, output, x, from)});
  b.EmitPrimitive(dnnl::binary(pd), pd, std::move(arguments), false);
  return absl::OkStatus();
}

}  // namespace precis::plan
