#ifndef PRECIS_ENGINE_PLAN_FINISH_ROW_H_
#define PRECIS_ENGINE_PLAN_FINISH_ROW_H_

// The end of an integer layer in kernels of our own: from f32 totals to the layer's result. Needs AVX512.

#include <cstdint>

#include "engine/plan/quantized_kernels.h"

namespace precis::plan {

// y = scale * x + zero, between two bounds; f32 as it is.
struct Finish {
  Finish(const QuantizedOperand& y, bool relu);

  DataType type;
  float scale = 1, zero = 0, lowest, highest;
};

// `count` neighbouring elements, from element `at` of `y` on. `totals` is 64-byte aligned and readable up to a multiple of 16; bias may be null.
void FinishRow(const Finish& f, const float* totals, const float* bias, int64_t count, void* y, int64_t at);

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_FINISH_ROW_H_
