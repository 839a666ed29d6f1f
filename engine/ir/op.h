#ifndef PRECIS_ENGINE_IR_OP_H_
#define PRECIS_ENGINE_IR_OP_H_

// The operators of the intermediate representation: one struct per operator with its static attributes; tensors come in as
// node inputs, listed in each comment (`?` marks one that may be absent, i.e. kNoValue or not given). Semantics are those of the
// newest ONNX opset (22) of the named operator unless said otherwise; older spellings are translated at import. Adding an
// operator to `Op` makes every std::visit over it (shape rule, kernel, lowering) fail to compile until it is handled.

#include <cstdint>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "engine/tensor/tensor.h"

namespace precis::ir {

using Ints = std::vector<int64_t>;

enum class AutoPad { kExplicit, kSameUpper, kSameLower, kValid };

// Window of a convolution or pooling over the spatial dimensions (all vectors have one entry per spatial dimension once shapes
// are known; empty vectors mean the default of 1, or 0 for pads). Specialisation resolves auto_pad into pads.
struct Window {
  Ints kernel;  // empty for convolutions until specialised: taken from the weights
  Ints strides;
  Ints dilations;
  Ints pads_begin;
  Ints pads_end;
  AutoPad auto_pad = AutoPad::kExplicit;
};

// --- Heavy operators ---
// src [N,C,spatial…], weights [O,C/groups,kernel…], bias? [O] -> [N,O,spatial'…].
struct Conv {
  Window window;
  int64_t groups = 1;
};
// src [N,C,spatial…], weights [C,O/groups,kernel…], bias? [O]. output_shape overrides pads where given.
struct ConvTranspose {
  Window window;
  int64_t groups = 1;
  Ints output_padding;
  Ints output_shape;
};
// a […,M,K], b […,K,N], bias? broadcastable to the output -> alpha * op(a) * op(b) + bias. transpose_x swaps the last two
// dimensions. Rank-1 operands as in numpy.matmul. ONNX MatMul and Gemm (beta is folded into bias at import, or multiplied).
struct MatMul {
  bool transpose_a = false;
  bool transpose_b = false;
  float alpha = 1.0f;
};

// --- Pooling, normalisation, softmax ---
enum class PoolKind { kMax, kAverage, kAverageIncludePad };
struct Pool {
  PoolKind kind = PoolKind::kMax;
  Window window;
  bool ceil_mode = false;
};
struct GlobalPool {
  PoolKind kind = PoolKind::kAverage;
};  // -> [N,C,1,…]
// src [N,C,…], scale, bias, mean, variance [C]: inference form.
struct BatchNorm {
  float epsilon = 1e-5f;
};
// src, scale?, bias? over the dimensions from `axis` on (negative counts from the end).
struct LayerNorm {
  int64_t axis = -1;
  float epsilon = 1e-5f;
};
// src [N,C,…], scale [C], bias [C]; statistics per (n,c).
struct InstanceNorm {
  float epsilon = 1e-5f;
};
// src [N,C,…], scale [C], bias [C]; statistics per (n,group) (opset 21).
struct GroupNorm {
  int64_t groups = 1;
  float epsilon = 1e-5f;
};
struct Lrn {
  int64_t size = 1;
  float alpha = 1e-4f;
  float beta = 0.75f;
  float bias = 1.0f;
};
struct LpNorm {
  int64_t axis = -1;
  int64_t p = 2;
};
// Softmax over one axis (opset 13 semantics; older ones are reshaped at import). log: LogSoftmax.
struct Softmax {
  int64_t axis = -1;
  bool log = false;
};

// --- Elementwise ---
enum class UnaryKind {
  kRelu,
  kLeakyRelu /*alpha*/,
  kElu /*alpha*/,
  kSelu /*alpha,beta=gamma*/,
  kCelu /*alpha*/,
  kThresholdedRelu /*alpha*/,
  kClip /*alpha=min,beta=max*/,
  kSigmoid,
  kHardSigmoid /*alpha*x+beta*/,
  kHardSwish,
  kSilu,
  kMish,
  kTanh,
  kGeluErf,
  kGeluTanh,
  kSoftplus,
  kSoftsign,
  kErf,
  kExp,
  kLog,
  kSqrt,
  kReciprocal,
  kAbs,
  kNeg,
  kSign,
  kFloor,
  kCeil,
  kRound /*ties to even*/,
  kSin,
  kCos,
  kTan,
  kAsin,
  kAcos,
  kAtan,
  kSinh,
  kCosh,
  kAsinh,
  kAcosh,
  kAtanh,
  kNot,
  kBitwiseNot,
  kIsNan,
  kIsInf /*alpha,beta: detect
  negative, positive*/
  ,
  kLinear /*alpha*x+beta*/,
  kShrink /*alpha=lambd,beta=bias*/,
};
struct Unary {
  UnaryKind kind = UnaryKind::kRelu;
  float alpha = 0.0f;
  float beta = 0.0f;
};
enum class BinaryKind {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kPow,
  kMin,
  kMax,
  kMod /*sign of divisor*/,
  kFmod /*sign of dividend*/,
  kPrelu /*b is the slope*/,
  kAnd,
  kOr,
  kXor,
  kEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kBitwiseAnd,
  kBitwiseOr,
  kBitwiseXor,
  kShiftLeft,
  kShiftRight,
};
// a, b with numpy broadcasting. Variadic ONNX ops (Sum, Mean, Min, Max) become chains.
struct Binary {
  BinaryKind kind = BinaryKind::kAdd;
};
// x, min?, max? as tensors; becomes Unary kClip once both are known.
struct Clip {};
struct Where {};  // condition, x, y
// condition (one bool), then, else -> one of the two: an output of ONNX's If. Specialisation takes a side where the condition is known,
// and makes it a Where else.
struct Choose {};
struct Cast {
  DataType to = DataType::kF32;
};
// x, scale, zero_point? -> zero_point's type (or output_type). axis applies when scale is one-dimensional; block_size 0 is none.
struct Quantize {
  int64_t axis = 1;
  int64_t block_size = 0;
  DataType output_type = DataType::kU8;
};
struct Dequantize {
  int64_t axis = 1;
  int64_t block_size = 0;
};
// x f32 -> y u8, scale f32 [], zero_point u8 [] (three outputs; opset 11).
struct DynamicQuantize {};
// x -> the same numbers as the output value's dtype and quantization say: f32 <-> u8/s8 affine, f32 <-> bf16/f16, requantization.
// Inserted by quant; ONNX Quantize/Dequantize with constant parameters become this too.
struct Convert {};

// --- Shape and data movement (any dtype) ---
struct Identity {};
// x, shape (s64) -> 0 copies the input's dimension unless allow_zero, -1 is inferred.
struct Reshape {
  bool allow_zero = false;
};
struct Flatten {
  int64_t axis = 1;
};
struct Squeeze {};    // x, axes?
struct Unsqueeze {};  // x, axes
struct Transpose {
  Ints perm;
};  // empty: reversed
struct Concat {
  int64_t axis = 0;
};
struct Split {
  int64_t axis = 0;
  int64_t num_outputs = 0;
};  // x, split? ; equal parts (last one smaller) where split is absent
struct Slice {};  // x, starts, ends, axes?, steps?
struct Gather {
  int64_t axis = 0;
};  // data, indices
struct GatherElements {
  int64_t axis = 0;
};
struct GatherNd {
  int64_t batch_dims = 0;
};
enum class ScatterReduction { kNone, kAdd, kMul, kMin, kMax };
struct ScatterElements {
  int64_t axis = 0;
  ScatterReduction reduction = ScatterReduction::kNone;
};  // data, indices, updates
struct ScatterNd {
  ScatterReduction reduction = ScatterReduction::kNone;
};
struct Expand {};  // x, shape
struct Tile {};    // x, repeats
enum class PadMode { kConstant, kReflect, kEdge, kWrap };
struct Pad {
  PadMode mode = PadMode::kConstant;
};  // x, pads, value?, axes?
struct ShapeOf {
  int64_t start = 0;
  int64_t end = INT64_MAX;
};
struct SizeOf {};
struct ConstantOfShape {
  std::vector<std::byte> value;
  DataType dtype = DataType::kF32;
};  // shape; value: one element's bytes
struct Range {};  // start, limit, delta
struct DepthToSpace {
  int64_t block = 1;
  bool crd = false;
};
struct SpaceToDepth {
  int64_t block = 1;
};
struct Trilu {
  bool upper = true;
};  // x, k?
struct CumSum {
  bool exclusive = false;
  bool reverse = false;
};  // x, axis
struct OneHot {
  int64_t axis = -1;
};  // indices, depth, values
struct EyeLike {
  int64_t k = 0;
  DataType dtype = DataType::kF32;
};
// x -> s64 [rank, count]: indices of what is not zero. x must be constant: the result's shape is its numbers' affair.
struct NonZero {};

// --- Reductions and search ---
enum class ReduceKind { kSum, kMean, kMax, kMin, kProd, kL1, kL2, kSumSquare, kLogSum, kLogSumExp };
// x, axes? ; no axes: all, or none when noop_with_empty_axes.
struct Reduce {
  ReduceKind kind = ReduceKind::kSum;
  bool keep_dims = true;
  bool noop_with_empty_axes = false;
};
struct ArgReduce {
  bool max = true;
  int64_t axis = 0;
  bool keep_dims = true;
  bool select_last = false;
};
struct TopK {
  int64_t axis = -1;
  bool largest = true;
  bool sorted = true;
};  // x, k -> values, indices

// --- Recurrent layers ---
enum class CellKind { kLstm, kGru, kRnn };
enum class Direction { kForward, kReverse, kBidirectional };
// x [S,B,I], weights [D,G*H,I], recurrence [D,G*H,H], bias? [D,G*H], lengths? s32 [B], initial_h? [D,B,H], initial_c? [D,B,H],
// peepholes? [D,3*H] -> y [S,D,B,H], last h [D,B,H], last c [D,B,H] (LSTM). S steps, D directions, G gates in oneDNN's order: LSTM input,
// forget, cell, output; GRU update, reset, hidden; one of an RNN. The bias is the sum of ONNX's two; with linear_before_reset it has a fourth part,
// the recurrence's own of the hidden gate. Peepholes as in ONNX: input, output, forget.
struct Recurrent {
  CellKind cell = CellKind::kLstm;
  Direction direction = Direction::kForward;
  int64_t hidden_size = 0;         // 0 until specialised: taken from the recurrence
  std::vector<Unary> activations;  // per direction: LSTM gates, cell, output; GRU gates, hidden; RNN one
  float clip = 0.0f;               // bound on the gates' sums; 0: none
  bool input_forget = false;       // LSTM: the forget gate is one minus the input gate
  bool linear_before_reset = false;
};

// --- Resampling ---
enum class ResizeMode { kNearest, kLinear, kCubic };
enum class ResizeCoordinates {
  kHalfPixel,
  kPytorchHalfPixel,
  kAlignCorners,
  kAsymmetric,
  kHalfPixelSymmetric,
  kTfCropAndResize
};
enum class ResizeNearest { kRoundPreferFloor, kRoundPreferCeil, kFloor, kCeil };
enum class ResizePolicy { kStretch, kNotLarger, kNotSmaller };
struct Resize {  // x, roi?, scales?, sizes?   (Upsample is translated)
  ResizeMode mode = ResizeMode::kNearest;
  ResizeCoordinates coordinates = ResizeCoordinates::kHalfPixel;
  ResizeNearest nearest = ResizeNearest::kRoundPreferFloor;
  ResizePolicy policy = ResizePolicy::kStretch;
  float cubic_coeff_a = -0.75f;
  float extrapolation_value = 0.0f;
  bool exclude_outside = false;
  bool antialias = false;
  Ints axes;  // empty: all
};
// x [N,C,spatial…], grid [N,spatial'…,K] of positions in [-1,1], the last dimension of x first -> [N,C,spatial'…]; K spatial dimensions.
enum class SamplePadding { kZeros, kBorder, kReflection };
struct GridSample {
  ResizeMode mode = ResizeMode::kLinear;
  SamplePadding padding = SamplePadding::kZeros;
  bool align_corners = false;
};
// x [N,C,H,W], rois [R,4] (x1, y1, x2, y2), batch_indices [R] -> [R,C,output_height,output_width].
struct RoiAlign {
  bool max = false;  // of the sampled points' corners, instead of their average
  bool half_pixel = true;
  int64_t output_height = 1;
  int64_t output_width = 1;
  int64_t sampling_ratio = 0;  // points per cell and dimension; 0: as many as the cell is wide
  float spatial_scale = 1.0f;
};

using Op = std::variant<Conv, ConvTranspose, MatMul, Pool, GlobalPool, BatchNorm, LayerNorm, InstanceNorm, GroupNorm,
                        Lrn, LpNorm, Softmax, Unary, Binary, Clip, Where, Choose, Cast, Quantize, Dequantize,
                        DynamicQuantize, Convert, Identity, Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Concat,
                        Split, Slice, Gather, GatherElements, GatherNd, ScatterElements, ScatterNd, Expand, Tile, Pad,
                        ShapeOf, SizeOf, ConstantOfShape, Range, DepthToSpace, SpaceToDepth, Trilu, CumSum, OneHot,
                        EyeLike, NonZero, Reduce, ArgReduce, TopK, Recurrent, Resize, GridSample, RoiAlign>;

// Name of the operator as shown to users: "Conv", "MatMul", "Relu" (of a Unary), "Add" (of a Binary)…
absl::string_view OpName(const Op& op);
absl::string_view OpName(UnaryKind kind);
absl::string_view OpName(BinaryKind kind);

// Work fused behind a heavy operator, applied to its f32 result in order.
struct PostOp {
  enum class Kind { kUnary, kBinary };
  Kind kind = Kind::kUnary;
  Unary unary;  // kUnary
  BinaryKind binary =
      BinaryKind::kAdd;  // kBinary: result = binary(result, inputs[input]); that input broadcasts to the result
  int input = -1;        // kBinary: index into Node::inputs
};

}  // namespace precis::ir

#endif  // PRECIS_ENGINE_IR_OP_H_
