#ifndef PRECIS_ENGINE_KERNELS_MULTIVERSION_H_
#define PRECIS_ENGINE_KERNELS_MULTIVERSION_H_

// One loop compiled for several instruction sets; which one runs is decided once, when a kernel is made.

namespace precis::kernels {

enum class VectorIsa { kBaseline, kAvx2, kAvx512 };

// Best of the three that this CPU has.
VectorIsa CurrentVectorIsa();

// Body has `[[gnu::always_inline]] static void Run(Args…)`; Best(Body::Run) is that loop for this CPU.
template <typename Body, typename... Args>
struct Multiversion {
  [[gnu::optimize("O3")]] static void Baseline(Args... args) { Body::Run(args...); }
  [[gnu::target("avx2,fma"), gnu::optimize("O3")]] static void Avx2(Args... args) { Body::Run(args...); }
  [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl"), gnu::optimize("O3")]] static void Avx512(Args... args) {
    Body::Run(args...);
  }
};

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
