#ifndef PRECIS_ENGINE_KERNELS_MULTIVERSION_H_
#define PRECIS_ENGINE_KERNELS_MULTIVERSION_H_

// One loop compiled for several instruction sets; which one runs is decided once, when a kernel is made.

namespace precis::kernels {

enum class VectorIsa { kBaseline, kAvx2, kAvx512 };

// Best of the three that this CPU has.
VectorIsa CurrentVectorIsa();

// Clang vectorizes at -O2 and does not know `optimize`.
#if defined(__clang__)
#define PRECIS_VECTORIZED
#else
#define PRECIS_VECTORIZED [[gnu::optimize("O3")]]
#endif

// Body has `[[gnu::always_inline]] static void Run(Args…)`; Best(Body::Run) is that loop for this CPU.
template <typename Body, typename... Args>
struct Multiversion {
  PRECIS_VECTORIZED static void Baseline(Args... args) { Body::Run(args...); }
  PRECIS_VECTORIZED [[gnu::target("avx2,fma")]] static void Avx2(Args... args) { Body::Run(args...); }
  PRECIS_VECTORIZED [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl")]] static void Avx512(Args... args) {
    Body::Run(args...);
  }
};

#undef PRECIS_VECTORIZED

template <typename Body, typename... Args>
auto Best(void (*)(Args...)) -> void (*)(Args...) {
  using Versions = Multiversion<Body, Args...>;
  switch (CurrentVectorIsa()) {
    case VectorIsa::kAvx512: return &Versions::Avx512;
    case VectorIsa::kAvx2: return &Versions::Avx2;
    case VectorIsa::kBaseline: break;
  }
  return &Versions::Baseline;
}

}  // namespace precis::kernels

#endif  // PRECIS_ENGINE_KERNELS_MULTIVERSION_H_
