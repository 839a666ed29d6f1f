#ifndef PRECIS_ENGINE_ONNX_ONNX_SCHEMA_H_
#define PRECIS_ENGINE_ONNX_ONNX_SCHEMA_H_

// libonnx's operator schemas. The one place where its exceptions are caught.

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "onnx/onnx_pb.h"

namespace precis::onnx_import {

// Checks a node of the default domain against its schema: number of inputs and outputs, attributes known, of the right type and
// complete. InvalidArgument says what is wrong, without the node's name. `folder` is where tensor attributes may have their data.
absl::Status CheckNode(const onnx::NodeProto& node, int ir_version, int opset, const std::string& folder);

// The operator's definition in terms of others, with the defaults of its attributes, where ONNX has one that does not depend on types.
std::optional<onnx::FunctionProto> FunctionBody(const std::string& op_type, int opset);

}  // namespace precis::onnx_import

#endif  // PRECIS_ENGINE_ONNX_ONNX_SCHEMA_H_
