#ifndef PRECIS_ENGINE_QUANT_BIAS_CORRECTION_H_
#define PRECIS_ENGINE_QUANT_BIAS_CORRECTION_H_

#include <vector>

#include "engine/ir/graph.h"
#include "engine/quant/weights.h"

namespace precis::quant {

// What rounding the weights adds to the mean of each output channel: sum over input channels i of (sum of (Wq - W)[o,i,…]) * E[x_i]
// (M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, section 4.2, with E[x] measured).
// `weights` is [O, I/groups, kernel…] or [O, I] (transposed == false), or [I, O] (transposed == true); `mean` has one entry per input channel. Positions
// where a window reaches into padding are taken like the others.
std::vector<double> MeanShift(const Tensor& weights, const QuantizedWeights& quantized, bool transposed, int64_t groups,
                              const std::vector<double>& mean);

// Subtracts `shift` from the bias of heavy node `id` (input 2, made where it is absent). False, and nothing changes, when the bias is
// not constant or not one number per output channel.
bool SubtractFromBias(ir::Graph& graph, ir::NodeId id, const std::vector<double>& shift);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_BIAS_CORRECTION_H_
