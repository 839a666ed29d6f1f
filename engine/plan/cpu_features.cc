// The values of dnnl::cpu_isa are sets of features, one bit each: a CPU has a feature when all of its bits are set.
#include "engine/plan/cpu_features.h"

#include "absl/strings/str_cat.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace precis::plan {
namespace {

using Isa = dnnl::cpu_isa;

bool Has(Isa wanted) {
  const auto bits = static_cast<unsigned>(wanted);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}

}  // namespace

bool CpuHasAvx512() { return Has(Isa::avx512_core); }
bool CpuHasVnni() { return Has(Isa::avx512_core_vnni) || Has(Isa::avx2_vnni); }
bool CpuHasAvx512Vnni() { return Has(Isa::avx512_core_vnni); }
bool CpuHasAmx() { return Has(Isa::avx512_core_amx); }
bool CpuHasBf16() { return Has(Isa::avx512_core_bf16); }

std::string CpuIsaName() {
  switch (dnnl::get_effective_cpu_isa()) {
    case Isa::sse41: return "SSE41";
    case Isa::avx: return "AVX";
    case Isa::avx2: return "AVX2";
    case Isa::avx2_vnni: return "AVX2_VNNI";
    case Isa::avx2_vnni_2: return "AVX2_VNNI_2";
    case Isa::avx512_core: return "AVX512_CORE";
    case Isa::avx512_core_vnni: return "AVX512_CORE_VNNI";
    case Isa::avx512_core_bf16: return "AVX512_CORE_BF16";
    case Isa::avx512_core_fp16: return "AVX512_CORE_FP16";
    case Isa::avx512_core_amx: return "AVX512_CORE_AMX";
    case Isa::avx512_core_amx_fp16: return "AVX512_CORE_AMX_FP16";
    default: return "DEFAULT";
  }
}

std::string OneDnnVersion() {
  const dnnl_version_t* v = dnnl_version();
  return absl::StrCat(v->major, ".", v->minor, ".", v->patch);
}

}  // namespace precis::plan
