#ifndef PRECIS_ENGINE_ONNX_IMPORTER_H_
#define PRECIS_ENGINE_ONNX_IMPORTER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/ir/graph.h"

namespace precis::onnx_import {

struct ImportLimits {
  int64_t max_file_bytes = int64_t{8} << 30;     // model and each external data file
  int64_t max_tensor_bytes = int64_t{4} << 30;   // one initializer, as declared by its dims
  int64_t max_weight_bytes = int64_t{16} << 30;  // all of them together: many may point at the same external bytes
  int max_nodes = 200'000;
  int max_graph_depth = 8;  // functions and branches within one another
};

// Reads an ONNX file (opsets 7 to 22 of the default domain; IR versions 3 to 10) into a symbolic graph.
// Weights may be raw, typed or external data (paths inside the model's folder only); FLOAT16, BFLOAT16 and DOUBLE weights keep their type
// as constants. Initializers listed as graph inputs are constants. Imports of unused domains are ignored.
// Errors: NotFound (no such file), InvalidArgument (not ONNX, truncated, cyclic, inconsistent, over a limit: says what and where),
// Unimplemented (lists every unsupported node at once: `unsupported: NonMaxSuppression "nms" (opset 11), Loop "loop_1"`).
absl::StatusOr<ir::Graph> ImportFile(const std::string& path, const ImportLimits& limits = {});

// The same from bytes in memory; `folder` is where external data may lie ("" refuses external data).
absl::StatusOr<ir::Graph> ImportBytes(absl::string_view bytes, const std::string& folder,
                                      const ImportLimits& limits = {});

// True when nodes of this type are imported natively. `domain` as in the file; "" and "ai.onnx" are the same.
bool IsSupportedOperator(absl::string_view domain, absl::string_view op_type);

// Reads a file that holds one TensorProto (the input_0.pb and output_0.pb of ONNX's test sets).
absl::StatusOr<Tensor> ReadTensorFile(const std::string& path, const ImportLimits& limits = {});

// For people: signature, constants and nodes of a graph, one per line.
std::string Describe(const ir::Graph& graph);

}  // namespace precis::onnx_import

#endif  // PRECIS_ENGINE_ONNX_IMPORTER_H_
