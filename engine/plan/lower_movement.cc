// Data movement: transposes and reshapes as views, cuts and concatenation in the operands' layout, conversions between precisions.
#include <algorithm>

#include "engine/ir/shape_rules.h"
#include "engine/plan/channel_kernels.h"
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

namespace {

// Where the value's channels lie last in memory: the node's outputs as ranges of them. Unimplemented anywhere else.
absl::Status EmitChannelRanges(Builder& b, ir::NodeId id, const std::vector<ChannelRange>& ranges) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId src = n.inputs[0];
  const Shape& shape = b.value(src).shape;
  const DataType stored = b.Stored(src);
  if (DnnlType(stored) == dnnl::memory::data_type::undef || shape.size() < 3 || NumElements(shape) == 0 ||
      !DenseOrder(b.LayoutOf(src)))  // which oneDNN's descriptors cannot have above their largest rank
    return absl::UnimplementedError("");
  const Desc layout = ChannelsLast(shape, stored);
  if (b.LayoutOf(src) != layout || layout == RowMajor(shape, stored)) return absl::UnimplementedError("");
  for (ir::ValueId v : n.outputs) {
    if (b.Stored(v) != stored || b.value(v).quant != b.value(src).quant || NumElements(b.value(v).shape) == 0)
      return absl::UnimplementedError("");
  }
  const int whole = b.Use(src, layout);
  std::vector<int> parts;
  parts.reserve(n.outputs.size());
  for (ir::ValueId v : n.outputs) parts.push_back(b.Define(v, ChannelsLast(b.value(v).shape, stored)));
  b.EmitKernel(SplitChannels(NumElements(shape) / shape[1], shape[1], ranges, static_cast<int64_t>(SizeOf(stored))),
               {whole}, std::move(parts), "channels");
  return absl::OkStatus();
}

}  // namespace

absl::Status LowerSplit(Builder& b, ir::NodeId id, const ir::Split& op) {
  const ir::Node& n = b.graph().node(id);
  if (op.axis != 1) return absl::UnimplementedError("");
  std::vector<ChannelRange> ranges;
  int64_t first = 0;
  for (ir::ValueId v : n.outputs) {
    if (v == ir::kNoValue) return absl::UnimplementedError("");  // how much it leaves out is not known here
    ranges.push_back({first, b.value(v).shape[1]});
    first += ranges.back().count;
  }
  return EmitChannelRanges(b, id, ranges);
}

absl::Status LowerSlice(Builder& b, ir::NodeId id) {
  const ir::Node& n = b.graph().node(id);
  const Shape& shape = b.value(n.inputs[0]).shape;
  std::vector<std::vector<int64_t>> numbers;
  for (size_t i = 1; i < 5; ++i) {
    const ir::ValueId v = b.graph().Input(id, i);
    if (v != ir::kNoValue && !b.graph().IsConstant(v)) return absl::UnimplementedError("");
    numbers.push_back(v == ir::kNoValue ? std::vector<int64_t>() : ToInt64(b.value(v).constant->view()));
  }
  const auto ranges = ir::ResolveSlice(shape, numbers[0], numbers[1], numbers[2], numbers[3]);
  if (!ranges.ok() || shape.size() < 3 || (*ranges)[1].step != 1) return absl::UnimplementedError("");
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i != 1 && ((*ranges)[i].step != 1 || (*ranges)[i].size != shape[i])) return absl::UnimplementedError("");
  }
  return EmitChannelRanges(b, id, {{(*ranges)[1].start, (*ranges)[1].size}});
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
  const int64_t axis = op.axis < 0 ? op.axis + rank : op.axis;
  if (channels_last && axis == 1) {
    std::vector<int> sources;
    std::vector<int64_t> counts;
    for (const Argument& argument : arguments) {
      sources.push_back(argument.memory);
      counts.push_back(b.memory(argument.memory).shape[1]);
    }
    b.EmitKernel(JoinChannels(NumElements(shape) / shape[1], counts, static_cast<int64_t>(SizeOf(stored))),
                 std::move(sources), {b.Define(output, ChannelsLast(shape, stored))}, "channels");
    return absl::OkStatus();
  }
  const Desc dst = channels_last ? ChannelsLast(shape, stored) : RowMajor(shape, stored);
  Attributes a;
  const dnnl::concat::primitive_desc pd(b.engine(), dst, static_cast<int>(axis), descs, a.Finish());
  if (IsReference(pd)) return absl::UnimplementedError("");
  arguments.push_back({DNNL_ARG_DST, b.Define(output, dst)});
  b.EmitPrimitive(dnnl::concat(pd), pd, std::move(arguments), false);
  return absl::OkStatus();
}

}  // namespace precis::plan
