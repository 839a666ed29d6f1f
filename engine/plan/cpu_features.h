#ifndef PRECIS_ENGINE_PLAN_CPU_FEATURES_H_
#define PRECIS_ENGINE_PLAN_CPU_FEATURES_H_

#include <string>

namespace precis::plan {

// What oneDNN may use on this CPU, after ONEDNN_MAX_CPU_ISA.
bool CpuHasAvx512();
bool CpuHasVnni();  // int8 dot products that do not saturate in 16 bits
bool CpuHasAvx512Vnni();
bool CpuHasAmx();  // tiles, for 8-bit and bf16 products
bool CpuHasBf16();

// "AVX512_CORE_BF16"…
std::string CpuIsaName();

// "3.7.2"
std::string OneDnnVersion();

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_CPU_FEATURES_H_
