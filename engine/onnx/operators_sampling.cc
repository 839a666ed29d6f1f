// Values between cells, and cells put back where pooling took them from.
#include <utility>

#include "engine/onnx/operators.h"

namespace precis::onnx_import {
namespace {

using ir::BinaryKind;
using ir::ValueId;

void ImportGridSample(NodeImport& node) {
  const std::string mode = node.attributes().String("mode", node.opset() < 20 ? "bilinear" : "linear");
  const std::string padding = node.attributes().String("padding_mode", "zeros");
  ir::GridSample op{.align_corners = node.attributes().Bool("align_corners", false)};
  if (mode == "nearest") {
    op.mode = ir::ResizeMode::kNearest;
  } else if (mode == "cubic" || mode == "bicubic") {
    op.mode = ir::ResizeMode::kCubic;
  } else if (mode != "linear" && mode != "bilinear") {
    node.FailAttribute("mode", mode);
  }
  if (padding == "border") {
    op.padding = ir::SamplePadding::kBorder;
  } else if (padding == "reflection") {
    op.padding = ir::SamplePadding::kReflection;
  } else if (padding != "zeros") {
    node.FailAttribute("padding_mode", padding);
  }
  node.Emit(op, node.Inputs(2));
}

void ImportRoiAlign(NodeImport& node) {
  Attributes& attributes = node.attributes();
  const std::string mode = attributes.String("mode", "avg");
  if (mode != "avg" && mode != "max") node.FailAttribute("mode", mode);
  const std::string coordinates =
      attributes.String("coordinate_transformation_mode", node.opset() < 16 ? "output_half_pixel" : "half_pixel");
  if (coordinates != "half_pixel" && coordinates != "output_half_pixel")
    node.FailAttribute("coordinate_transformation_mode", coordinates);
  node.Emit(ir::RoiAlign{.max = mode == "max",
                         .half_pixel = coordinates == "half_pixel",
                         .output_height = attributes.Int("output_height", 1),
                         .output_width = attributes.Int("output_width", 1),
                         .sampling_ratio = attributes.Int("sampling_ratio", 0),
                         .spatial_scale = attributes.Float("spatial_scale", 1.0f)},
            node.Inputs(3));
}

// Zeros in the shape that pooling started from, (x - 1) * stride + kernel - pads, with x scattered over it; an output_shape that is larger has
// zeros at its end.
void ImportMaxUnpool(NodeImport& node) {
  Attributes& attributes = node.attributes();
  const ir::Ints kernel = attributes.Ints("kernel_shape");
  ir::Ints strides = attributes.Ints("strides"), pads = attributes.Ints("pads"), grown;
  if (strides.empty()) strides.assign(kernel.size(), 1);
  if (pads.empty()) pads.assign(2 * kernel.size(), 0);
  if (kernel.empty() || strides.size() != kernel.size() || pads.size() != 2 * kernel.size())
    return node.Fail("kernel_shape, strides and pads do not fit together");
  for (size_t i = 0; i < kernel.size(); ++i) grown.push_back(kernel[i] - pads[i] - pads[kernel.size() + i]);
  const ValueId x = node.Input(0);
  const auto binary = [&](absl::string_view what, BinaryKind kind, ValueId a, ValueId b) {
    return node.Add(what, ir::Binary{kind}, {a, b});
  };
  const ValueId cells = node.Add("cells", ir::ShapeOf{2}, {x});
  const ValueId gaps = binary("gaps", BinaryKind::kSub, cells, node.Int64s("ones", ir::Ints(kernel.size(), 1)));
  const ValueId reach = binary("reach", BinaryKind::kMul, gaps, node.Int64s("strides", strides));
  const ValueId spatial = binary("spatial", BinaryKind::kAdd, reach, node.Int64s("grown", grown));
  const ValueId shape = node.Add("shape", ir::Concat{0}, {node.Add("planes", ir::ShapeOf{0, 2}, {x}), spatial});
  const ValueId count = node.Add("count", ir::Reduce{ir::ReduceKind::kProd}, {shape, node.Int64s("axes", {0})});
  const ValueId zeros = node.Add("zeros", ir::ConstantOfShape{{}, node.InputType(0).value_or(DataType::kF32)}, {count});
  const ValueId flat = node.Int64s("flat", {-1});
  const ValueId indices = node.Add("indices", ir::Reshape{}, {node.Input(1), flat});
  const ValueId values = node.Add("values", ir::Reshape{}, {x, flat});
  const ValueId scattered = node.Add("scattered", ir::ScatterElements{0}, {zeros, indices, values});
  if (!node.HasInput(2)) return node.Emit(ir::Reshape{.allow_zero = true}, {scattered, shape});
  const ValueId unpooled = node.Add("unpooled", ir::Reshape{.allow_zero = true}, {scattered, shape});
  const ValueId more = binary("more", BinaryKind::kSub, node.Input(2), shape);
  const ValueId none = binary("none", BinaryKind::kSub, shape, shape);
  node.Emit(ir::Pad{}, {unpooled, node.Add("pads", ir::Concat{0}, {none, more}), ir::kNoValue, ir::kNoValue});
}

}  // namespace

void AddSamplingOperators(OperatorTable& table) {
  table["GridSample"] = ImportGridSample;
  table["RoiAlign"] = ImportRoiAlign;
  table["MaxUnpool"] = ImportMaxUnpool;
}

}  // namespace precis::onnx_import
