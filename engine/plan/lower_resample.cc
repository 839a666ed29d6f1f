// Resize on oneDNN's resampling primitive. https://uxlfoundation.github.io/oneDNN/dev_guide_resampling.html
#include <algorithm>
#include <cmath>

#include "engine/plan/post_ops.h"

namespace precis::plan {
namespace {

using ir::ResizeCoordinates;

// Whether sizes alone decide, as they do for oneDNN: an exporter may give a scale that is not their ratio.
bool ScalesAreRatios(const Builder& b, ir::NodeId id, const Shape& in, const Shape& out) {
  const ir::ValueId scales = b.graph().Input(id, 2);
  if (scales == ir::kNoValue || NumElements(b.value(scales).shape) == 0) return true;  // sizes were given
  if (!b.graph().IsConstant(scales)) return false;
  const std::vector<float> values = b.ConstantValues(scales);
  for (size_t i = 0; i < values.size(); ++i) {
    const double ratio = static_cast<double>(out[i]) / static_cast<double>(in[i]);
    if (std::abs(static_cast<double>(values[i]) - ratio) > 1e-6 * ratio) return false;
  }
  return true;
}

// oneDNN's positions are (i + 0.5) * in / out - 0.5, rounded to the nearest or interpolated, the edges repeated.
bool IsResampling(const Builder& b, ir::NodeId id, const ir::Resize& op, const Shape& in, const Shape& out) {
  if (in.size() < 3 || in.size() > 5 || in[0] != out[0] || in[1] != out[1] || !op.axes.empty() || op.antialias)
    return false;
  const auto all_axes = [&](auto test) {
    for (size_t i = 2; i < in.size(); ++i) {
      if (!test(in[i], out[i])) return false;
    }
    return true;
  };
  const bool half_pixel =
      op.coordinates == ResizeCoordinates::kHalfPixel ||
      (op.coordinates == ResizeCoordinates::kPytorchHalfPixel && all_axes([](int64_t, int64_t o) { return o > 1; }));
  switch (op.mode) {
    case ir::ResizeMode::kLinear:
      return half_pixel && op.policy == ir::ResizePolicy::kStretch && ScalesAreRatios(b, id, in, out);
    case ir::ResizeMode::kNearest: {
      // By whole factors every rule repeats each element; others differ where a position lies between two.
      const bool rounds = half_pixel && (op.nearest == ir::ResizeNearest::kRoundPreferFloor ||
                                         op.nearest == ir::ResizeNearest::kRoundPreferCeil);
      const bool floors = op.coordinates == ResizeCoordinates::kAsymmetric && op.nearest == ir::ResizeNearest::kFloor;
      return (rounds || floors) && all_axes([](int64_t i, int64_t o) { return o % i == 0; }) &&
             ScalesAreRatios(b, id, in, out);
    }
    case ir::ResizeMode::kCubic: return false;
  }
  return false;
}

}  // namespace

absl::Status LowerResize(Builder& b, ir::NodeId id, const ir::Resize& op) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId src = n.inputs[0], output = n.outputs[0];
  const ir::Value &in = b.value(src), &out = b.value(output);
  const bool same_levels = IsInt8(in.dtype) && in.dtype == out.dtype && in.quant == out.quant;
  const bool one_type = b.Stored(src) == b.Stored(output) && (b.IsStoredAsFloat(src) || same_levels);
  if (!one_type || !n.post_ops.empty() || !IsResampling(b, id, op, in.shape, out.shape))
    return absl::UnimplementedError("");
  const DataType type = b.Stored(src);
  std::vector<Desc> layouts = {b.LayoutOf(src), ChannelsLast(in.shape, type), RowMajor(in.shape, type)};
  if (b.graph().IsGraphOutput(output)) std::rotate(layouts.begin(), layouts.begin() + 2, layouts.end());
  const auto algorithm =
      op.mode == ir::ResizeMode::kLinear ? dnnl::algorithm::resampling_linear : dnnl::algorithm::resampling_nearest;
  const auto pd = FirstFast(layouts, [&](const Desc& from) {
    const Desc any(out.shape, from.get_data_type(), dnnl::memory::format_tag::any);
    return dnnl::resampling_forward::primitive_desc(b.engine(), dnnl::prop_kind::forward_inference, algorithm, from,
                                                    any, Attributes().Finish(), /*allow_empty=*/true);
  });
  if (!pd || IsReference(pd)) return absl::UnimplementedError("");
  const int from = b.Use(src, pd.src_desc());
  b.EmitPrimitive(dnnl::resampling_forward(pd), pd,
                  {{DNNL_ARG_SRC, from}, {DNNL_ARG_DST, b.Define(output, pd.dst_desc())}}, /*heavy=*/false);
  return absl::OkStatus();
}

}  // namespace precis::plan
