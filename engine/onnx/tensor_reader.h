#ifndef PRECIS_ENGINE_ONNX_TENSOR_READER_H_
#define PRECIS_ENGINE_ONNX_TENSOR_READER_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "engine/onnx/importer.h"
#include "engine/onnx/model_file.h"
#include "engine/tensor/tensor.h"
#include "onnx/onnx_pb.h"

namespace precis::onnx_import {

inline constexpr int kMaxRank = 64;  // as numpy

// Element type of an onnx::TensorProto::DataType; nullopt for those that Precis has none for (strings, complex, 4 and 8 bit floats…).
std::optional<DataType> DataTypeFromOnnx(int onnx_type);
// ONNX's name of it, for messages: "FLOAT8E4M3FN", or the number.
std::string OnnxTypeName(int onnx_type);

// Turns TensorProtos into tensors: raw, typed or external data, every element checked to be there before memory is taken for it.
class TensorReader {
 public:
  // `folder` is where external data may lie; "" refuses it.
  TensorReader(std::string folder, const ImportLimits& limits);

  // InvalidArgument when dims and data disagree or a limit is passed; Unimplemented for an element type Precis has none for.
  // The caller names the tensor in the error.
  absl::StatusOr<Tensor> Read(const onnx::TensorProto& proto);

 private:
  absl::Status ReadExternal(const onnx::TensorProto& proto, Tensor* tensor);

  ExternalData external_;
  int64_t max_tensor_bytes_;
  int64_t remaining_bytes_;  // of ImportLimits::max_weight_bytes
};

}  // namespace precis::onnx_import

#endif  // PRECIS_ENGINE_ONNX_TENSOR_READER_H_
