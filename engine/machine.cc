#include "engine/machine.h"

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/model.h"

namespace precis {

std::string MachineName() {
  std::string processor = "unknown processor";
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (!absl::StartsWith(line, "model name") || colon == std::string::npos) continue;
    processor = line.substr(colon + 2);
    break;
  }
  return absl::StrCat(processor, "; ", CpuIsaName(), "; oneDNN ", OneDnnVersion());
}

}  // namespace precis
