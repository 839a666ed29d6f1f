#ifndef PRECIS_ENGINE_QUANT_NARROW_FLOAT_H_
#define PRECIS_ENGINE_QUANT_NARROW_FLOAT_H_

#include <functional>

#include "absl/status/status.h"
#include "engine/ir/graph.h"

namespace precis::quant {

// Rewrites an f32 graph to compute in `type` (bf16 or f16) wherever that suits: values between capable operators and the weights of
// convolutions and products become 16 bits wide, biases and normalisation parameters stay f32, Convert nodes stand at the borders.
// Of the convolutions and products only those that `is_narrow` names; what is not f32 any more is left alone.
absl::Status ApplyNarrowFloat(ir::Graph& graph, DataType type, const std::function<bool(ir::NodeId)>& is_narrow);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_NARROW_FLOAT_H_
