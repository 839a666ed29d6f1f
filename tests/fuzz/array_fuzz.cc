// .npy and .npz readers on arbitrary bytes: an error, or tensors that are written and read back as the same bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/tensor/npy.h"

namespace {

void CheckRoundTrip(const precis::Tensor& tensor) {
  const std::string written = precis::FormatNpy(tensor.view());
  const absl::StatusOr<precis::Tensor> read = precis::ParseNpy(written);
  if (!read.ok() || precis::FormatNpy(read->view()) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto tensor = precis::ParseNpy(bytes); tensor.ok()) CheckRoundTrip(*tensor);
  if (const auto tensors = precis::ParseNpz(bytes); tensors.ok()) {
    for (const auto& [name, tensor] : *tensors) CheckRoundTrip(tensor);
  }
  return 0;
}
