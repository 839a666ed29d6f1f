// Normalisation and softmax. Statistics that an operator may return besides its result are computed by nodes of their own.
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/onnx/operators.h"

namespace precis::onnx_import {
namespace {

using ir::UnaryKind;
using ir::ValueId;

// Dimensions from `axis` to the last, as a tensor: Range(axis, rank(x)).
ValueId AxesFrom(NodeImport& node, ValueId x, int64_t axis) {
  if (axis < 0) {
    ir::Ints axes;
    for (int64_t a = axis < -kMaxRank ? -1 : axis; a < 0; ++a) axes.push_back(a);
    return node.Int64s("axes", axes);
  }
  const ValueId rank = node.Add("rank", ir::SizeOf{}, {node.Add("shape", ir::ShapeOf{}, {x})});
  return node.Add("axes", ir::Range{}, {node.Int64("axis", axis), rank, node.Int64("step", 1)});
}

// training_mode: statistics over the batch at hand (timm's weight standardisation writes it, of constant weights), and the running ones moved
// towards them.
void EmitTrainingBatchNorm(NodeImport& node) {
  const float epsilon = node.attributes().Float("epsilon", 1e-5f), momentum = node.attributes().Float("momentum", 0.9f);
  const ValueId x = node.Input(0);
  const ValueId axes = node.Add("all_axes", ir::Concat{0}, {node.Int64s("batch_axis", {0}), AxesFrom(node, x, 2)});
  const ValueId mean = node.Add("mean", ir::Reduce{ir::ReduceKind::kMean}, {x, axes});
  const ValueId centred = node.Add("centred", ir::Binary{ir::BinaryKind::kSub}, {x, mean});
  const ValueId square = node.Add("square", ir::Binary{ir::BinaryKind::kMul}, {centred, centred});
  const ValueId variance = node.Add("variance", ir::Reduce{ir::ReduceKind::kMean}, {square, axes});
  const ValueId shifted = node.Add("epsilon", ir::Unary{UnaryKind::kLinear, 1.0f, epsilon}, {variance});
  const ValueId deviation = node.Add("deviation", ir::Unary{UnaryKind::kSqrt}, {shifted});
  const ValueId statistics_shape = node.Add("statistics_shape", ir::ShapeOf{}, {mean});
  const auto per_channel = [&](absl::string_view what, size_t input) {
    return node.Add(what, ir::Reshape{.allow_zero = true}, {node.Input(input), statistics_shape});
  };
  const ValueId normal = node.Add("normal", ir::Binary{ir::BinaryKind::kDiv}, {centred, deviation});
  const ValueId scaled = node.Add("scaled", ir::Binary{ir::BinaryKind::kMul}, {normal, per_channel("scale", 1)});
  node.Emit(ir::Binary{ir::BinaryKind::kAdd}, {scaled, per_channel("bias", 2)});
  for (const size_t output : {1, 2}) {
    if (!node.WantsOutput(output)) continue;
    const ValueId running = node.Input(output + 2);
    const ValueId now = node.Add(absl::StrCat("now", output), ir::Reshape{},
                                 {output == 1 ? mean : variance, node.Int64s(absl::StrCat("flat", output), {-1})});
    const ValueId kept = node.Add(absl::StrCat("kept", output), ir::Unary{UnaryKind::kLinear, momentum}, {running});
    const ValueId moved =
        node.Add(absl::StrCat("moved", output), ir::Unary{UnaryKind::kLinear, 1.0f - momentum}, {now});
    node.Emit(ir::Binary{ir::BinaryKind::kAdd}, {kept, moved}, output);
  }
}

void ImportBatchNormalization(NodeImport& node) {
  Attributes& attributes = node.attributes();
  if (node.opset() < 9 && !attributes.Bool("spatial", true)) node.Unsupported("spatial=0");
  if (attributes.Bool("training_mode", false)) return EmitTrainingBatchNorm(node);
  node.Emit(ir::BatchNorm{attributes.Float("epsilon", 1e-5f)}, node.Inputs(5));
}

void ImportLayerNormalization(NodeImport& node) {
  const ir::LayerNorm op{node.attributes().Int("axis", -1), node.attributes().Float("epsilon", 1e-5f)};
  const ValueId x = node.Input(0);
  node.Emit(op, {x, node.Input(1), node.Optional(2)});
  if (!node.WantsOutput(1) && !node.WantsOutput(2)) return;
  const ValueId axes = AxesFrom(node, x, op.axis);
  node.Emit(ir::Reduce{ir::ReduceKind::kMean}, {x, axes}, 1);
  const ValueId mean = node.Add("mean", ir::Reduce{ir::ReduceKind::kMean}, {x, axes});
  const ValueId centred = node.Add("centred", ir::Binary{ir::BinaryKind::kSub}, {x, mean});
  const ValueId square = node.Add("square", ir::Binary{ir::BinaryKind::kMul}, {centred, centred});
  const ValueId variance = node.Add("variance", ir::Reduce{ir::ReduceKind::kMean}, {square, axes});
  const ValueId shifted = node.Add("epsilon", ir::Unary{UnaryKind::kLinear, 1.0f, op.epsilon}, {variance});
  const ValueId deviation = node.Add("deviation", ir::Unary{UnaryKind::kSqrt}, {shifted});
  node.Emit(ir::Unary{UnaryKind::kReciprocal}, {deviation}, 2);
}

void ImportInstanceNormalization(NodeImport& node) {
  node.Emit(ir::InstanceNorm{node.attributes().Float("epsilon", 1e-5f)}, node.Inputs(3));
}

// Opset 18 scales per group: each group's number is repeated for its channels, [G] -> [G, C/G] -> [C].
ValueId RepeatPerChannel(NodeImport& node, absl::string_view what, ValueId per_group, int64_t groups) {
  const auto name = [&](absl::string_view part) { return absl::StrCat(what, "_", part); };
  const ValueId channels = node.Add(name("channels"), ir::ShapeOf{1, 2}, {node.Input(0)});
  const ValueId group_count = node.Int64s(name("groups"), {groups});
  const ValueId repeats = node.Add(name("repeats"), ir::Binary{ir::BinaryKind::kDiv}, {channels, group_count});
  const ValueId shape = node.Add(name("shape"), ir::Concat{0}, {group_count, repeats});
  const ValueId column = node.Add(name("column"), ir::Unsqueeze{}, {per_group, node.Int64s(name("axes"), {1})});
  const ValueId table = node.Add(name("table"), ir::Expand{}, {column, shape});
  return node.Add(what, ir::Reshape{}, {table, node.Int64s(name("flat"), {-1})});
}

void ImportGroupNormalization(NodeImport& node) {
  const int64_t groups = node.attributes().Int("num_groups", 0);
  if (groups <= 0) node.Fail(absl::StrCat("attribute \"num_groups\" is ", groups, ", want at least 1"));
  ValueId scale = node.Input(1);
  ValueId bias = node.Input(2);
  if (node.opset() < 21) {
    scale = RepeatPerChannel(node, "scale", scale, groups);
    bias = RepeatPerChannel(node, "bias", bias, groups);
  }
  node.Emit(ir::GroupNorm{groups, node.attributes().Float("epsilon", 1e-5f)}, {node.Input(0), scale, bias});
}

// (x - E[x]) / sqrt(E[(x - E[x])^2] + 1e-9); the epsilon is the function body's in onnx/defs/nn.
void ImportMeanVarianceNormalization(NodeImport& node) {
  ir::Ints axes = node.attributes().Ints("axes");
  if (axes.empty()) axes = {0, 2, 3};
  const ValueId x = node.Input(0);
  const ValueId axes_value = node.Int64s("axes", axes);
  const ValueId mean = node.Add("mean", ir::Reduce{ir::ReduceKind::kMean}, {x, axes_value});
  const ValueId centred = node.Add("centred", ir::Binary{ir::BinaryKind::kSub}, {x, mean});
  const ValueId square = node.Add("square", ir::Binary{ir::BinaryKind::kMul}, {centred, centred});
  const ValueId variance = node.Add("variance", ir::Reduce{ir::ReduceKind::kMean}, {square, axes_value});
  const ValueId shifted = node.Add("epsilon", ir::Unary{UnaryKind::kLinear, 1.0f, 1e-9f}, {variance});
  const ValueId deviation = node.Add("deviation", ir::Unary{UnaryKind::kSqrt}, {shifted});
  node.Emit(ir::Binary{ir::BinaryKind::kDiv}, {centred, deviation});
}

void ImportLrn(NodeImport& node) {
  Attributes& attributes = node.attributes();
  node.Emit(ir::Lrn{attributes.Int("size", 1), attributes.Float("alpha", 1e-4f), attributes.Float("beta", 0.75f),
                    attributes.Float("bias", 1.0f)},
            {node.Input(0)});
}

void ImportLpNormalization(NodeImport& node) {
  node.Emit(ir::LpNorm{node.attributes().Int("axis", -1), node.attributes().Int("p", 2)}, {node.Input(0)});
}

// Before opset 13 these operators flattened the input to two dimensions at `axis` and worked on the rows.
template <typename RowOp>
void EmitOverFlattenedRows(NodeImport& node, int64_t axis, RowOp add_row_op) {
  const ValueId x = node.Input(0);
  const ValueId shape = node.Add("shape", ir::ShapeOf{}, {x});
  const ValueId rows = node.Add("rows", ir::Flatten{axis}, {x});
  node.Emit(ir::Reshape{.allow_zero = true}, {add_row_op(rows), shape});
}

template <bool log>
void ImportSoftmax(NodeImport& node) {
  const bool old = node.opset() < 13;
  const int64_t axis = node.attributes().Int("axis", old ? 1 : -1);
  if (!old || axis == -1) {
    node.Emit(ir::Softmax{axis, log}, {node.Input(0)});
    return;
  }
  EmitOverFlattenedRows(node, axis, [&](ValueId rows) { return node.Add("softmax", ir::Softmax{-1, log}, {rows}); });
}

// One at the first maximum, zero elsewhere: OneHot(ArgMax(x)).
void ImportHardmax(NodeImport& node) {
  if (node.InputType(0).value_or(DataType::kF32) != DataType::kF32) node.Unsupported("element type other than FLOAT");
  const ValueId values = node.Constant("values", Tensor::From<float>({2}, {0.0f, 1.0f}));
  const auto inputs_of = [&](ValueId x, int64_t axis) -> std::vector<ValueId> {
    const ValueId index = node.Add("index", ir::ArgReduce{.max = true, .axis = axis, .keep_dims = false}, {x});
    const ValueId shape = node.Add("dims", ir::ShapeOf{}, {x});
    return {index, node.Add("depth", ir::Gather{0}, {shape, node.Int64("axis", axis)}), values};
  };
  const bool old = node.opset() < 13;
  const int64_t axis = node.attributes().Int("axis", old ? 1 : -1);
  if (!old || axis == -1) {
    node.Emit(ir::OneHot{axis}, inputs_of(node.Input(0), axis));
    return;
  }
  EmitOverFlattenedRows(node, axis,
                        [&](ValueId rows) { return node.Add("hardmax", ir::OneHot{-1}, inputs_of(rows, -1)); });
}

}  // namespace

void AddNormalizationOperators(OperatorTable& table) {
  table["BatchNormalization"] = ImportBatchNormalization;
  table["LayerNormalization"] = ImportLayerNormalization;
  table["InstanceNormalization"] = ImportInstanceNormalization;
  table["GroupNormalization"] = ImportGroupNormalization;
  table["MeanVarianceNormalization"] = ImportMeanVarianceNormalization;
  table["LRN"] = ImportLrn;
  table["LpNormalization"] = ImportLpNormalization;
  table["Softmax"] = ImportSoftmax<false>;
  table["LogSoftmax"] = ImportSoftmax<true>;
  table["Hardmax"] = ImportHardmax;
}

}  // namespace precis::onnx_import
