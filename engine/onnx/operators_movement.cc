// Shapes, indexing, data movement and constants.
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/onnx/operators.h"

namespace precis::onnx_import {
namespace {

using ir::ValueId;

// An operator without attributes: its inputs, as they are; the first `required` of them needed.
template <typename Op, size_t required, size_t all = required>
void ImportPlain(NodeImport& node) {
  std::vector<ValueId> inputs = node.Inputs(required);
  for (size_t i = required; i < all; ++i) inputs.push_back(node.Optional(i));
  node.Emit(Op{}, std::move(inputs));
}

// A parameter that was an attribute before `since_opset` and is an input now; kNoValue when absent.
ValueId AttributeOrInput(NodeImport& node, absl::string_view attribute, size_t input, int since_opset) {
  if (node.opset() >= since_opset) return node.Optional(input);
  return node.attributes().Has(attribute) ? node.Int64s(attribute, node.attributes().Ints(attribute)) : ir::kNoValue;
}

void ImportDropout(NodeImport& node) {
  if (const Tensor* training = node.ConstantInput(2); node.HasInput(2)) {
    const Tensor* ratio = node.ConstantInput(1);
    const bool off = training != nullptr && training->num_elements() == 1 && ToInt64(training->view())[0] == 0;
    const bool keeps_all = ratio != nullptr && ratio->num_elements() == 1 && ToFloat(ratio->view())[0] == 0.0f;
    if (!off && !keeps_all) node.Unsupported("training_mode");
  }
  node.Emit(ir::Identity{}, {node.Input(0)});
  if (!node.WantsOutput(1) || node.opset() < 10) return;
  const ValueId shape = node.Add("shape", ir::ShapeOf{}, {node.Input(0)});
  node.Emit(ir::ConstantOfShape{{std::byte{1}}, DataType::kBool}, {shape}, 1);
}

void ImportReshape(NodeImport& node) {
  node.Emit(ir::Reshape{.allow_zero = node.attributes().Bool("allowzero", false)}, node.Inputs(2));
}

void ImportFlatten(NodeImport& node) { node.Emit(ir::Flatten{node.attributes().Int("axis", 1)}, {node.Input(0)}); }

void ImportSqueeze(NodeImport& node) {
  node.Emit(ir::Squeeze{}, {node.Input(0), AttributeOrInput(node, "axes", 1, 13)});
}

void ImportUnsqueeze(NodeImport& node) {
  const ValueId axes = AttributeOrInput(node, "axes", 1, 13);
  if (axes == ir::kNoValue) node.Fail("axes are missing");
  node.Emit(ir::Unsqueeze{}, {node.Input(0), axes});
}

void ImportTranspose(NodeImport& node) { node.Emit(ir::Transpose{node.attributes().Ints("perm")}, {node.Input(0)}); }

void ImportConcat(NodeImport& node) { node.Emit(ir::Concat{node.attributes().Int("axis", 0)}, node.AllInputs()); }

void ImportSplit(NodeImport& node) {
  const ir::Split op{node.attributes().Int("axis", 0), static_cast<int64_t>(node.num_outputs())};
  const int64_t declared = node.attributes().Int("num_outputs", op.num_outputs);
  if (declared != op.num_outputs)
    node.Fail(absl::StrCat("num_outputs is ", declared, ", the node has ", op.num_outputs));
  node.EmitAll(op, {node.Input(0), AttributeOrInput(node, "split", 1, 13)});
}

void ImportSlice(NodeImport& node) {
  const ValueId starts = AttributeOrInput(node, "starts", 1, 10);
  const ValueId ends = AttributeOrInput(node, "ends", 2, 10);
  if (starts == ir::kNoValue || ends == ir::kNoValue) node.Fail("starts or ends are missing");
  node.Emit(ir::Slice{}, {node.Input(0), starts, ends, AttributeOrInput(node, "axes", 3, 10), node.Optional(4)});
}

template <typename Op>
void ImportWithAxis(NodeImport& node) {
  node.Emit(Op{.axis = node.attributes().Int("axis", 0)}, node.Inputs(2));
}

void ImportGatherNd(NodeImport& node) {
  node.Emit(ir::GatherNd{node.attributes().Int("batch_dims", 0)}, node.Inputs(2));
}

ir::ScatterReduction ReadReduction(NodeImport& node) {
  const std::string name = node.attributes().String("reduction", "none");
  if (name == "add") return ir::ScatterReduction::kAdd;
  if (name == "mul") return ir::ScatterReduction::kMul;
  if (name == "min") return ir::ScatterReduction::kMin;
  if (name == "max") return ir::ScatterReduction::kMax;
  if (name != "none") node.FailAttribute("reduction", name);
  return ir::ScatterReduction::kNone;
}

void ImportScatterElements(NodeImport& node) {
  node.Emit(ir::ScatterElements{node.attributes().Int("axis", 0), ReadReduction(node)}, node.Inputs(3));
}

void ImportScatterNd(NodeImport& node) { node.Emit(ir::ScatterNd{ReadReduction(node)}, node.Inputs(3)); }

void ImportPad(NodeImport& node) {
  const std::string mode = node.attributes().String("mode", "constant");
  ir::Pad op;
  if (mode == "reflect") {
    op.mode = ir::PadMode::kReflect;
  } else if (mode == "edge") {
    op.mode = ir::PadMode::kEdge;
  } else if (mode == "wrap") {
    op.mode = ir::PadMode::kWrap;
  } else if (mode != "constant") {
    node.FailAttribute("mode", mode);
  }
  const ValueId pads = AttributeOrInput(node, "pads", 1, 11);
  ValueId value = node.Optional(2);
  if (node.opset() < 11) {
    // The old operator is for floats only; of which width shows once types are known, and only zero suits all of them.
    const float fill = node.attributes().Float("value", 0.0f);
    value = fill == 0.0f ? ir::kNoValue : node.Constant("value", Tensor::From<float>({}, {fill}));
  }
  if (pads == ir::kNoValue) node.Fail("pads are missing");
  node.Emit(op, {node.Input(0), pads, value, node.Optional(3)});
}

void ImportShape(NodeImport& node) {
  node.Emit(ir::ShapeOf{node.attributes().Int("start", 0), node.attributes().Int("end", INT64_MAX)}, {node.Input(0)});
}

void ImportConstantOfShape(NodeImport& node) {
  Tensor value = Tensor::From<float>({1}, {0.0f});
  if (const onnx::TensorProto* proto = node.attributes().Tensor("value")) value = node.Read(*proto);
  if (value.num_elements() != 1) {
    node.Fail(absl::StrCat("attribute \"value\" has ", value.num_elements(), " elements, want 1"));
    return;
  }
  ir::ConstantOfShape op{.value = std::vector<std::byte>(value.size_bytes()), .dtype = value.dtype()};
  std::memcpy(op.value.data(), value.data(), op.value.size());
  node.Emit(std::move(op), {node.Input(0)});
}

void ImportConstant(NodeImport& node) {
  Attributes& attributes = node.attributes();
  if (const onnx::TensorProto* proto = attributes.Tensor("value")) {
    node.EmitConstant(node.Read(*proto));
  } else if (attributes.Has("value_float")) {
    node.EmitConstant(Tensor::From<float>({}, {attributes.Float("value_float", 0.0f)}));
  } else if (attributes.Has("value_floats")) {
    const std::vector<float> values = attributes.Floats("value_floats");
    node.EmitConstant(Tensor::From<float>({static_cast<int64_t>(values.size())}, values));
  } else if (attributes.Has("value_int")) {
    node.EmitConstant(Tensor::From<int64_t>({}, {attributes.Int("value_int", 0)}));
  } else if (attributes.Has("value_ints")) {
    const ir::Ints values = attributes.Ints("value_ints");
    node.EmitConstant(Tensor::From<int64_t>({static_cast<int64_t>(values.size())}, values));
  } else {
    node.Unsupported("string or sparse value, or none");
  }
}

void ImportDepthToSpace(NodeImport& node) {
  const std::string mode = node.attributes().String("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") node.FailAttribute("mode", mode);
  node.Emit(ir::DepthToSpace{node.attributes().Int("blocksize", 0), mode == "CRD"}, {node.Input(0)});
}

void ImportSpaceToDepth(NodeImport& node) {
  node.Emit(ir::SpaceToDepth{node.attributes().Int("blocksize", 0)}, {node.Input(0)});
}

void ImportTrilu(NodeImport& node) {
  node.Emit(ir::Trilu{node.attributes().Bool("upper", true)}, {node.Input(0), node.Optional(1)});
}

void ImportOneHot(NodeImport& node) { node.Emit(ir::OneHot{node.attributes().Int("axis", -1)}, node.Inputs(3)); }

// What the condition keeps, by index: the result's shape is known where the condition is constant.
void ImportCompress(NodeImport& node) {
  const ValueId kept = node.Add("kept", ir::NonZero{}, {node.Input(1)});
  const ValueId flat = node.Int64s("flat", {-1});
  const ValueId indices = node.Add("indices", ir::Reshape{}, {kept, flat});
  const bool has_axis = node.attributes().Has("axis");
  const ValueId x = has_axis ? node.Input(0) : node.Add("flattened", ir::Reshape{}, {node.Input(0), flat});
  node.Emit(ir::Gather{has_axis ? node.attributes().Int("axis", 0) : 0}, {x, indices});
}

// Element t of a sequence of n is element n - 1 - t, those from n on stay: one gather along time.
void ImportReverseSequence(NodeImport& node) {
  const int64_t time = node.attributes().Int("time_axis", 0), batch = node.attributes().Int("batch_axis", 1);
  if (time + batch != 1 || time * batch != 0)
    return node.Fail(absl::StrCat("time_axis ", time, " and batch_axis ", batch, ", want 0 and 1 in either order"));
  const ValueId x = node.Input(0);
  const ValueId shape = node.Add("shape", ir::ShapeOf{}, {x});
  const ValueId steps = node.Add("steps", ir::Gather{0}, {shape, node.Int64("time", time)});
  const ValueId range = node.Add("range", ir::Range{}, {node.Int64("zero", 0), steps, node.Int64("one", 1)});
  const ValueId at = node.Add("at", ir::Unsqueeze{}, {range, node.Int64s("batch", {batch})});
  const ValueId length = node.Add("length", ir::Unsqueeze{}, {node.Input(1), node.Int64s("time_dim", {time})});
  const ValueId last = node.Add("last", ir::Binary{ir::BinaryKind::kSub}, {length, node.Int64("back", 1)});
  const ValueId mirrored = node.Add("mirrored", ir::Binary{ir::BinaryKind::kSub}, {last, at});
  const ValueId inside = node.Add("inside", ir::Binary{ir::BinaryKind::kLess}, {at, length});
  const ValueId from = node.Add("from", ir::Where{}, {inside, mirrored, at});  // of rank 2
  const ValueId tail = node.Add("tail", ir::ShapeOf{2}, {x});
  const int64_t one = 1;
  const auto* one_bytes = reinterpret_cast<const std::byte*>(&one);
  const ValueId ones =
      node.Add("ones", ir::ConstantOfShape{std::vector<std::byte>(one_bytes, one_bytes + sizeof(one)), DataType::kS64},
               {node.Add("tail_rank", ir::ShapeOf{}, {tail})});
  const ValueId padded = node.Add("padded", ir::Concat{0}, {node.Add("head", ir::ShapeOf{0, 2}, {x}), ones});
  const ValueId column = node.Add("column", ir::Reshape{.allow_zero = true}, {from, padded});
  node.Emit(ir::GatherElements{time}, {x, node.Add("indices", ir::Expand{}, {column, shape})});
}

void ImportEyeLike(NodeImport& node) {
  std::optional<DataType> type = node.InputType(0);
  if (node.attributes().Has("dtype")) type = DataTypeFromOnnx(static_cast<int>(node.attributes().Int("dtype", 0)));
  if (!type.has_value()) node.Unsupported("dtype is unknown");
  node.Emit(ir::EyeLike{node.attributes().Int("k", 0), type.value_or(DataType::kF32)}, {node.Input(0)});
}

}  // namespace

void AddMovementOperators(OperatorTable& table) {
  table["Identity"] = ImportPlain<ir::Identity, 1>;
  table["Dropout"] = ImportDropout;
  table["Reshape"] = ImportReshape;
  table["Flatten"] = ImportFlatten;
  table["Squeeze"] = ImportSqueeze;
  table["Unsqueeze"] = ImportUnsqueeze;
  table["Transpose"] = ImportTranspose;
  table["Concat"] = ImportConcat;
  table["Split"] = ImportSplit;
  table["Slice"] = ImportSlice;
  table["Gather"] = ImportWithAxis<ir::Gather>;
  table["GatherElements"] = ImportWithAxis<ir::GatherElements>;
  table["GatherND"] = ImportGatherNd;
  table["Scatter"] = ImportScatterElements;
  table["ScatterElements"] = ImportScatterElements;
  table["ScatterND"] = ImportScatterNd;
  table["Expand"] = ImportPlain<ir::Expand, 2>;
  table["Tile"] = ImportPlain<ir::Tile, 2>;
  table["Pad"] = ImportPad;
  table["Shape"] = ImportShape;
  table["Size"] = ImportPlain<ir::SizeOf, 1>;
  table["Range"] = ImportPlain<ir::Range, 3>;
  table["ConstantOfShape"] = ImportConstantOfShape;
  table["Constant"] = ImportConstant;
  table["DepthToSpace"] = ImportDepthToSpace;
  table["SpaceToDepth"] = ImportSpaceToDepth;
  table["Trilu"] = ImportTrilu;
  table["OneHot"] = ImportOneHot;
  table["EyeLike"] = ImportEyeLike;
  table["NonZero"] = ImportPlain<ir::NonZero, 1>;
  table["Compress"] = ImportCompress;
  table["ReverseSequence"] = ImportReverseSequence;
}

}  // namespace precis::onnx_import
