#ifndef PRECIS_ENGINE_PLAN_QUANTIZED_KERNELS_H_
#define PRECIS_ENGINE_PLAN_QUANTIZED_KERNELS_H_

// Integer kernels where oneDNN has none that takes zero points, or none that is fast: elementwise pairs, global average pooling and cuts along
// channels, on dense u8/s8 data.
// x_f32 = scale * (x_q - zero_point); results are rounded to nearest, ties to even, and saturated.

#include <cstdint>
#include <vector>

#include "engine/ir/graph.h"
#include "engine/kernels/kernel.h"

namespace precis::plan {

struct QuantizedOperand {
  DataType dtype = DataType::kU8;  // kU8 or kS8; outputs may be kF32, whose params are ignored
  ir::QuantParams params;          // per tensor
};

// y[i] = a[i] op b[i % period] over `count` elements. period == count: operands of one shape; period == C on channels-last data: one value per
// channel; 1: a scalar. `kind` is kAdd, kSub or kMul.
kernels::Kernel QuantizedBinary(ir::BinaryKind kind, const QuantizedOperand& a, const QuantizedOperand& b,
                                const QuantizedOperand& y, int64_t count, int64_t period);

// y[n][c] = mean over the `spatial` positions of x[n][spatial][c] (channels-last).
kernels::Kernel QuantizedGlobalAverage(const QuantizedOperand& x, const QuantizedOperand& y, int64_t batch,
                                       int64_t spatial, int64_t channels);

struct ChannelRange {
  int64_t first = 0, count = 0;
};

// Dense copies of ranges of the channels of [positions][channels] 8-bit elements: output i is [positions][parts[i].count].
kernels::Kernel SplitChannels(int64_t positions, int64_t channels, const std::vector<ChannelRange>& parts);

// What each cell of a convolution's result reads, as rows of a matrix: input i holds channels-last images of counts[i] channels,
// [N,H,W] of them as `images` says, output i is [N * out_h * out_w][window cells][counts[i]]. Cells in the padding hold `padding`. `out` is
// the result's [out_h, out_w].
kernels::Kernel WindowRows(const Shape& images, const ir::Window& window, const Shape& out, uint8_t padding,
                           const std::vector<int64_t>& counts);

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_QUANTIZED_KERNELS_H_
