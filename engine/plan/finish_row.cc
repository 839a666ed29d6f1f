#include "engine/plan/finish_row.h"

#include <immintrin.h>

#include <algorithm>
#include <cmath>

namespace precis::plan {

Finish::Finish(const QuantizedOperand& y, bool relu) : type(y.dtype) {
  lowest = y.dtype == DataType::kF32 ? -INFINITY : y.dtype == DataType::kU8 ? 0.0f : -128.0f;
  highest = y.dtype == DataType::kF32 ? INFINITY : y.dtype == DataType::kU8 ? 255.0f : 127.0f;
  if (y.dtype != DataType::kF32) {
    scale = 1.0f / y.params.scale();
    zero = static_cast<float>(y.params.zero_point());
  }
  if (relu) lowest = std::max(lowest, zero);
}

__attribute__((target("avx512f,avx512bw,avx512vl"))) void FinishRow(const Finish& f, const float* totals,
                                                                    const float* bias, int64_t count, void* y,
                                                                    int64_t at) {
  constexpr int64_t kLanes = 16;
  for (int64_t i = 0; i < count; i += kLanes) {
    const auto mask = static_cast<__mmask16>((1u << std::min(kLanes, count - i)) - 1);
    __m512 x = _mm512_load_ps(totals + i);
    if (bias != nullptr) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask, bias + i));
    x = _mm512_fmadd_ps(x, _mm512_set1_ps(f.scale), _mm512_set1_ps(f.zero));
    // In this order a NaN stays one.
    x = _mm512_min_ps(_mm512_set1_ps(f.highest), _mm512_max_ps(_mm512_set1_ps(f.lowest), x));
    if (f.type == DataType::kF32) {
      _mm512_mask_storeu_ps(static_cast<float*>(y) + at + i, mask, x);
    } else {  // to nearest, ties to even: the default mode
      const __m128i levels = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x));
      _mm_mask_storeu_epi8(static_cast<uint8_t*>(y) + at + i, mask, levels);
    }
  }
}

}  // namespace precis::plan
