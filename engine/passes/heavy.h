#ifndef PRECIS_ENGINE_PASSES_HEAVY_H_
#define PRECIS_ENGINE_PASSES_HEAVY_H_

// Conv, ConvTranspose and MatMul seen alike: src in input 0, weights in input 1, bias in input 2; the output is
//   y[o] = (alpha *) sum over i of w[i,o] * x[i]  + bias[o]
// along its channel dimension. Scaling or shifting x or y by constants per channel can move into w and bias. Arithmetic is done in double and
// rounded once.

#include <vector>

#include "engine/ir/graph.h"

namespace precis::passes {

// Conv, ConvTranspose or MatMul.
bool IsHeavy(const ir::Graph& graph, ir::NodeId id);

// Dimension of the output (and of src) that channels run along: 1 for convolutions, the last for MatMul.
int ChannelAxis(const ir::Graph& graph, ir::NodeId id);

// Whether y may become scale[o] * y: constant f32 weights, bias constant or absent, no post-ops.
bool CanScaleOutput(const ir::Graph& graph, ir::NodeId id);
void ScaleOutput(ir::Graph& graph, ir::NodeId id, const std::vector<double>& scale);

// Whether y may become y + shift[o]: a bias per channel that is constant or absent, no post-ops. Weights need not be constant.
bool CanShiftOutput(const ir::Graph& graph, ir::NodeId id);
void ShiftOutput(ir::Graph& graph, ir::NodeId id, const std::vector<double>& shift);

// Whether the node may read x instead of scale[i] * x (+ shift[i]): src is input `slot` 0, weights are constant f32. A shift
// needs a convolution without padding (the padding is zero after the shift, not before), and a constant or absent bias.
bool CanScaleInput(const ir::Graph& graph, ir::NodeId id, bool shifts);
void ScaleInput(ir::Graph& graph, ir::NodeId id, const std::vector<double>& scale, const std::vector<double>& shift);

}  // namespace precis::passes

#endif  // PRECIS_ENGINE_PASSES_HEAVY_H_
