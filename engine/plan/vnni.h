#ifndef PRECIS_ENGINE_PLAN_VNNI_H_
#define PRECIS_ENGINE_PLAN_VNNI_H_

// What integer kernels of our own for AVX512-VNNI are made of.

#include <immintrin.h>

#define PRECIS_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define PRECIS_VNNI_INLINE PRECIS_VNNI __attribute__((always_inline)) inline

namespace precis::plan {

// _mm512_dpbusd_epi32 of u8 and s8 levels, for which GCC 14 holds every sum of a loop in two registers, and spills.
PRECIS_VNNI_INLINE void AddProduct(__m512i& sum, const __m512i& source, const __m512i& weights) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(source), "v"(weights));
}

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_VNNI_H_
