// Convolutions and products whose sums the policy asks to be rounded as other hardware rounds them: a kernel of ours into f32, what is fused
// behind it on that.
#include "absl/strings/str_cat.h"
#include "engine/accumulate/layer_sums.h"
#include "engine/base/status_macros.h"
#include "engine/plan/post_ops.h"

namespace precis::plan {

absl::Status LowerEmulated(Builder& b, ir::NodeId id) {
  const ir::Node& n = b.graph().node(id);
  PRECIS_ASSIGN_OR_RETURN(accumulate::LayerSums sums, accumulate::MakeLayerSums(b.graph(), id, b.options().threads));
  const bool levels = n.accumulation->accumulator == ir::Accumulator::kS16;
  const auto use = [&](ir::ValueId v) {
    return levels ? b.UseRowMajor(v) : b.UseFloat(v, RowMajor(b.value(v).shape, DataType::kF32));
  };
  const ir::ValueId bias = b.graph().Input(id, 2), output = n.outputs[0];
  const int src = use(n.inputs[0]), weights = use(n.inputs[1]);
  const int bias_memory = bias == ir::kNoValue ? -1 : b.UseFloat(bias, RowMajor(b.value(bias).shape, DataType::kF32));
  const int scratch = b.TemporaryBytes(sums.scratch_bytes);
  const Desc result = RowMajor(b.value(output).shape, DataType::kF32);
  const int target = b.Stored(output) == DataType::kF32 ? b.Define(output, result) : b.Temporary(result);
  b.EmitKernel(std::move(sums.kernel), {src, weights, bias_memory}, {target, scratch},
               absl::StrCat(kEmulated, ir::ToString(*n.accumulation)));
  return EmitRest(b, id, /*first=*/0, target);
}

}  // namespace precis::plan
