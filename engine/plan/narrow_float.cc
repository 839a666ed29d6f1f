// Rounding and widening loops. binary16 uses the F16C instructions where the CPU has them (every AVX2 one); bfloat16 is integer
// arithmetic that the compiler vectorises.
#include "engine/plan/narrow_float.h"

#include <immintrin.h>

#include <algorithm>

#include "engine/base/float16.h"
#include "engine/plan/per_isa.h"

namespace precis::plan {
namespace {

bool HasF16c() { return __builtin_cpu_supports("f16c") && __builtin_cpu_supports("avx"); }

__attribute__((target("avx,f16c"))) void RoundF16Fast(const float* src, float* dst, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(half));
  }
  for (; i < count; ++i) dst[i] = F16ToF32(F32ToF16(src[i]));
}

__attribute__((target("avx,f16c"))) void WidenF16Fast(const uint16_t* src, float* dst, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(src + i))));
  }
  for (; i < count; ++i) dst[i] = F16ToF32(src[i]);
}

__attribute__((target("avx,f16c"))) void NarrowF16Fast(const float* src, uint16_t* dst, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + i), half);
  }
  for (; i < count; ++i) dst[i] = F32ToF16(src[i]);
}

PRECIS_PER_ISA void NarrowBf16(const float* src, uint16_t* dst, int64_t count) {
  for (int64_t i = 0; i < count; ++i) dst[i] = F32ToBF16(src[i]);
}

PRECIS_PER_ISA void RoundBf16(const float* src, float* dst, int64_t count) {
  for (int64_t i = 0; i < count; ++i) dst[i] = BF16ToF32(F32ToBF16(src[i]));
}

PRECIS_PER_ISA void WidenBf16(const uint16_t* src, float* dst, int64_t count) {
  for (int64_t i = 0; i < count; ++i) dst[i] = BF16ToF32(src[i]);
}

void RoundF16(const float* src, float* dst, int64_t count) {
  if (HasF16c()) return RoundF16Fast(src, dst, count);
  for (int64_t i = 0; i < count; ++i) dst[i] = F16ToF32(F32ToF16(src[i]));
}

void NarrowF16(const float* src, uint16_t* dst, int64_t count) {
  if (HasF16c()) return NarrowF16Fast(src, dst, count);
  for (int64_t i = 0; i < count; ++i) dst[i] = F32ToF16(src[i]);
}

void WidenF16(const uint16_t* src, float* dst, int64_t count) {
  if (HasF16c()) return WidenF16Fast(src, dst, count);
  for (int64_t i = 0; i < count; ++i) dst[i] = F16ToF32(src[i]);
}

// Large loops are shared among the step's OpenMP team, as the primitives around them are.
constexpr int64_t kBlock = 1 << 14;

template <typename Src, typename Dst>
void InBlocks(void (*loop)(const Src*, Dst*, int64_t), const Src* src, Dst* dst, int64_t count) {
  const int64_t blocks = (count + kBlock - 1) / kBlock;
#pragma omp parallel for if (blocks > 1) schedule(static)
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t begin = b * kBlock;
    loop(src + begin, dst + begin, std::min(kBlock, count - begin));
  }
}

}  // namespace

kernels::Kernel RoundKernel(DataType type, int64_t count) {
  const auto loop = type == DataType::kF16 ? RoundF16 : RoundBf16;
  return [=](std::span<const TensorView> in, std::span<const kernels::MutableTensorView> out) {
    InBlocks<float, float>(loop, static_cast<const float*>(in[0].data), static_cast<float*>(out[0].data), count);
  };
}

kernels::Kernel WidenKernel(DataType type, int64_t count) {
  const auto loop = type == DataType::kF16 ? WidenF16 : WidenBf16;
  return [=](std::span<const TensorView> in, std::span<const kernels::MutableTensorView> out) {
    InBlocks<uint16_t, float>(loop, static_cast<const uint16_t*>(in[0].data), static_cast<float*>(out[0].data), count);
  };
}

kernels::Kernel NarrowKernel(DataType type, int64_t count) {
  return [=](std::span<const TensorView> in, std::span<const kernels::MutableTensorView> out) {
    Narrow(type, static_cast<const float*>(in[0].data), static_cast<uint16_t*>(out[0].data), count);
  };
}

void Narrow(DataType type, const float* src, uint16_t* dst, int64_t count) {
  InBlocks<float, uint16_t>(type == DataType::kF16 ? NarrowF16 : NarrowBf16, src, dst, count);
}

}  // namespace precis::plan
