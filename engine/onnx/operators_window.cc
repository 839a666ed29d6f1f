// Convolution, matrix product, pooling and resampling.
#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/onnx/operators.h"
#include "engine/onnx/quoting.h"
#include "engine/onnx/window.h"

namespace precis::onnx_import {

ir::Window ReadWindow(NodeImport& node) {
  Attributes& attributes = node.attributes();
  ir::Window window;
  window.kernel = attributes.Ints("kernel_shape");
  window.strides = attributes.Ints("strides");
  window.dilations = attributes.Ints("dilations");
  const ir::Ints pads = attributes.Ints("pads");  // all begins, then all ends
  if (pads.size() % 2 != 0)
    node.Fail(absl::StrCat("attribute \"pads\" has ", pads.size(), " entries, want two per dimension"));
  const auto middle = pads.begin() + static_cast<std::ptrdiff_t>(pads.size() / 2);
  window.pads_begin.assign(pads.begin(), middle);
  window.pads_end.assign(middle, pads.end());
  const std::string auto_pad = attributes.String("auto_pad", "NOTSET");
  if (auto_pad == "SAME_UPPER") {
    window.auto_pad = ir::AutoPad::kSameUpper;
  } else if (auto_pad == "SAME_LOWER") {
    window.auto_pad = ir::AutoPad::kSameLower;
  } else if (auto_pad == "VALID") {
    window.auto_pad = ir::AutoPad::kValid;
  } else if (auto_pad != "NOTSET" && !auto_pad.empty()) {
    node.FailAttribute("auto_pad", auto_pad);
  }
  return window;
}

ir::Conv ReadConv(NodeImport& node) {
  return {.window = ReadWindow(node), .groups = node.attributes().Int("group", 1)};
}

namespace {

using ir::ValueId;

void ImportConv(NodeImport& node) { node.Emit(ReadConv(node), {node.Input(0), node.Input(1), node.Optional(2)}); }

void ImportConvTranspose(NodeImport& node) {
  ir::ConvTranspose op;
  op.window = ReadWindow(node);
  op.groups = node.attributes().Int("group", 1);
  op.output_padding = node.attributes().Ints("output_padding");
  op.output_shape = node.attributes().Ints("output_shape");
  node.Emit(std::move(op), {node.Input(0), node.Input(1), node.Optional(2)});
}

void ImportMatMul(NodeImport& node) { node.Emit(ir::MatMul{}, node.Inputs(2)); }

// alpha * A' * B' + beta * C
void ImportGemm(NodeImport& node) {
  Attributes& attributes = node.attributes();
  const ir::MatMul op{.transpose_a = attributes.Bool("transA", false),
                      .transpose_b = attributes.Bool("transB", false),
                      .alpha = attributes.Float("alpha", 1.0f)};
  const float beta = attributes.Float("beta", 1.0f);
  ValueId bias = beta == 0.0f ? ir::kNoValue : node.Optional(2);
  if (bias != ir::kNoValue && beta != 1.0f)
    bias = node.Add("beta", ir::Unary{ir::UnaryKind::kLinear, beta, 0.0f}, {bias});
  node.Emit(op, {node.Input(0), node.Input(1), bias});
}

template <ir::PoolKind kind>
void ImportPool(NodeImport& node) {
  ir::Pool op{.kind = kind, .window = ReadWindow(node), .ceil_mode = node.attributes().Bool("ceil_mode", false)};
  if (kind == ir::PoolKind::kAverage && node.attributes().Bool("count_include_pad", false)) {
    op.kind = ir::PoolKind::kAverageIncludePad;
  }
  if (kind == ir::PoolKind::kMax && node.WantsOutput(1) && !node.attributes().Bool("storage_order", false))
    return node.EmitAll(std::move(op), {node.Input(0)});
  node.Emit(std::move(op), {node.Input(0)});
}

// (sum of |x|^p)^(1/p) over each window, as an average over all of the window times its size; p = 1 and 2 are the ones in use.
void ImportLpPool(NodeImport& node) {
  const int64_t p = node.attributes().Int("p", 2);
  ir::Pool op{.kind = ir::PoolKind::kAverageIncludePad, .window = ReadWindow(node), .ceil_mode = false};
  if (p != 1 && p != 2) node.Unsupported(absl::StrCat("p=", p));
  if (node.attributes().Bool("ceil_mode", false)) node.Unsupported("ceil_mode=1");
  float window_size = 1.0f;
  for (int64_t k : op.window.kernel) window_size *= static_cast<float>(k);
  const ValueId x = node.Input(0);
  const ValueId power = p == 1 ? node.Add("power", ir::Unary{ir::UnaryKind::kAbs}, {x})
                               : node.Add("power", ir::Binary{ir::BinaryKind::kMul}, {x, x});
  const ValueId mean = node.Add("mean", std::move(op), {power});
  const ir::Unary total{ir::UnaryKind::kLinear, window_size, 0.0f};
  if (p == 1) {
    node.Emit(total, {mean});
  } else {
    node.Emit(ir::Unary{ir::UnaryKind::kSqrt}, {node.Add("total", total, {mean})});
  }
}

template <ir::PoolKind kind>
void ImportGlobalPool(NodeImport& node) {
  node.Emit(ir::GlobalPool{kind}, {node.Input(0)});
}

// Finds `name` in a table of {name, value}; anything else fails, or is unsupported.
template <typename Enum, size_t n>
Enum Choose(NodeImport& node, absl::string_view attribute, absl::string_view fallback,
            const std::pair<absl::string_view, Enum> (&choices)[n]) {
  const std::string name = node.attributes().String(attribute, fallback);
  for (const auto& [known, value] : choices) {
    if (name == known) return value;
  }
  node.Unsupported(absl::StrCat(attribute, " ", Quoted(name)));
  return choices[0].second;
}

ir::ResizeMode ReadResizeMode(NodeImport& node) {
  using M = ir::ResizeMode;
  return Choose<M>(node, "mode", "nearest",
                   {{"nearest", M::kNearest}, {"linear", M::kLinear}, {"bilinear", M::kLinear}, {"cubic", M::kCubic}});
}

// Before opset 11 there was one way to map coordinates: divide by the scale, and round down for the nearest.
ir::Resize OldResize(NodeImport& node) {
  ir::Resize op;
  op.mode = ReadResizeMode(node);
  op.coordinates = ir::ResizeCoordinates::kAsymmetric;
  op.nearest = ir::ResizeNearest::kFloor;
  return op;
}

void ImportUpsample(NodeImport& node) {
  ValueId scales = ir::kNoValue;
  if (node.opset() >= 9) {
    scales = node.Input(1);
  } else {
    const std::vector<float> values = node.attributes().Floats("scales");
    scales = node.Constant("scales", Tensor::From<float>({static_cast<int64_t>(values.size())}, values));
  }
  node.Emit(OldResize(node), {node.Input(0), ir::kNoValue, scales});
}

// An empty constant stands for an absent input in opset 11 and 12.
ValueId Present(NodeImport& node, size_t i) {
  const Tensor* constant = node.ConstantInput(i);
  return constant != nullptr && constant->num_elements() == 0 ? ir::kNoValue : node.Optional(i);
}

void ImportResize(NodeImport& node) {
  if (node.opset() < 11) {
    node.Emit(OldResize(node), {node.Input(0), ir::kNoValue, node.Input(1)});
    return;
  }
  using C = ir::ResizeCoordinates;
  using N = ir::ResizeNearest;
  using P = ir::ResizePolicy;
  Attributes& attributes = node.attributes();
  ir::Resize op;
  op.mode = ReadResizeMode(node);
  op.coordinates = Choose<C>(node, "coordinate_transformation_mode", "half_pixel",
                             {{"half_pixel", C::kHalfPixel},
                              {"pytorch_half_pixel", C::kPytorchHalfPixel},
                              {"align_corners", C::kAlignCorners},
                              {"asymmetric", C::kAsymmetric},
                              {"half_pixel_symmetric", C::kHalfPixelSymmetric},
                              {"tf_crop_and_resize", C::kTfCropAndResize}});
  op.nearest = Choose<N>(node, "nearest_mode", "round_prefer_floor",
                         {{"round_prefer_floor", N::kRoundPreferFloor},
                          {"round_prefer_ceil", N::kRoundPreferCeil},
                          {"floor", N::kFloor},
                          {"ceil", N::kCeil}});
  op.policy = Choose<P>(node, "keep_aspect_ratio_policy", "stretch",
                        {{"stretch", P::kStretch}, {"not_larger", P::kNotLarger}, {"not_smaller", P::kNotSmaller}});
  op.cubic_coeff_a = attributes.Float("cubic_coeff_a", -0.75f);
  op.extrapolation_value = attributes.Float("extrapolation_value", 0.0f);
  op.exclude_outside = attributes.Bool("exclude_outside", false);
  op.antialias = attributes.Bool("antialias", false);
  op.axes = attributes.Ints("axes");
  const ValueId roi = op.coordinates == C::kTfCropAndResize ? node.Input(1) : ir::kNoValue;
  node.Emit(std::move(op), {node.Input(0), roi, Present(node, 2), Present(node, 3)});
}

}  // namespace

void AddWindowOperators(OperatorTable& table) {
  table["Conv"] = ImportConv;
  table["ConvTranspose"] = ImportConvTranspose;
  table["MatMul"] = ImportMatMul;
  table["Gemm"] = ImportGemm;
  table["MaxPool"] = ImportPool<ir::PoolKind::kMax>;
  table["AveragePool"] = ImportPool<ir::PoolKind::kAverage>;
  table["LpPool"] = ImportLpPool;
  table["GlobalMaxPool"] = ImportGlobalPool<ir::PoolKind::kMax>;
  table["GlobalAveragePool"] = ImportGlobalPool<ir::PoolKind::kAverage>;
  table["Upsample"] = ImportUpsample;
  table["Resize"] = ImportResize;
}

}  // namespace precis::onnx_import
