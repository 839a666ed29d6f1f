// Operator names as shown to users.
#include "engine/ir/op.h"

#include <cstddef>
#include <iterator>

namespace precis::ir {

absl::string_view OpName(UnaryKind kind) {
  constexpr absl::string_view kNames[] = {
      "Relu",  "LeakyRelu", "Elu",         "Selu",       "Celu",       "ThresholdedRelu",
      "Clip",  "Sigmoid",   "HardSigmoid", "HardSwish",  "Silu",       "Mish",
      "Tanh",  "Gelu",      "GeluTanh",    "Softplus",   "Softsign",   "Erf",
      "Exp",   "Log",       "Sqrt",        "Reciprocal", "Abs",        "Neg",
      "Sign",  "Floor",     "Ceil",        "Round",      "Sin",        "Cos",
      "Tan",   "Asin",      "Acos",        "Atan",       "Sinh",       "Cosh",
      "Asinh", "Acosh",     "Atanh",       "Not",        "BitwiseNot", "IsNaN",
      "IsInf", "Linear",    "Shrink"};
  static_assert(std::size(kNames) == static_cast<size_t>(UnaryKind::kShrink) + 1);
  return kNames[static_cast<size_t>(kind)];
}

absl::string_view OpName(BinaryKind kind) {
  constexpr absl::string_view kNames[] = {
      "Add",        "Sub",       "Mul",        "Div",          "Pow",          "Min",
      "Max",        "Mod",       "Fmod",       "PRelu",        "And",          "Or",
      "Xor",        "Equal",     "Less",       "LessOrEqual",  "Greater",      "GreaterOrEqual",
      "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShiftLeft", "BitShiftRight"};
  static_assert(std::size(kNames) == static_cast<size_t>(BinaryKind::kShiftRight) + 1);
  return kNames[static_cast<size_t>(kind)];
}

namespace {

struct NameOf {
  absl::string_view operator()(const Unary& op) const { return OpName(op.kind); }
  absl::string_view operator()(const Binary& op) const { return OpName(op.kind); }
  absl::string_view operator()(const Softmax& op) const { return op.log ? "LogSoftmax" : "Softmax"; }
  absl::string_view operator()(const Pool& op) const { return op.kind == PoolKind::kMax ? "MaxPool" : "AveragePool"; }
  absl::string_view operator()(const GlobalPool& op) const {
    return op.kind == PoolKind::kMax ? "GlobalMaxPool" : "GlobalAveragePool";
  }
  absl::string_view operator()(const ArgReduce& op) const { return op.max ? "ArgMax" : "ArgMin"; }
  absl::string_view operator()(const Reduce& op) const {
    constexpr absl::string_view kNames[] = {"ReduceSum",    "ReduceMean",     "ReduceMax", "ReduceMin",
                                            "ReduceProd",   "ReduceL1",       "ReduceL2",  "ReduceSumSquare",
                                            "ReduceLogSum", "ReduceLogSumExp"};
    return kNames[static_cast<size_t>(op.kind)];
  }
  absl::string_view operator()(const Choose&) const { return "If"; }
  absl::string_view operator()(const Recurrent& op) const {
    return op.cell == CellKind::kLstm ? "LSTM" : op.cell == CellKind::kGru ? "GRU" : "RNN";
  }
  // clang-format off
#define PRECIS_NAME(Type) \
  absl::string_view operator()(const Type&) const { return #Type; }
  PRECIS_NAME(Conv) PRECIS_NAME(ConvTranspose) PRECIS_NAME(MatMul) PRECIS_NAME(BatchNorm) PRECIS_NAME(LayerNorm) PRECIS_NAME(InstanceNorm)
  PRECIS_NAME(GroupNorm) PRECIS_NAME(Lrn) PRECIS_NAME(LpNorm) PRECIS_NAME(Clip) PRECIS_NAME(Where) PRECIS_NAME(Cast) PRECIS_NAME(Quantize)
  PRECIS_NAME(Dequantize) PRECIS_NAME(DynamicQuantize) PRECIS_NAME(Convert) PRECIS_NAME(Identity) PRECIS_NAME(Reshape) PRECIS_NAME(Flatten)
  PRECIS_NAME(Squeeze) PRECIS_NAME(Unsqueeze) PRECIS_NAME(Transpose) PRECIS_NAME(Concat) PRECIS_NAME(Split) PRECIS_NAME(Slice)
  PRECIS_NAME(Gather) PRECIS_NAME(GatherElements) PRECIS_NAME(GatherNd) PRECIS_NAME(ScatterElements) PRECIS_NAME(ScatterNd)
  PRECIS_NAME(Expand) PRECIS_NAME(Tile) PRECIS_NAME(Pad) PRECIS_NAME(ShapeOf) PRECIS_NAME(SizeOf) PRECIS_NAME(ConstantOfShape)
  PRECIS_NAME(Range) PRECIS_NAME(DepthToSpace) PRECIS_NAME(SpaceToDepth) PRECIS_NAME(Trilu) PRECIS_NAME(CumSum) PRECIS_NAME(OneHot)
  PRECIS_NAME(EyeLike) PRECIS_NAME(TopK) PRECIS_NAME(Resize) PRECIS_NAME(NonZero) PRECIS_NAME(GridSample)
  PRECIS_NAME(RoiAlign)
#undef PRECIS_NAME
  // clang-format on
};

}  // namespace

absl::string_view OpName(const Op& op) { return std::visit(NameOf{}, op); }

}  // namespace precis::ir
