#ifndef PRECIS_ENGINE_QUANT_SIMULATE_H_
#define PRECIS_ENGINE_QUANT_SIMULATE_H_

#include "engine/ir/graph.h"

namespace precis::quant {

// Turns a graph with integer layers into its simulation: every layer computes in f32, on real numbers that 8-bit levels stand for. A value
// that was written as levels is computed in f32, quantized and dequantized at the same scale and zero point; constants become the real
// numbers of their levels. The levels keep their values' names. Graph inputs and outputs keep their types. Sums differ from the integer
// graph's by f32 rounding alone, so that its levels differ by one at most, where the exact number lies in the middle of two.
void Simulate(ir::Graph& graph);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_SIMULATE_H_
