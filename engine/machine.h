#ifndef PRECIS_ENGINE_MACHINE_H_
#define PRECIS_ENGINE_MACHINE_H_

#include <string>

namespace precis {

// What measured times depend on besides the network: the processor's name as the kernel gives it, oneDNN's effective instruction set and its
// version. "AMD EPYC 9B14; AVX512_CORE_BF16; oneDNN 3.7.2".
std::string MachineName();

}  // namespace precis

#endif  // PRECIS_ENGINE_MACHINE_H_
