// Elementwise operators. Most are one row of a table: the kind, and which attributes feed its two parameters.
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/onnx/operators.h"

namespace precis::onnx_import {
namespace {

using ir::BinaryKind;
using ir::UnaryKind;
using ir::ValueId;

template <UnaryKind kind>
void ImportUnary(NodeImport& node) {
  node.Emit(ir::Unary{kind}, {node.Input(0)});
}

void EmitUnary(NodeImport& node, UnaryKind kind, float alpha, float beta = 0.0f) {
  node.Emit(ir::Unary{kind, alpha, beta}, {node.Input(0)});
}

void ImportLeakyRelu(NodeImport& node) {
  EmitUnary(node, UnaryKind::kLeakyRelu, node.attributes().Float("alpha", 0.01f));
}
void ImportElu(NodeImport& node) { EmitUnary(node, UnaryKind::kElu, node.attributes().Float("alpha", 1.0f)); }
void ImportCelu(NodeImport& node) { EmitUnary(node, UnaryKind::kCelu, node.attributes().Float("alpha", 1.0f)); }
void ImportThresholdedRelu(NodeImport& node) {
  EmitUnary(node, UnaryKind::kThresholdedRelu, node.attributes().Float("alpha", 1.0f));
}
// Defaults of the operator's definition, to the last bit.
void ImportSelu(NodeImport& node) {
  EmitUnary(node, UnaryKind::kSelu, node.attributes().Float("alpha", 1.67326319217681884765625f),
            node.attributes().Float("gamma", 1.05070102214813232421875f));
}
void ImportHardSigmoid(NodeImport& node) {
  EmitUnary(node, UnaryKind::kHardSigmoid, node.attributes().Float("alpha", 0.2f),
            node.attributes().Float("beta", 0.5f));
}
void ImportShrink(NodeImport& node) {
  EmitUnary(node, UnaryKind::kShrink, node.attributes().Float("lambd", 0.5f), node.attributes().Float("bias", 0.0f));
}
void ImportIsInf(NodeImport& node) {
  EmitUnary(node, UnaryKind::kIsInf, node.attributes().Bool("detect_negative", true),
            node.attributes().Bool("detect_positive", true));
}

void ImportGelu(NodeImport& node) {
  const std::string approximate = node.attributes().String("approximate", "none");
  if (approximate != "none" && approximate != "tanh") {
    node.FailAttribute("approximate", approximate);
  }
  node.Emit(ir::Unary{approximate == "tanh" ? UnaryKind::kGeluTanh : UnaryKind::kGeluErf}, {node.Input(0)});
}

// Attributes until opset 10, optional inputs since.
void ImportClip(NodeImport& node) {
  if (node.opset() < 11) {
    EmitUnary(node, UnaryKind::kClip, node.attributes().Float("min", std::numeric_limits<float>::lowest()),
              node.attributes().Float("max", std::numeric_limits<float>::max()));
  } else if (!node.HasInput(1) && !node.HasInput(2)) {
    node.Emit(ir::Identity{}, {node.Input(0)});
  } else {
    node.Emit(ir::Clip{}, {node.Input(0), node.Optional(1), node.Optional(2)});
  }
}

template <BinaryKind kind>
void ImportBinary(NodeImport& node) {
  node.Emit(ir::Binary{kind}, node.Inputs(2));
}

// The inputs joined by one operator, all but the last step; {x} stays {x}.
std::vector<ValueId> Chain(NodeImport& node, BinaryKind kind) {
  std::vector<ValueId> inputs = node.AllInputs();
  if (inputs.empty()) node.Fail("no inputs, want at least one");
  if (inputs.size() < 2) return inputs;
  ValueId joined = inputs[0];
  for (size_t i = 1; i + 1 < inputs.size(); ++i) {
    joined = node.Add(absl::StrCat("step", i), ir::Binary{kind}, {joined, inputs[i]});
  }
  return {joined, inputs.back()};
}

template <BinaryKind kind>
void ImportVariadic(NodeImport& node) {
  std::vector<ValueId> last = Chain(node, kind);
  last.size() == 1 ? node.Emit(ir::Identity{}, std::move(last)) : node.Emit(ir::Binary{kind}, std::move(last));
}

void ImportMean(NodeImport& node) {
  const std::vector<ValueId> last = Chain(node, BinaryKind::kAdd);
  const float share = 1.0f / static_cast<float>(node.num_inputs());
  const ValueId sum = last.size() == 2 ? node.Add("sum", ir::Binary{BinaryKind::kAdd}, last) : node.Input(0);
  node.Emit(ir::Unary{UnaryKind::kLinear, share, 0.0f}, {sum});
}

void ImportMod(NodeImport& node) {
  node.Emit(ir::Binary{node.attributes().Bool("fmod", false) ? BinaryKind::kFmod : BinaryKind::kMod}, node.Inputs(2));
}

void ImportBitShift(NodeImport& node) {
  const std::string direction = node.attributes().String("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") node.FailAttribute("direction", direction);
  node.Emit(ir::Binary{direction == "LEFT" ? BinaryKind::kShiftLeft : BinaryKind::kShiftRight}, node.Inputs(2));
}

void ImportWhere(NodeImport& node) { node.Emit(ir::Where{}, node.Inputs(3)); }

void EmitCast(NodeImport& node, int onnx_type) {
  const std::optional<DataType> type = DataTypeFromOnnx(onnx_type);
  if (!type.has_value()) node.Unsupported(absl::StrCat("to ", OnnxTypeName(onnx_type)));
  node.Emit(ir::Cast{type.value_or(DataType::kF32)}, {node.Input(0)});
}

void ImportCast(NodeImport& node) { EmitCast(node, static_cast<int>(node.attributes().Int("to", 0))); }

void ImportCastLike(NodeImport& node) {
  const std::optional<DataType> type = node.InputType(1);
  if (!type.has_value()) node.Unsupported("the type of input 1 is not declared");
  node.Emit(ir::Cast{type.value_or(DataType::kF32)}, {node.Input(0)});
}

void AddActivations(OperatorTable& table) {
  table["Relu"] = ImportUnary<UnaryKind::kRelu>;
  table["LeakyRelu"] = ImportLeakyRelu;
  table["Elu"] = ImportElu;
  table["Selu"] = ImportSelu;
  table["Celu"] = ImportCelu;
  table["ThresholdedRelu"] = ImportThresholdedRelu;
  table["Clip"] = ImportClip;
  table["Sigmoid"] = ImportUnary<UnaryKind::kSigmoid>;
  table["HardSigmoid"] = ImportHardSigmoid;
  table["HardSwish"] = ImportUnary<UnaryKind::kHardSwish>;
  table["Mish"] = ImportUnary<UnaryKind::kMish>;
  table["Gelu"] = ImportGelu;
  table["Softplus"] = ImportUnary<UnaryKind::kSoftplus>;
  table["Softsign"] = ImportUnary<UnaryKind::kSoftsign>;
  table["Shrink"] = ImportShrink;
  table["PRelu"] = ImportBinary<BinaryKind::kPrelu>;
}

void AddFunctionsOfOne(OperatorTable& table) {
  table["Erf"] = ImportUnary<UnaryKind::kErf>;
  table["Exp"] = ImportUnary<UnaryKind::kExp>;
  table["Log"] = ImportUnary<UnaryKind::kLog>;
  table["Sqrt"] = ImportUnary<UnaryKind::kSqrt>;
  table["Reciprocal"] = ImportUnary<UnaryKind::kReciprocal>;
  table["Abs"] = ImportUnary<UnaryKind::kAbs>;
  table["Neg"] = ImportUnary<UnaryKind::kNeg>;
  table["Sign"] = ImportUnary<UnaryKind::kSign>;
  table["Floor"] = ImportUnary<UnaryKind::kFloor>;
  table["Ceil"] = ImportUnary<UnaryKind::kCeil>;
  table["Round"] = ImportUnary<UnaryKind::kRound>;
  table["Sin"] = ImportUnary<UnaryKind::kSin>;
  table["Cos"] = ImportUnary<UnaryKind::kCos>;
  table["Tan"] = ImportUnary<UnaryKind::kTan>;
  table["Asin"] = ImportUnary<UnaryKind::kAsin>;
  table["Acos"] = ImportUnary<UnaryKind::kAcos>;
  table["Atan"] = ImportUnary<UnaryKind::kAtan>;
  table["Sinh"] = ImportUnary<UnaryKind::kSinh>;
  table["Cosh"] = ImportUnary<UnaryKind::kCosh>;
  table["Asinh"] = ImportUnary<UnaryKind::kAsinh>;
  table["Acosh"] = ImportUnary<UnaryKind::kAcosh>;
  table["Atanh"] = ImportUnary<UnaryKind::kAtanh>;
  table["Tanh"] = ImportUnary<UnaryKind::kTanh>;
  table["Not"] = ImportUnary<UnaryKind::kNot>;
  table["BitwiseNot"] = ImportUnary<UnaryKind::kBitwiseNot>;
  table["IsNaN"] = ImportUnary<UnaryKind::kIsNan>;
  table["IsInf"] = ImportIsInf;
  table["Cast"] = ImportCast;
  table["CastLike"] = ImportCastLike;
}

void AddFunctionsOfMany(OperatorTable& table) {
  table["Add"] = ImportBinary<BinaryKind::kAdd>;
  table["Sub"] = ImportBinary<BinaryKind::kSub>;
  table["Mul"] = ImportBinary<BinaryKind::kMul>;
  table["Div"] = ImportBinary<BinaryKind::kDiv>;
  table["Pow"] = ImportBinary<BinaryKind::kPow>;
  table["Mod"] = ImportMod;
  table["And"] = ImportBinary<BinaryKind::kAnd>;
  table["Or"] = ImportBinary<BinaryKind::kOr>;
  table["Xor"] = ImportBinary<BinaryKind::kXor>;
  table["Equal"] = ImportBinary<BinaryKind::kEqual>;
  table["Less"] = ImportBinary<BinaryKind::kLess>;
  table["LessOrEqual"] = ImportBinary<BinaryKind::kLessEqual>;
  table["Greater"] = ImportBinary<BinaryKind::kGreater>;
  table["GreaterOrEqual"] = ImportBinary<BinaryKind::kGreaterEqual>;
  table["BitwiseAnd"] = ImportBinary<BinaryKind::kBitwiseAnd>;
  table["BitwiseOr"] = ImportBinary<BinaryKind::kBitwiseOr>;
  table["BitwiseXor"] = ImportBinary<BinaryKind::kBitwiseXor>;
  table["BitShift"] = ImportBitShift;
  table["Sum"] = ImportVariadic<BinaryKind::kAdd>;
  table["Min"] = ImportVariadic<BinaryKind::kMin>;
  table["Max"] = ImportVariadic<BinaryKind::kMax>;
  table["Mean"] = ImportMean;
  table["Where"] = ImportWhere;
}

}  // namespace

void AddElementwiseOperators(OperatorTable& table) {
  AddActivations(table);
  AddFunctionsOfOne(table);
  AddFunctionsOfMany(table);
}

}  // namespace precis::onnx_import
