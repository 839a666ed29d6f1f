#ifndef PRECIS_ENGINE_PLAN_QUANTIZED_KERNELS_H_
#define PRECIS_ENGINE_PLAN_QUANTIZED_KERNELS_H_

// Integer kernels where oneDNN has none that takes zero points, or none that is fast: elementwise pairs and global average pooling, on dense
// u8/s8 data.
// x_f32 = scale * (x_q - zero_point); results are rounded to nearest, ties to even, and saturated.

#include <cstdint>

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

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_QUANTIZED_KERNELS_H_
