#ifndef PRECIS_ENGINE_IR_INFER_H_
#define PRECIS_ENGINE_IR_INFER_H_

#include "absl/status/status.h"
#include "engine/ir/graph.h"

namespace precis::ir {

// The shape rules: sets dtype and shape of the outputs of node `id`, whose inputs must all be typed, and resolves auto_pad,
// empty kernels/strides/dilations/pads and negative axes in its attributes, so that later stages read plain numbers. Inputs
// that a rule needs as numbers (Reshape's shape, Slice's starts…) must be constants.
// Errors: InvalidArgument for shapes or dtypes that the operator does not accept (`node "conv1": weights rank 3, want 4`);
// Unimplemented where the output shape depends on data that is not constant. An output larger than kMaxTensorBytes is
// InvalidArgument, so that a hostile file cannot make the server allocate without bound.
absl::Status InferNode(Graph& graph, NodeId id);

inline constexpr int64_t kMaxTensorBytes = int64_t{4} << 30;

}  // namespace precis::ir

#endif  // PRECIS_ENGINE_IR_INFER_H_
