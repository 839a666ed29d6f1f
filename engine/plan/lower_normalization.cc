// Normalisation and softmax on oneDNN primitives.
// https://uxlfoundation.github.io/oneDNN/dev_guide_layer_normalization.html, …_group_normalization.html, …_softmax.html
#include "engine/plan/post_ops.h"

namespace precis::plan {
namespace {

// Statistics per image and group of channels; src [N,C,spatial…], scale and bias [C].
absl::Status EmitGroupNorm(Builder& b, ir::NodeId id, int64_t groups, float epsilon) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId src = n.inputs[0], output = n.outputs[0];
  const Shape& shape = b.value(src).shape;
  const bool supported = b.IsStoredAsFloat(src) && b.IsStoredAsFloat(output) && shape.size() >= 3 &&
                         shape.size() <= 5 && n.outputs.size() == 1 && n.post_ops.empty();
  if (!supported) return absl::UnimplementedError("");
  const auto flags = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
  const auto type = b.Stored(src);
  const Desc to(shape, DnnlType(b.Stored(output)), dnnl::memory::format_tag::any);
  // The kernel for channels last computes a group's channels at once: few of them leave it slower than the other one with its reorders
  // (Zen 4, 64 channels at 56x56: 386 us at 4 a group, 189 at 8; row-major 138, and some 60 for reorders). One channel a group has a kernel
  // of its own, which computes all channels at once.
  std::vector<Desc> layouts = {b.LayoutOf(src), ChannelsLast(shape, type), RowMajor(shape, type)};
  if (groups < shape[1] && shape[1] / groups < 8) std::swap(layouts.front(), layouts.back());
  const auto pd = FirstFast(layouts, [&](const Desc& from) {
    return dnnl::group_normalization_forward::primitive_desc(b.engine(), dnnl::prop_kind::forward_inference, from, to,
                                                             groups, epsilon, flags, Attributes().Finish(),
                                                             /*allow_empty=*/true);
  });
  if (!pd || IsReference(pd)) return absl::UnimplementedError("");
  const auto per_channel = [&](size_t slot) {
    return b.UseFloat(n.inputs[slot], RowMajor({shape[1]}, DataType::kF32));
  };
  const int from = b.Use(src, pd.src_desc());
  std::vector<Argument> arguments = {
      {DNNL_ARG_SRC, from}, {DNNL_ARG_SCALE, per_channel(1)}, {DNNL_ARG_SHIFT, per_channel(2)}};
  arguments.push_back({DNNL_ARG_DST, b.Define(output, pd.dst_desc())});
  b.EmitPrimitive(dnnl::group_normalization_forward(pd), pd, std::move(arguments), true);
  return absl::OkStatus();
}

}  // namespace

absl::Status LowerGroupNorm(Builder& b, ir::NodeId id, const ir::GroupNorm& op) {
  return EmitGroupNorm(b, id, op.groups, op.epsilon);
}

absl::Status LowerInstanceNorm(Builder& b, ir::NodeId id, const ir::InstanceNorm& op) {
  const Shape& shape = b.value(b.graph().node(id).inputs[0]).shape;
  if (shape.size() < 3) return absl::UnimplementedError("");
  return EmitGroupNorm(b, id, /*groups=*/shape[1], op.epsilon);
}

absl::Status LowerLayerNorm(Builder& b, ir::NodeId id, const ir::LayerNorm& op) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId src = n.inputs[0], output = n.outputs[0];
  const Shape& shape = b.value(src).shape;
  if (!b.IsStoredAsFloat(src) || n.outputs.size() != 1 || !n.post_ops.empty()) return absl::UnimplementedError("");
  const auto rank = static_cast<int64_t>(shape.size());
  const int64_t axis = op.axis < 0 ? op.axis + rank : op.axis;
  int64_t inner = 1;
  for (int64_t i = axis; i < rank; ++i) inner *= shape[static_cast<size_t>(i)];
  const Shape flat = {NumElements(shape) / inner, inner};
  const Desc from = RowMajor(flat, b.Stored(src)), to = RowMajor(flat, b.Stored(output));
  auto flags = dnnl::normalization_flags::none;
  std::vector<Argument> arguments;
  const auto affine = [&](size_t slot, int arg, dnnl::normalization_flags flag) {
    const ir::ValueId v = b.graph().Input(id, slot);
    if (v == ir::kNoValue) return true;
    if (NumElements(b.value(v).shape) != inner) return false;
    flags = flags | flag;
    const int m = b.UseFloat(v, RowMajor(b.value(v).shape, DataType::kF32));
    arguments.push_back({arg, b.AddMemoryOver(m, RowMajor({inner}, DataType::kF32))});
    return true;
  };
  if (!affine(1, DNNL_ARG_SCALE, dnnl::normalization_flags::use_scale) ||
      !affine(2, DNNL_ARG_SHIFT, dnnl::normalization_flags::use_shift)) {
    return absl::UnimplementedError("");
  }
  Attributes a;
  AddQuantization(b, a, output, DNNL_ARG_DST, 0);
  const dnnl::layer_normalization_forward::primitive_desc pd(b.engine(), dnnl::prop_kind::forward_inference, from, to,
                                                             op.epsilon, flags, a.Finish(), true);
  if (!pd) return absl::UnimplementedError("");
  const int in = b.UseRowMajor(src);
  const int out = b.Define(output, RowMajor(shape, b.Stored(output)));
  arguments.insert(arguments.end(), a.arguments.begin(), a.arguments.end());
  arguments.push_back({DNNL_ARG_SRC, b.AddMemoryOver(in, from)});
  arguments.push_back({DNNL_ARG_DST, b.AddMemoryOver(out, to)});
  b.EmitPrimitive(dnnl::layer_normalization_forward(pd), pd, std::move(arguments), true);
  return absl::OkStatus();
}

absl::Status LowerSoftmax(Builder& b, ir::NodeId id, const ir::Softmax& op) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId src = n.inputs[0], output = n.outputs[0];
  const Shape& shape = b.value(src).shape;
  if (!b.IsStoredAsFloat(src) || shape.empty() || !n.post_ops.empty()) return absl::UnimplementedError("");
  const auto rank = static_cast<int64_t>(shape.size());
  const int64_t axis = op.axis < 0 ? op.axis + rank : op.axis;
  const Desc from = RowMajor(shape, b.Stored(src)), to = RowMajor(shape, b.Stored(output));
  Attributes a;
  AddQuantization(b, a, output, DNNL_ARG_DST, 0);
  const dnnl::softmax_forward::primitive_desc pd(
      b.engine(), dnnl::prop_kind::forward_inference,
      op.log ? dnnl::algorithm::softmax_log : dnnl::algorithm::softmax_accurate, from, to, static_cast<int>(axis),
      a.Finish(), true);
  if (!pd || IsReference(pd)) return absl::UnimplementedError("");
  const int in = b.UseRowMajor(src);
  int out;
  if (from == to && b.DiesHere(src) && !b.graph().IsGraphOutput(output)) {
    out = in;
    b.DefineOver(output, in);
  } else {
    out = b.Define(output, to);
  }
  std::vector<Argument> arguments = {{DNNL_ARG_SRC, in}, {DNNL_ARG_DST, out}};
  arguments.insert(arguments.end(), a.arguments.begin(), a.arguments.end());
  b.EmitPrimitive(dnnl::softmax_forward(pd), pd, std::move(arguments), true);
  return absl::OkStatus();
}

}  // namespace precis::plan
