#ifndef PRECIS_ENGINE_QUANT_ACCUMULATORS_H_
#define PRECIS_ENGINE_QUANT_ACCUMULATORS_H_

#include "engine/ir/graph.h"
#include "engine/quant/policy.h"

namespace precis::quant {

// Marks the convolutions and matrix products of `graph`, whose precisions are set, that the policy wants summed in an emulated accumulator
// (ir::Node::accumulation). An accumulator fits a layer by what it multiplies: s16 8-bit levels, the others real numbers. Every layer's note
// says which it got, or why none.
void SetAccumulators(ir::Graph& graph, const Policy& policy);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_ACCUMULATORS_H_
