#ifndef PRECIS_TESTS_ONNX_TEXT_MODEL_H_
#define PRECIS_TESTS_ONNX_TEXT_MODEL_H_

// Models in ONNX's text form (onnx/defs/parser.h), for tests.

#include <string>

#include "absl/status/statusor.h"
#include "engine/ir/graph.h"
#include "engine/onnx/importer.h"
#include "onnx/onnx_pb.h"

namespace precis::onnx_import {

// "agraph (float[2] x) => (float[2] y) { y = Relu(x) }" at the given opset; text that starts with '<' brings its own header, and
// may go on with functions. Aborts on text that does not parse.
onnx::ModelProto ParseModel(const std::string& text, int opset = 21);

absl::StatusOr<ir::Graph> Import(const onnx::ModelProto& model, const std::string& folder = "",
                                 const ImportLimits& limits = {});
absl::StatusOr<ir::Graph> ImportText(const std::string& text, int opset = 21);

// The import's graph as Graph::ToString prints it, or its error.
std::string ImportedText(const std::string& text, int opset = 21);

}  // namespace precis::onnx_import

#endif  // PRECIS_TESTS_ONNX_TEXT_MODEL_H_
