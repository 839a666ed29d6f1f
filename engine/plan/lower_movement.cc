// Data movement: transposes and reshapes as views, concatenation in the operands' layout, conversions between precisions.
#include <algorithm>

#include "engine/plan/post_ops.h"

namespace precis::plan {

absl::Status LowerTranspose(Builder& b, ir::NodeId id, const ir::Transpose& op) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId src = n.inputs[0], output = n.outputs[0];
  if (DnnlType(b.Stored(src)) == dnnl::memory::data_type::undef || op.perm.size() != b.value(src).shape.size() ||
      op.perm.empty() || b.value(src).quant != b.value(output).quant || NumElements(b.value(src).shape) == 0) {
    return absl::UnimplementedError("");
  }
  std::vector<int> axes(op.perm.size());  // oneDNN wants the new place of each old axis
  for (size_t j = 0; j < op.perm.size(); ++j) axes[static_cast<size_t>(op.perm[j])] = static_cast<int>(j);
  b.DefineView(output, src, b.LayoutOf(src).permute_axes(axes));
  return absl::OkStatus();
}

absl::Status LowerReshape(Builder& b, ir::NodeId id) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId src = n.inputs[0], output = n.outputs[0];
  const Shape& shape = b.value(output).shape;
  if (DnnlType(b.Stored(src)) != dnnl::memory::data_type::undef && NumElements(shape) > 0) {
    const Desc layout = b.LayoutOf(src);
    if (const Desc reshaped = layout.reshape(Dims(shape), /*allow_empty=*/true); !IsEmpty(reshaped)) {
      b.DefineView(output, src, reshaped);
      return absl::OkStatus();
    }
  }
  b.DefineView(output, src);
  return absl::OkStatus();
}

absl::Status LowerConvert(Builder& b, ir::NodeId id) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId src = n.inputs[0], output = n.outputs[0];
  if (DnnlType(b.Stored(src)) == dnnl::memory::data_type::undef ||
      DnnlType(b.Stored(output)) == dnnl::memory::data_type::undef || !HasUsableZeroPoints(b.value(src)) ||
      !HasUsableZeroPoints(b.value(output))) {
    return absl::UnimplementedError("");
  }
  b.DefineConverted(output, src);
  return absl::OkStatus();
}

absl::Status LowerConcat(Builder& b, ir::NodeId id, const ir::Concat& op) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId output = n.outputs[0];
  const DataType stored = b.Stored(output);
  const Shape& shape = b.value(output).shape;
  if (DnnlType(stored) == dnnl::memory::data_type::undef || shape.empty() || NumElements(shape) == 0)
    return absl::UnimplementedError("");
  std::vector<Desc> descs;
  std::vector<Argument> arguments;
  const bool channels_last = shape.size() >= 3 && DenseOrder(b.LayoutOf(n.inputs[0])) &&
                             b.LayoutOf(n.inputs[0]) == ChannelsLast(b.value(n.inputs[0]).shape, stored);
  for (ir::ValueId v : n.inputs) {
    if (b.Stored(v) != stored || b.value(v).quant != b.value(output).quant) return absl::UnimplementedError("");
    if (NumElements(b.value(v).shape) == 0) continue;
    const Desc layout = channels_last ? ChannelsLast(b.value(v).shape, stored) : RowMajor(b.value(v).shape, stored);
    arguments.push_back({DNNL_ARG_MULTIPLE_SRC + static_cast<int>(descs.size()), b.Use(v, layout)});
    descs.push_back(layout);
  }
  const auto rank = static_cast<int64_t>(shape.size());
  const Desc dst = channels_last ? ChannelsLast(shape, stored) : RowMajor(shape, stored);
  Attributes a;
  const dnnl::concat::primitive_desc pd(b.engine(), dst, static_cast<int>(op.axis < 0 ? op.axis + rank : op.axis),
                                        descs, a.Finish());
  if (IsReference(pd)) return absl::UnimplementedError("");
  arguments.push_back({DNNL_ARG_DST, b.Define(output, dst)});
  b.EmitPrimitive(dnnl::concat(pd), pd, std::move(arguments), false);
  return absl::OkStatus();
}

}  // namespace precis::plan
