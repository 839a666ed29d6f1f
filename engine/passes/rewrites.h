#ifndef PRECIS_ENGINE_PASSES_REWRITES_H_
#define PRECIS_ENGINE_PASSES_REWRITES_H_

// The graph rewrites, one file each (fold_batch_norm.cc…), in the order that pipeline.cc runs them. Each takes a specialised graph, returns how
// many times it fired, keeps the graph verified, and fires zero times on its own result. Names of graph inputs and outputs are
// kept, and nothing is fused across a graph output. A fused node keeps the name of the heavy node; its output, that of the last node fused.

#include "engine/ir/graph.h"

namespace precis::passes {

// Quantize and Dequantize with constant parameters of u8/s8 tensors become Convert nodes; their integer values get QuantParams.
// Dequantized s32 constants (biases) become f32 constants.
int ConvertQdq(ir::Graph& graph);

// Removes what changes nothing (Identity, Cast to the same type, Add 0, whole Slice…), merges chains of Reshape and of Transpose, turns a
// Transpose that moves only dimensions of 1 into a Reshape, and lets elementwise nodes broadcast instead of reading an Expand.
int RemoveNoOps(ir::Graph& graph);

// Nodes that do the same to the same inputs become one.
int EliminateCommonSubexpressions(ir::Graph& graph);

// Arithmetic with one number gets one spelling: Add, Sub, Mul, Div, Neg -> Unary kLinear, chains of which merge; Max, Min -> kRelu, kClip;
// PRelu with one slope -> kLeakyRelu.
int SimplifyScalarArithmetic(ir::Graph& graph);

// Activations spelled out: GELU with Erf or Tanh, SiLU, HardSwish -> one Unary.
int RecognizeActivations(ir::Graph& graph);

// (x - mean) / sqrt(variance + epsilon) * gamma + beta over trailing dimensions -> LayerNorm.
int FuseLayerNorm(ir::Graph& graph);

// InstanceNorm between Reshapes to and from [N, groups, rest], scale and shift per channel -> GroupNorm.
int RecognizeGroupNorm(ir::Graph& graph);

// A mean over all spatial dimensions (ReduceMean, an AveragePool of the input's size) -> GlobalPool.
int RecognizeGlobalPool(ir::Graph& graph);

// BatchNorm with constant parameters moves into the Conv, ConvTranspose or MatMul before it, or becomes Mul and Add; these step in front of
// a Transpose where that leaves two of them side by side.
int FoldBatchNorm(ir::Graph& graph);

// Zero padding moves into the window of the Conv, average or max pool behind it.
int FoldPad(ir::Graph& graph);

// scale * y + shift per channel behind a heavy node moves into its weights and bias.
int FoldOutputScale(ir::Graph& graph);

// scale * x + shift per channel in front of heavy nodes, when they are all that reads it, moves into their weights and biases.
int FoldInputScale(ir::Graph& graph);

// A number that multiplies an operand or the result of a MatMul moves into alpha; an alpha moves on into the weights of the MatMul
// that computes an operand, where there is one behind reshapes and transposes (the query projection of attention).
int FoldMatMulScale(ir::Graph& graph);

// Transpose of the last two dimensions in front of a MatMul becomes transpose_a or transpose_b.
int FoldMatMulTranspose(ir::Graph& graph);

// An activation becomes a post-op of the heavy or arithmetic node that feeds it.
int FuseActivation(ir::Graph& graph);

// Add becomes a post-op of the heavy node that computes one operand (the later one, where both do): residual connections, attention masks. A
// Binary takes up the Add of a constant.
int FuseResidualAdd(ir::Graph& graph);

// MatMuls of one value with constant weights become one MatMul and a Split. Not in the list: whether it pays depends on the plan.
int MergeParallelMatMuls(ir::Graph& graph);

// Nodes between Convert nodes compute on the quantized values themselves.
int AbsorbQdq(ir::Graph& graph);

}  // namespace precis::passes

#endif  // PRECIS_ENGINE_PASSES_REWRITES_H_
