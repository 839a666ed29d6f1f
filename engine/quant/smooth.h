#ifndef PRECIS_ENGINE_QUANT_SMOOTH_H_
#define PRECIS_ENGINE_QUANT_SMOOTH_H_

// Channels ahead of matrix products. Behind a LayerNorm a few channels are many times wider than the rest, and one scale for all of them leaves the
// rest a handful of levels. x W = (x / s) (s W) for any s_j > 0 per channel: divided by s, channels come closer to each other, and the
// factor goes into the rows of W, whose scales per output channel have room for it (G. Xiao et al., 2022, SmoothQuant, equations 3 and 4).
//
// Only where an f32 value gets a copy of levels, as behind a LayerNorm, whose result the residual stream reads too: the division is then one
// multiplication in the step that writes the levels, and the f32 value stays what it is. Behind a GELU, within a product that writes levels, the
// same was tried and made one network better (MiniLM) and another worse (ViT, 3 dB).

#include <vector>

#include "engine/ir/graph.h"
#include "engine/quant/assign.h"
#include "engine/quant/policy.h"

namespace precis::quant {

// True when the value is f32 with a copy of levels of its own, and every reader of the copy is an integer product with constant weights of 8 bits. Only the
// default calibration method smooths: the others are to do what their name says.
bool IsSmoothable(const ir::Graph& graph, const Assignment& assignment, ir::ValueId value, const Policy& policy);

// s_j for each channel of a smoothable value, from its largest |x_j| and the weights of its readers.
std::vector<float> SmoothingDivisors(const ir::Graph& graph, const Assignment& assignment, ir::ValueId value,
                                     const std::vector<float>& channel_max);

// Multiplies the weights of the value's readers by s.
void SmoothWeights(ir::Graph& graph, const Assignment& assignment, ir::ValueId value,
                   const std::vector<float>& divisors);

// The constant [C] that divides by s.
ir::ValueId AddReciprocals(ir::Graph& graph, ir::ValueId value, const std::vector<float>& divisors);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_SMOOTH_H_
