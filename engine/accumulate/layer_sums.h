#ifndef PRECIS_ENGINE_ACCUMULATE_LAYER_SUMS_H_
#define PRECIS_ENGINE_ACCUMULATE_LAYER_SUMS_H_

// A whole convolution or matrix product with emulated accumulators (ir::Node::accumulation): what a network would answer on hardware that sums so.

#include <cstdint>

#include "absl/status/statusor.h"
#include "engine/ir/graph.h"
#include "engine/kernels/kernel.h"

namespace precis::accumulate {

struct LayerSums {
  // Inputs: src and weights, row-major, f32 or (s16) the levels as they are; bias f32 or absent. Outputs: the result, f32 row-major, and
  // scratch_bytes of scratch. Runs on the calling thread's OpenMP team.
  kernels::Kernel kernel;
  int64_t scratch_bytes = 0;
};

// The sums of node `id` of a specialised graph, in its `accumulation`, for at most `threads` threads:
//
//   result = alpha * sum + bias, where the sum alone is rounded step by step; alpha and bias are applied in f32.
//
// s16: the terms are products of the levels themselves, zero points not taken away, and padding holds the source's zero point, as in
// hardware that folds zero points into the bias. What they add to the sum is taken off it exactly, then it is scaled in f32. Where weights
// have scales for chunks of their own (QuantParams::chunk), each chunk's sum is scaled before it is added to the others in f32.
// Every output is the same whatever the threads and whatever else is in the batch.
// Unimplemented: another operator, or operands whose types the accumulator does not sum.
absl::StatusOr<LayerSums> MakeLayerSums(const ir::Graph& graph, ir::NodeId id, int threads);

}  // namespace precis::accumulate

#endif  // PRECIS_ENGINE_ACCUMULATE_LAYER_SUMS_H_
