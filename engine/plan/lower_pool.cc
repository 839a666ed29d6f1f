// Pooling on oneDNN's primitive. https://uxlfoundation.github.io/oneDNN/dev_guide_pooling.html
#include <algorithm>

#include "engine/plan/post_ops.h"
#include "engine/plan/quantized_kernels.h"

namespace precis::plan {
namespace {

// Whether an integer pooling must go through real numbers: oneDNN's takes no parameters, so the result has those of the source, and padding that
// counts is level 0, not the zero point.
bool PoolsInFloat(const ir::Value& in, const ir::Value& out, ir::PoolKind kind, const ir::Window& w) {
  if (!in.quant) return false;
  const auto padded = [](int64_t pad) { return pad > 0; };
  const bool counts_padding =
      kind == ir::PoolKind::kAverageIncludePad && (std::any_of(w.pads_begin.begin(), w.pads_begin.end(), padded) ||
                                                   std::any_of(w.pads_end.begin(), w.pads_end.end(), padded));
  return in.quant != out.quant || in.dtype != out.dtype || (counts_padding && in.quant->zero_point() != 0);
}

absl::Status EmitPool(Builder& b, ir::NodeId id, ir::PoolKind kind, const ir::Window& w) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId src = n.inputs[0], output = n.outputs[0];
  const ir::Value &in = b.value(src), &out = b.value(output);
  const bool in_float = PoolsInFloat(in, out, kind, w);
  const bool one_type = b.Stored(src) == b.Stored(output) && (b.IsStoredAsFloat(src) || IsInt8(in.dtype));
  const bool supported = n.outputs.size() == 1 && in.shape.size() >= 3 && in.shape.size() <= 5 &&
                         (in_float || one_type) && n.post_ops.empty();
  if (!supported) return absl::UnimplementedError("");
  const auto algorithm = kind == ir::PoolKind::kMax       ? dnnl::algorithm::pooling_max
                         : kind == ir::PoolKind::kAverage ? dnnl::algorithm::pooling_avg_exclude_padding
                                                          : dnnl::algorithm::pooling_avg_include_padding;
  ir::Ints gaps = w.dilations;
  for (auto& d : gaps) d -= 1;
  // With ceil_mode the last window may reach past the declared padding: oneDNN derives the output size from the pads, so they grow.
  ir::Ints pads_end = w.pads_end;
  for (size_t i = 0; i < pads_end.size(); ++i) {
    const int64_t extent = (w.kernel[i] - 1) * w.dilations[i] + 1;
    const int64_t needed = (out.shape[i + 2] - 1) * w.strides[i] + extent - in.shape[i + 2] - w.pads_begin[i];
    if (needed > pads_end[i] && kind == ir::PoolKind::kAverageIncludePad)
      return absl::UnimplementedError("");  // would count them
    pads_end[i] = std::max(pads_end[i], needed);
    if (pads_end[i] >= extent || w.pads_begin[i] >= extent) return absl::UnimplementedError("");
  }
  const Desc stored = in_float ? ChannelsLast(in.shape, DataType::kF32) : b.LayoutOf(src);
  // Kernels exist for channels-last layouts, and for some of the blocked ones that convolutions leave; for plain NCHW with many channels the
  // reference is chosen.
  const Desc channels_last = ChannelsLast(in.shape, TypeOf(stored));
  std::vector<Desc> layouts = {channels_last};
  if (stored != RowMajor(in.shape, TypeOf(stored))) layouts.insert(layouts.begin(), stored);
  const auto pd = FirstFast(layouts, [&](const Desc& layout) {
    const Desc any(out.shape, layout.get_data_type(), dnnl::memory::format_tag::any);
    return dnnl::pooling_forward::primitive_desc(b.engine(), dnnl::prop_kind::forward_inference, algorithm, layout, any,
                                                 w.strides, w.kernel, gaps, w.pads_begin, pads_end,
                                                 Attributes().Finish(), /*allow_empty=*/true);
  });
  if (!pd) return absl::UnimplementedError("");
  const int from = in_float ? b.UseFloat(src, pd.src_desc()) : b.Use(src, pd.src_desc());
  const int to = in_float ? b.Temporary(pd.dst_desc()) : b.Define(output, pd.dst_desc());
  b.EmitPrimitive(dnnl::pooling_forward(pd), pd, {{DNNL_ARG_SRC, from}, {DNNL_ARG_DST, to}}, true);
  if (in_float)
    b.EmitReorder(to, nullptr, b.Define(output, ChannelsLast(out.shape, b.Stored(output))),
                  out.quant ? &*out.quant : nullptr);
  return absl::OkStatus();
}

// Integer sums over the positions of a channels-last tensor; oneDNN's pooling has no argument for zero points or another scale at the output.
absl::Status LowerQuantizedGlobalAverage(Builder& b, ir::NodeId id) {
  const ir::Node& n = b.graph().node(id);
  const ir::Value &in = b.value(n.inputs[0]), &out = b.value(n.outputs[0]);
  const bool supported =
      IsInt8(in.dtype) && in.quant->per_tensor() && n.post_ops.empty() &&
      (b.Stored(n.outputs[0]) == DataType::kF32 || (IsInt8(out.dtype) && out.quant && out.quant->per_tensor()));
  if (!supported) return absl::UnimplementedError("");
  const int64_t batch = in.shape[0], channels = in.shape[1],
                spatial = NumElements(in.shape) / std::max<int64_t>(1, batch * channels);
  const int from = b.Use(n.inputs[0], ChannelsLast(in.shape, in.dtype));
  const int to = b.Define(n.outputs[0], RowMajor(out.shape, b.Stored(n.outputs[0])));
  const QuantizedOperand x{in.dtype, *in.quant};
  const QuantizedOperand y{b.Stored(n.outputs[0]), out.quant.value_or(ir::QuantParams{{1.0f}, {}, -1})};
  b.EmitKernel(QuantizedGlobalAverage(x, y, batch, spatial, channels), {from}, {to}, "int8");
  return absl::OkStatus();
}

}  // namespace

absl::Status LowerPool(Builder& b, ir::NodeId id, const ir::Pool& op) { return EmitPool(b, id, op.kind, op.window); }

absl::Status LowerGlobalPool(Builder& b, ir::NodeId id, const ir::GlobalPool& op) {
  const Shape& shape = b.value(b.graph().node(id).inputs[0]).shape;
  if (shape.size() < 3) return absl::UnimplementedError("");
  if (b.value(b.graph().node(id).inputs[0]).quant && op.kind == ir::PoolKind::kAverage)
    return LowerQuantizedGlobalAverage(b, id);
  ir::Window w;
  w.kernel.assign(shape.begin() + 2, shape.end());
  w.strides = w.dilations = ir::Ints(w.kernel.size(), 1);
  w.pads_begin = w.pads_end = ir::Ints(w.kernel.size(), 0);
  return EmitPool(b, id, op.kind, w);
}

}  // namespace precis::plan
