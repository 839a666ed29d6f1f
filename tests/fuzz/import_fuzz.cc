// The importer on arbitrary bytes: it returns a graph that verifies, or an error; it neither crashes nor takes memory that the bytes do
// not justify.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "engine/onnx/importer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  precis::onnx_import::ImportLimits limits;
  limits.max_tensor_bytes = int64_t{1} << 20;
  limits.max_weight_bytes = int64_t{16} << 20;
  limits.max_nodes = 10'000;
  const auto graph = precis::onnx_import::ImportBytes({reinterpret_cast<const char*>(data), size}, "", limits);
  if (!graph.ok()) return 0;
  if (const absl::Status status = graph->Verify(); !status.ok()) {
    std::fprintf(stderr, "imported, but: %s\n", status.ToString().c_str());
    std::abort();
  }
  precis::onnx_import::Describe(*graph);
  return 0;
}
