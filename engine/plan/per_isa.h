#ifndef PRECIS_ENGINE_PLAN_PER_ISA_H_
#define PRECIS_ENGINE_PLAN_PER_ISA_H_

// Marks a loop that is compiled for each level of x86-64 and chosen by the dynamic linker. Clang (clang-tidy) vectorizes at -O2 and does not
// know `optimize`; ThreadSanitizer's runtime is not up yet when the linker asks the functions that choose.
#if defined(PRECIS_NO_IFUNC)
#define PRECIS_PER_ISA
#elif defined(__clang__)
#define PRECIS_PER_ISA __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PRECIS_PER_ISA __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#endif

#endif  // PRECIS_ENGINE_PLAN_PER_ISA_H_
