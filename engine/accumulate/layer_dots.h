#ifndef PRECIS_ENGINE_ACCUMULATE_LAYER_DOTS_H_
#define PRECIS_ENGINE_ACCUMULATE_LAYER_DOTS_H_

// The dot products behind the outputs of a convolution or matrix product: each output is one, of an input window (or row) with
// weights (or a column).

#include <random>

#include "absl/status/statusor.h"
#include "engine/accumulate/accumulator.h"
#include "engine/accumulate/terms.h"
#include "engine/ir/graph.h"

namespace precis::accumulate {

// Adds `count` dot products of node `id` to `dots`, those of outputs drawn at random. `graph` is specialised; src and weights are
// the node's first two inputs as f32 row-major tensors; terms in the padding are zero. Bias, alpha and fused work are left out.
// Unimplemented: another operator. Internal: `dots` holds products of another length.
absl::Status AddLayerDots(const ir::Graph& graph, ir::NodeId id, const TensorView& src, const TensorView& weights,
                          int64_t count, std::mt19937& random, Dots& dots);

}  // namespace precis::accumulate

#endif  // PRECIS_ENGINE_ACCUMULATE_LAYER_DOTS_H_
