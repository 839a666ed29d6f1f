// Operators of com.microsoft that ONNX Runtime's optimiser and quantizer leave in files (ContribOperators.md). They have no schema
// in libonnx: inputs are checked here.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/onnx/operators.h"
#include "engine/onnx/quoting.h"
#include "engine/onnx/window.h"

namespace precis::onnx_import {
namespace {

using ir::BinaryKind;
using ir::UnaryKind;
using ir::ValueId;

template <UnaryKind kind>
void ImportBiasedUnary(NodeImport& node) {
  ValueId x = node.Input(0);
  if (node.HasInput(1)) x = node.Add("biased", ir::Binary{BinaryKind::kAdd}, {x, node.Input(1)});
  node.Emit(ir::Unary{kind}, {x});
}

// x * sigmoid(alpha * x)
void ImportQuickGelu(NodeImport& node) {
  const ValueId x = node.Input(0);
  const ValueId scaled =
      node.Add("scaled", ir::Unary{UnaryKind::kLinear, node.attributes().Float("alpha", 1.702f)}, {x});
  node.Emit(ir::Binary{BinaryKind::kMul}, {x, node.Add("gate", ir::Unary{UnaryKind::kSigmoid}, {scaled})});
}

// Attributes "activation" and "activation_params".
ir::Unary ReadActivation(NodeImport& node) {
  const std::string name = node.attributes().String("activation", "Relu");
  const std::vector<float> p = node.attributes().Floats("activation_params");
  const auto parameter = [&](size_t i, float fallback) { return i < p.size() ? p[i] : fallback; };
  if (name == "Relu") return {UnaryKind::kRelu};
  if (name == "Sigmoid") return {UnaryKind::kSigmoid};
  if (name == "Tanh") return {UnaryKind::kTanh};
  if (name == "LeakyRelu") return {UnaryKind::kLeakyRelu, parameter(0, 0.01f)};
  if (name == "HardSigmoid") return {UnaryKind::kHardSigmoid, parameter(0, 0.2f), parameter(1, 0.5f)};
  if (name == "Clip" && p.size() == 2) return {UnaryKind::kClip, p[0], p[1]};
  node.Unsupported(absl::StrCat("activation ", Quoted(name)));
  return {};
}

// activation(conv(x, w, bias?) + z?)
void ImportFusedConv(NodeImport& node) {
  ValueId y = node.Add("conv", ReadConv(node), {node.Input(0), node.Input(1), node.Optional(2)});
  if (node.HasInput(3)) y = node.Add("sum", ir::Binary{BinaryKind::kAdd}, {y, node.Input(3)});
  node.Emit(ReadActivation(node), {y});
}

void ImportFusedMatMul(NodeImport& node) {
  Attributes& attributes = node.attributes();
  if (attributes.Bool("transBatchA", false) || attributes.Bool("transBatchB", false)) node.Unsupported("transBatch");
  node.Emit(
      ir::MatMul{attributes.Bool("transA", false), attributes.Bool("transB", false), attributes.Float("alpha", 1.0f)},
      node.Inputs(2));
}

// LayerNormalization(input + skip + bias?) * gamma + beta; other outputs but the sum (3) are statistics for training.
void ImportSkipLayerNormalization(NodeImport& node) {
  ValueId sum = node.Add("skip", ir::Binary{BinaryKind::kAdd}, node.Inputs(2));
  if (node.HasInput(4)) sum = node.Add("bias", ir::Binary{BinaryKind::kAdd}, {sum, node.Input(4)});
  node.Emit(ir::Identity{}, {sum}, 3);
  node.Emit(ir::LayerNorm{-1, node.attributes().Float("epsilon", 1e-12f)}, {sum, node.Input(2), node.Optional(3)});
}

// a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point
template <BinaryKind kind>
void ImportQLinearBinary(NodeImport& node) {
  const ValueId a = node.Add("a", ir::Dequantize{}, {node.Input(0), node.Input(1), node.Optional(2)});
  const ValueId b = node.Add("b", ir::Dequantize{}, {node.Input(3), node.Input(4), node.Optional(5)});
  const ValueId y = node.Add("real", ir::Binary{kind}, {a, b});
  node.Emit(ir::Quantize{.output_type = node.InputType(7).value_or(DataType::kU8)},
            {y, node.Input(6), node.Optional(7)});
}

// x, x_scale, x_zero_point, y_scale, y_zero_point around one operator of x.
void EmitQLinearUnary(NodeImport& node, ir::Op op) {
  const ValueId x = node.Add("x", ir::Dequantize{}, {node.Input(0), node.Input(1), node.Optional(2)});
  const ValueId y = node.Add("real", std::move(op), {x});
  node.Emit(ir::Quantize{.output_type = node.InputType(4).value_or(DataType::kU8)},
            {y, node.Input(3), node.Optional(4)});
}

void ImportQLinearSigmoid(NodeImport& node) { EmitQLinearUnary(node, ir::Unary{UnaryKind::kSigmoid}); }

void ImportQLinearLeakyRelu(NodeImport& node) {
  EmitQLinearUnary(node, ir::Unary{UnaryKind::kLeakyRelu, node.attributes().Float("alpha", 0.01f)});
}

void ImportQLinearGlobalAveragePool(NodeImport& node) {
  if (node.attributes().Bool("channels_last", false)) node.Unsupported("channels_last=1");
  EmitQLinearUnary(node, ir::GlobalPool{ir::PoolKind::kAverage});
}

}  // namespace

void AddContribOperators(OperatorTable& table) {
  table["com.microsoft.Gelu"] = ImportBiasedUnary<UnaryKind::kGeluErf>;
  table["com.microsoft.BiasGelu"] = ImportBiasedUnary<UnaryKind::kGeluErf>;
  table["com.microsoft.FastGelu"] = ImportBiasedUnary<UnaryKind::kGeluTanh>;
  table["com.microsoft.QuickGelu"] = ImportQuickGelu;
  table["com.microsoft.FusedConv"] = ImportFusedConv;
  table["com.microsoft.FusedMatMul"] = ImportFusedMatMul;
  table["com.microsoft.SkipLayerNormalization"] = ImportSkipLayerNormalization;
  table["com.microsoft.QLinearAdd"] = ImportQLinearBinary<BinaryKind::kAdd>;
  table["com.microsoft.QLinearMul"] = ImportQLinearBinary<BinaryKind::kMul>;
  table["com.microsoft.QLinearSigmoid"] = ImportQLinearSigmoid;
  table["com.microsoft.QLinearLeakyRelu"] = ImportQLinearLeakyRelu;
  table["com.microsoft.QLinearGlobalAveragePool"] = ImportQLinearGlobalAveragePool;
}

}  // namespace precis::onnx_import
