// Asks the CPU, through the compiler's own tables, what it can do.
#include "engine/kernels/multiversion.h"

namespace precis::kernels {

VectorIsa CurrentVectorIsa() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return VectorIsa::kAvx512;
  }
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? VectorIsa::kAvx2 : VectorIsa::kBaseline;
}

}  // namespace precis::kernels
