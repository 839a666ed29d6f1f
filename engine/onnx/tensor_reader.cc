// onnx.proto says which field holds which element type: raw_data for all (little-endian), else float_data, double_data,
// int64_data, uint64_data (also uint32), and int32_data for everything narrower, 16-bit floats as bit patterns.
#include "engine/onnx/tensor_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/onnx/quoting.h"

namespace precis::onnx_import {
namespace {

using onnx::TensorProto;

template <typename To, typename From>
absl::Status CopyTyped(const google::protobuf::RepeatedField<From>& values, Tensor* tensor) {
  To* out = static_cast<To*>(tensor->data());
  for (const From v : values) *out++ = static_cast<To>(v);
  return absl::OkStatus();
}

// Elements held by the typed field that belongs to `type`.
int64_t TypedCount(const TensorProto& proto, DataType type) {
  switch (type) {
    case DataType::kF32: return proto.float_data_size();
    case DataType::kF64: return proto.double_data_size();
    case DataType::kS64: return proto.int64_data_size();
    case DataType::kU32:
    case DataType::kU64: return proto.uint64_data_size();
    default: return proto.int32_data_size();
  }
}

absl::Status FillTyped(const TensorProto& proto, Tensor* tensor) {
  switch (tensor->dtype()) {
    case DataType::kF32: return CopyTyped<float>(proto.float_data(), tensor);
    case DataType::kF64: return CopyTyped<double>(proto.double_data(), tensor);
    case DataType::kS64: return CopyTyped<int64_t>(proto.int64_data(), tensor);
    case DataType::kU64: return CopyTyped<uint64_t>(proto.uint64_data(), tensor);
    case DataType::kU32: return CopyTyped<uint32_t>(proto.uint64_data(), tensor);
    case DataType::kS32: return CopyTyped<int32_t>(proto.int32_data(), tensor);
    case DataType::kS16: return CopyTyped<int16_t>(proto.int32_data(), tensor);
    case DataType::kS8: return CopyTyped<int8_t>(proto.int32_data(), tensor);
    case DataType::kU8: return CopyTyped<uint8_t>(proto.int32_data(), tensor);
    case DataType::kBool: return CopyTyped<bool>(proto.int32_data(), tensor);
    case DataType::kU16:
    case DataType::kF16:
    case DataType::kBF16: return CopyTyped<uint16_t>(proto.int32_data(), tensor);
  }
  return absl::InternalError("unknown element type");
}

// A byte other than 0 or 1 is no bool in C++.
void NormalizeBools(Tensor* tensor) {
  auto* bytes = static_cast<uint8_t*>(tensor->data());
  for (int64_t i = 0; i < tensor->num_elements(); ++i) bytes[i] = bytes[i] != 0;
}

}  // namespace

std::optional<DataType> DataTypeFromOnnx(int onnx_type) {
  switch (onnx_type) {
    case TensorProto::FLOAT: return DataType::kF32;
    case TensorProto::DOUBLE: return DataType::kF64;
    case TensorProto::FLOAT16: return DataType::kF16;
    case TensorProto::BFLOAT16: return DataType::kBF16;
    case TensorProto::INT8: return DataType::kS8;
    case TensorProto::UINT8: return DataType::kU8;
    case TensorProto::INT16: return DataType::kS16;
    case TensorProto::UINT16: return DataType::kU16;
    case TensorProto::INT32: return DataType::kS32;
    case TensorProto::UINT32: return DataType::kU32;
    case TensorProto::INT64: return DataType::kS64;
    case TensorProto::UINT64: return DataType::kU64;
    case TensorProto::BOOL: return DataType::kBool;
    default: return std::nullopt;
  }
}

std::string OnnxTypeName(int onnx_type) {
  return TensorProto::DataType_IsValid(onnx_type)
             ? TensorProto::DataType_Name(static_cast<TensorProto::DataType>(onnx_type))
             : absl::StrCat(onnx_type);
}

TensorReader::TensorReader(std::string folder, const ImportLimits& limits)
    : external_(std::move(folder), limits.max_file_bytes),
      max_tensor_bytes_(limits.max_tensor_bytes),
      remaining_bytes_(limits.max_weight_bytes) {}

absl::StatusOr<Tensor> TensorReader::Read(const TensorProto& proto) {
  const std::optional<DataType> type = DataTypeFromOnnx(proto.data_type());
  if (!type.has_value()) {
    if (proto.data_type() == TensorProto::UNDEFINED || !TensorProto::DataType_IsValid(proto.data_type())) {
      return absl::InvalidArgumentError(
          absl::StrCat("element type ", OnnxTypeName(proto.data_type()), " means nothing"));
    }
    return absl::UnimplementedError(absl::StrCat("element type ", OnnxTypeName(proto.data_type())));
  }
  if (proto.has_segment()) return absl::UnimplementedError("data in segments");
  if (proto.dims_size() > kMaxRank)
    return absl::InvalidArgumentError(absl::StrCat("rank ", proto.dims_size(), ", want at most ", kMaxRank));
  const Shape shape(proto.dims().begin(), proto.dims().end());
  const int64_t element_bytes = static_cast<int64_t>(SizeOf(*type));
  const int64_t count = CheckedNumElements(shape, max_tensor_bytes_ / element_bytes);
  if (count < 0 || count * element_bytes > remaining_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat("dims ", ShapeToString(shape), " of ", Name(*type),
                                                   ": negative, or over ", "the limit of ",
                                                   std::min(max_tensor_bytes_, remaining_bytes_), " bytes"));
  }
  const bool external = proto.data_location() == TensorProto::EXTERNAL;
  if (!external) {
    const int64_t held =
        proto.has_raw_data() ? static_cast<int64_t>(proto.raw_data().size()) : TypedCount(proto, *type);
    const int64_t wanted = proto.has_raw_data() ? count * element_bytes : count;
    if (held != wanted) {
      return absl::InvalidArgumentError(absl::StrCat("dims ", ShapeToString(shape), " of ", Name(*type), " want ",
                                                     wanted, proto.has_raw_data() ? " bytes" : " elements",
                                                     ", the file has ", held));
    }
  }
  remaining_bytes_ -= count * element_bytes;
  Tensor tensor(*type, shape);
  if (external) {
    PRECIS_RETURN_IF_ERROR(ReadExternal(proto, &tensor));
  } else if (!proto.has_raw_data()) {
    PRECIS_RETURN_IF_ERROR(FillTyped(proto, &tensor));
  } else if (count != 0) {
    std::memcpy(tensor.data(), proto.raw_data().data(), proto.raw_data().size());
  }
  if (*type == DataType::kBool && (external || proto.has_raw_data())) NormalizeBools(&tensor);
  return tensor;
}

absl::Status TensorReader::ReadExternal(const TensorProto& proto, Tensor* tensor) {
  std::string location;
  int64_t offset = 0;
  const int64_t size = static_cast<int64_t>(tensor->size_bytes());
  int64_t length = size;
  for (const auto& entry : proto.external_data()) {
    bool good = true;
    if (entry.key() == "location") {
      location = entry.value();
    } else if (entry.key() == "offset") {
      good = absl::SimpleAtoi(entry.value(), &offset);
    } else if (entry.key() == "length") {
      good = absl::SimpleAtoi(entry.value(), &length);
    }
    if (!good)
      return absl::InvalidArgumentError(absl::StrCat("external data: ", entry.key(), " is ", Quoted(entry.value())));
  }
  if (length != size) {
    return absl::InvalidArgumentError(
        absl::StrCat("external data ", Quoted(location), ": length ", length, ", dims want ", size));
  }
  return external_.Read(location, offset, size, tensor->data());
}

}  // namespace precis::onnx_import
