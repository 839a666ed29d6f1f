// Quantized operators. Those that compute on integers are spelled as dequantize, compute, quantize: the form in which quantization
// and the plan recognise an integer layer.
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/onnx/operators.h"
#include "engine/onnx/window.h"

namespace precis::onnx_import {
namespace {

using ir::BinaryKind;
using ir::ValueId;

DataType ReadOutputType(NodeImport& node) {
  const int64_t onnx_type = node.attributes().Int("output_dtype", 0);
  if (onnx_type == 0) return node.InputType(2).value_or(DataType::kU8);
  const std::optional<DataType> type = DataTypeFromOnnx(static_cast<int>(onnx_type));
  if (!type.has_value()) node.Unsupported(absl::StrCat("output_dtype ", OnnxTypeName(static_cast<int>(onnx_type))));
  return type.value_or(DataType::kU8);
}

void ImportQuantizeLinear(NodeImport& node) {
  Attributes& attributes = node.attributes();
  const ir::Quantize op{attributes.Int("axis", 1), attributes.Int("block_size", 0), ReadOutputType(node)};
  node.Emit(op, {node.Input(0), node.Input(1), node.Optional(2)});
}

void ImportDequantizeLinear(NodeImport& node) {
  const ir::Dequantize op{node.attributes().Int("axis", 1), node.attributes().Int("block_size", 0)};
  node.Emit(op, {node.Input(0), node.Input(1), node.Optional(2)});
}

void ImportDynamicQuantizeLinear(NodeImport& node) { node.EmitAll(ir::DynamicQuantize{}, {node.Input(0)}); }

// Dequantizes inputs i, i+1, i+2: tensor, scale, zero point.
ValueId Dequantized(NodeImport& node, absl::string_view name, size_t i, int64_t axis) {
  return node.Add(name, ir::Dequantize{.axis = axis}, {node.Input(i), node.Input(i + 1), node.Optional(i + 2)});
}

// Quantizes `real` with scale and zero point from inputs i, i+1.
void EmitQuantized(NodeImport& node, ValueId real, size_t i) {
  node.Emit(ir::Quantize{.output_type = node.InputType(i + 1).value_or(DataType::kU8)},
            {real, node.Input(i), node.Optional(i + 1)});
}

// x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, bias?; bias is s32 in units of x_scale * w_scale.
void ImportQLinearConv(NodeImport& node) {
  const ValueId x = Dequantized(node, "x", 0, 1);
  const ValueId weights = Dequantized(node, "weights", 3, 0);
  ValueId bias = ir::kNoValue;
  if (node.HasInput(8)) {
    const ValueId scale = node.Add("bias_scale", ir::Binary{BinaryKind::kMul}, {node.Input(1), node.Input(4)});
    bias = node.Add("bias", ir::Dequantize{.axis = 0}, {node.Input(8), scale});
  }
  EmitQuantized(node, node.Add("conv", ReadConv(node), {x, weights, bias}), 6);
}

// a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point; a may be scaled per row, b per column.
void ImportQLinearMatMul(NodeImport& node) {
  const ValueId a = Dequantized(node, "a", 0, -2);
  const ValueId b = Dequantized(node, "b", 3, -1);
  EmitQuantized(node, node.Add("product", ir::MatMul{}, {a, b}), 6);
}

// x - zero_point in f32: exact, as are the sums of products below 2^24.
ValueId Centred(NodeImport& node, absl::string_view name, size_t tensor, size_t zero_point, const ir::Ints& unsqueeze) {
  const ValueId x = node.Add(absl::StrCat(name, "_f32"), ir::Cast{DataType::kF32}, {node.Input(tensor)});
  if (!node.HasInput(zero_point)) return x;
  ValueId zero = node.Add(absl::StrCat(name, "_zero"), ir::Cast{DataType::kF32}, {node.Input(zero_point)});
  const Tensor* constant = node.ConstantInput(zero_point);
  if (!unsqueeze.empty() && constant != nullptr && constant->num_elements() > 1) {
    zero = node.Add(absl::StrCat(name, "_zeros"), ir::Unsqueeze{},
                    {zero, node.Int64s(absl::StrCat(name, "_axes"), unsqueeze)});
  }
  return node.Add(name, ir::Binary{BinaryKind::kSub}, {x, zero});
}

void ImportMatMulInteger(NodeImport& node) {
  const ValueId a = Centred(node, "a", 0, 2, {-1});
  const ValueId b = Centred(node, "b", 1, 3, {});
  node.Emit(ir::Cast{DataType::kS32}, {node.Add("product", ir::MatMul{}, {a, b})});
}

void ImportConvInteger(NodeImport& node) {
  // A zero point per output channel stands before the other dimensions of the weights.
  const Tensor* weights = node.ConstantInput(1);
  ir::Ints after_channel;
  for (size_t d = 1; weights != nullptr && d < weights->shape().size(); ++d)
    after_channel.push_back(static_cast<int64_t>(d));
  const ValueId x = Centred(node, "x", 0, 2, {});
  const ValueId w = Centred(node, "weights", 1, 3, after_channel);
  node.Emit(ir::Cast{DataType::kS32}, {node.Add("conv", ReadConv(node), {x, w})});
}

}  // namespace

void AddQuantizationOperators(OperatorTable& table) {
  table["QuantizeLinear"] = ImportQuantizeLinear;
  table["DequantizeLinear"] = ImportDequantizeLinear;
  table["DynamicQuantizeLinear"] = ImportDynamicQuantizeLinear;
  table["QLinearConv"] = ImportQLinearConv;
  table["QLinearMatMul"] = ImportQLinearMatMul;
  table["MatMulInteger"] = ImportMatMulInteger;
  table["ConvInteger"] = ImportConvInteger;
}

}  // namespace precis::onnx_import
