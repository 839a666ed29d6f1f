#ifndef PRECIS_ENGINE_PLAN_NARROW_FLOAT_H_
#define PRECIS_ENGINE_PLAN_NARROW_FLOAT_H_

// 16-bit floats on CPUs without arithmetic for them: f32 arithmetic whose results are rounded at tensor boundaries, and weights held
// in 16 bits and widened right before use. Gives the numbers of 16-bit storage with f32 accumulation on every CPU.

#include <cstdint>

#include "engine/kernels/kernel.h"

namespace precis::plan {

// In place (or from inputs[0] to outputs[0]): rounds `count` f32 elements to the nearest value of `type` (kF16 or kBF16).
kernels::Kernel RoundKernel(DataType type, int64_t count);

// Widens `count` elements of `type` (kF16 or kBF16) at inputs[0] to f32 at outputs[0].
kernels::Kernel WidenKernel(DataType type, int64_t count);

// Narrows `count` f32 elements at inputs[0] to `type` (kF16 or kBF16) at outputs[0].
kernels::Kernel NarrowKernel(DataType type, int64_t count);

// The same now, at load.
void Narrow(DataType type, const float* src, uint16_t* dst, int64_t count);

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_NARROW_FLOAT_H_
