// Convolutions and their transposes on oneDNN primitives, all layouts left to the primitive.
// https://uxlfoundation.github.io/oneDNN/dev_guide_convolution.html
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/plan/chunked_conv.h"
#include "engine/plan/geometry.h"
#include "engine/plan/post_ops.h"

namespace precis::plan {
namespace {

// Arithmetic type of a node by its source: integer for quantized sources, else the type it is stored in.
DataType WeightsType(const Builder& b, ir::ValueId src) {
  const DataType stored = b.Stored(src);
  return IsInt8(stored) ? DataType::kS8 : stored;
}

// Makes the primitive, with every post-op that fits; `weights` is how the constant's bytes read in oneDNN's dimension order.
template <typename Primitive>
absl::Status Lower(Builder& b, ir::NodeId id, dnnl::algorithm algorithm, const Geometry& g, bool grouped,
                   const Desc& weights) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId src = n.inputs[0], output = n.outputs[0], bias = b.graph().Input(id, 2);
  const Desc any_src = AnyLayout(b.value(src).shape, b.Stored(src));
  const Desc any_weights(weights.get_dims(), DnnlType(WeightsType(b, src)), dnnl::memory::format_tag::any);
  const Desc bias_desc = bias == ir::kNoValue ? Desc() : RowMajor(b.value(bias).shape, DataType::kF32);
  const auto make = [&](Attributes& a, DataType dst_type, const Desc& dst) {
    const Desc wanted = IsEmpty(dst) ? AnyLayout(b.value(output).shape, dst_type)
                                     : Desc(dst.get_dims(), DnnlType(dst_type), dst.get_strides());
    return typename Primitive::primitive_desc(b.engine(), dnnl::prop_kind::forward_inference, algorithm, any_src,
                                              any_weights, bias_desc, wanted, g.strides, g.dilations, g.pads_begin,
                                              g.pads_end, a.Finish(), /*allow_empty=*/true);
  };
  const auto quantize = [&](Attributes& a, bool dst) {
    AddQuantization(b, a, src, DNNL_ARG_SRC, 0);
    AddQuantization(b, a, n.inputs[1], DNNL_ARG_WEIGHTS, grouped ? 3 : 1);
    if (dst) AddQuantization(b, a, output, DNNL_ARG_DST, 0);
  };
  // The bare primitive tells the layout of the result, in which full-size post-op operands must come.
  Attributes a;
  quantize(a, true);
  auto pd = make(a, b.Stored(output), Desc());
  bool complete = pd && n.post_ops.empty() && !IsReference(pd);
  if (pd && !n.post_ops.empty()) {
    const Desc dst = pd.dst_desc();
    a = Attributes();
    quantize(a, true);
    AddPostOps(b, a, id, dst, /*allow_sum=*/true);
    pd = make(a, b.Stored(output), dst.get_inner_nblks() == 0 ? dst : Desc());
    complete = a.attached == n.post_ops.size() && pd && !IsReference(pd);
  }
  if (!complete) {  // the convolution alone into f32, the rest behind it
    a = Attributes();
    quantize(a, false);
    pd = make(a, DataType::kF32, Desc());
  }
  if (!pd) return absl::UnimplementedError(absl::StrCat("node \"", n.name, "\": oneDNN has no such convolution"));
  std::vector<Argument> arguments = {{DNNL_ARG_SRC, b.Use(src, pd.src_desc())},
                                     {DNNL_ARG_WEIGHTS, b.UseWeights(n.inputs[1], weights, pd.weights_desc())}};
  if (bias != ir::kNoValue) arguments.push_back({DNNL_ARG_BIAS, b.UseFloat(bias, bias_desc)});
  return EmitWithPostOps(b, id, a, Primitive(pd), pd, pd.dst_desc(), std::move(arguments));
}

bool Supported(const Builder& b, ir::NodeId id) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId bias = b.graph().Input(id, 2);
  const bool quantized = IsInt8(b.value(n.inputs[0]).dtype);
  return b.graph().IsConstant(n.inputs[1]) && (bias == ir::kNoValue || IsFloat(b.value(bias).dtype)) &&
         HasUsableZeroPoints(b.value(n.inputs[1])) &&
         DnnlType(b.Stored(n.inputs[0])) != dnnl::memory::data_type::undef && b.value(n.inputs[0]).shape.size() <= 5 &&
         quantized == (b.value(n.inputs[1]).dtype == DataType::kS8) &&
         quantized == b.value(n.inputs[0]).quant.has_value();
}

}  // namespace

absl::Status LowerConv(Builder& b, ir::NodeId id, const ir::Conv& op) {
  if (!Supported(b, id)) return absl::UnimplementedError("");
  const ir::Value& w = b.value(b.graph().node(id).inputs[1]);
  if (const std::vector<Chunk> chunks = ChunksOf(w, w.shape[1]); !chunks.empty())
    return LowerChunkedConv(b, id, op, chunks);
  Shape dims = w.shape;
  if (op.groups > 1) {
    dims[0] /= op.groups;
    dims.insert(dims.begin(), op.groups);
  }
  return Lower<dnnl::convolution_forward>(b, id, dnnl::algorithm::convolution_direct, GeometryOf(op.window),
                                          op.groups > 1, RowMajor(dims, w.dtype));
}

absl::Status LowerConvTranspose(Builder& b, ir::NodeId id, const ir::ConvTranspose& op) {
  if (!Supported(b, id)) return absl::UnimplementedError("");
  const ir::Value& w = b.value(b.graph().node(id).inputs[1]);
  // ONNX has [C, O/groups, …]; oneDNN wants [groups, O/groups, C/groups, …]: the same bytes under other strides.
  Shape dims = w.shape;
  Shape strides = RowMajorStrides(w.shape);
  const int64_t inputs_per_group = dims[0] / op.groups, input_stride = strides[0];
  dims[0] = dims[1];
  strides[0] = strides[1];
  dims[1] = inputs_per_group;
  strides[1] = input_stride;
  if (op.groups > 1) {
    dims.insert(dims.begin(), op.groups);
    strides.insert(strides.begin(), inputs_per_group * input_stride);
  }
  return Lower<dnnl::deconvolution_forward>(b, id, dnnl::algorithm::deconvolution_direct, GeometryOf(op.window),
                                            op.groups > 1, Desc(dims, DnnlType(w.dtype), strides));
}

}  // namespace precis::plan
