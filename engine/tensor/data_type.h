#ifndef PRECIS_ENGINE_TENSOR_DATA_TYPE_H_
#define PRECIS_ENGINE_TENSOR_DATA_TYPE_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace precis {

// Element types of tensors. kBool is one byte, 0 or 1.
enum class DataType : uint8_t { kF32, kF64, kF16, kBF16, kS8, kU8, kS16, kU16, kS32, kU32, kS64, kU64, kBool };

// Bytes of one element.
size_t SizeOf(DataType type);

// Short lower-case name: "f32", "bf16", "u8", "bool"…
absl::string_view Name(DataType type);

// KServe v2 datatype name: "FP32", "BF16", "UINT8", "BOOL"… (Open Inference Protocol, tensor data types.)
absl::string_view KServeName(DataType type);
std::optional<DataType> DataTypeFromKServeName(absl::string_view name);

inline bool IsFloat(DataType t) { return t <= DataType::kBF16; }
inline bool IsInt8(DataType t) { return t == DataType::kS8 || t == DataType::kU8; }

}  // namespace precis

#endif  // PRECIS_ENGINE_TENSOR_DATA_TYPE_H_
