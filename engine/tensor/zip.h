#ifndef PRECIS_ENGINE_TENSOR_ZIP_H_
#define PRECIS_ENGINE_TENSOR_ZIP_H_

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace precis {

// Files of a zip archive by name, each stored or deflated, checked against its CRC. Directories are left out.
// InvalidArgument: not an archive, cut short, wrong CRC. Unimplemented: encryption, another compression, 4 GB and more.
// Memory grows with what the entries really hold, never with what they claim.
absl::StatusOr<std::map<std::string, std::string>> Unzip(std::string_view archive);

// An archive with every file stored as it is. Each file and the archive must be smaller than 4 GB.
std::string Zip(const std::map<std::string, std::string>& files);

}  // namespace precis

#endif  // PRECIS_ENGINE_TENSOR_ZIP_H_
