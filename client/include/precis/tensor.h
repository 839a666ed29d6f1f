#ifndef PRECIS_TENSOR_H_
#define PRECIS_TENSOR_H_

// What travels to a model and back: a named, dense, row-major tensor. Stands alone: needs the standard library only.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace precis::client {

namespace internal {
template <typename T>
constexpr const char* DatatypeOf() {
  if constexpr (std::is_same_v<T, float>) return "FP32";
  if constexpr (std::is_same_v<T, double>) return "FP64";
  if constexpr (std::is_same_v<T, bool>) return "BOOL";
  if constexpr (std::is_same_v<T, int8_t>) return "INT8";
  if constexpr (std::is_same_v<T, uint8_t>) return "UINT8";
  if constexpr (std::is_same_v<T, int16_t>) return "INT16";
  if constexpr (std::is_same_v<T, uint16_t>) return "UINT16";
  if constexpr (std::is_same_v<T, int32_t>) return "INT32";
  if constexpr (std::is_same_v<T, uint32_t>) return "UINT32";
  if constexpr (std::is_same_v<T, int64_t>) return "INT64";
  if constexpr (std::is_same_v<T, uint64_t>) return "UINT64";
}
}  // namespace internal

// A plain value; as thread-safe as a std::string.
struct Tensor {
  std::string name;
  std::string datatype;  // Open Inference Protocol name: FP32 FP64 FP16 BF16 INT8..INT64 UINT8..UINT64 BOOL
  std::vector<int64_t> shape;
  std::string data;  // elements as little-endian bytes, last dimension fastest

  // Copies `values`, whose count must be the product of `shape`: the server answers INVALID_ARGUMENT otherwise.
  template <typename T>
  static Tensor Of(std::string name, std::vector<int64_t> shape, std::span<const T> values) {
    Tensor tensor{std::move(name), internal::DatatypeOf<T>(), std::move(shape), {}};
    tensor.data.assign(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    return tensor;
  }
  template <typename T>
  static Tensor Of(std::string name, std::vector<int64_t> shape, const std::vector<T>& values) {
    return Of<T>(std::move(name), std::move(shape), std::span<const T>(values));
  }

  // The elements as T; empty when `datatype` is another type.
  template <typename T>
  std::vector<T> Values() const {
    if (datatype != internal::DatatypeOf<T>()) return {};
    std::vector<T> values(data.size() / sizeof(T));
    std::memcpy(values.data(), data.data(), values.size() * sizeof(T));
    return values;
  }

  // Product of the dimensions; 1 for a scalar.
  int64_t NumElements() const {
    int64_t count = 1;
    for (const int64_t dimension : shape) count *= dimension;
    return count;
  }
};

}  // namespace precis::client

#endif  // PRECIS_TENSOR_H_
