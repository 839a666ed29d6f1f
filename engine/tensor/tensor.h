#ifndef PRECIS_ENGINE_TENSOR_TENSOR_H_
#define PRECIS_ENGINE_TENSOR_TENSOR_H_

// Dense row-major tensors: Tensor owns its bytes (64-byte aligned), TensorView borrows them.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/tensor/data_type.h"

namespace precis {

// Dimensions, outermost first. kUnknownDim marks a symbolic dimension in a model's signature; tensors have none.
using Shape = std::vector<int64_t>;
inline constexpr int64_t kUnknownDim = -1;

// Product of the dimensions; 1 for a scalar. Requires known dimensions whose product fits (importers check that).
int64_t NumElements(const Shape& shape);

// Product of the dimensions, or -1 when one is negative or the product exceeds `limit`.
int64_t CheckedNumElements(const Shape& shape, int64_t limit);

// "[1,3,224,224]"; unknown dimensions print as "?".
std::string ShapeToString(const Shape& shape);

// Row-major strides, in elements.
std::vector<int64_t> RowMajorStrides(const Shape& shape);

// Compile-time map from C++ type to DataType, for the types that have one meaning. 16-bit floats are uint16_t patterns and go
// through data() instead.
template <typename T>
constexpr DataType DataTypeOf();
template <>
constexpr DataType DataTypeOf<float>() {
  return DataType::kF32;
}
template <>
constexpr DataType DataTypeOf<double>() {
  return DataType::kF64;
}
template <>
constexpr DataType DataTypeOf<int8_t>() {
  return DataType::kS8;
}
template <>
constexpr DataType DataTypeOf<uint8_t>() {
  return DataType::kU8;
}
template <>
constexpr DataType DataTypeOf<int16_t>() {
  return DataType::kS16;
}
template <>
constexpr DataType DataTypeOf<uint16_t>() {
  return DataType::kU16;
}
template <>
constexpr DataType DataTypeOf<int32_t>() {
  return DataType::kS32;
}
template <>
constexpr DataType DataTypeOf<uint32_t>() {
  return DataType::kU32;
}
template <>
constexpr DataType DataTypeOf<int64_t>() {
  return DataType::kS64;
}
template <>
constexpr DataType DataTypeOf<uint64_t>() {
  return DataType::kU64;
}
template <>
constexpr DataType DataTypeOf<bool>() {
  return DataType::kBool;
}

// Borrowed, read-only tensor. The owner must outlive it.
struct TensorView {
  DataType dtype = DataType::kF32;
  Shape shape;
  const void* data = nullptr;

  int64_t num_elements() const { return NumElements(shape); }
  size_t size_bytes() const { return static_cast<size_t>(num_elements()) * SizeOf(dtype); }
  template <typename T>
  std::span<const T> As() const {
    return {static_cast<const T*>(data), static_cast<size_t>(num_elements())};
  }
};

// Owning tensor; movable, cheap to move, copied only by Clone. Not thread-safe for writers.
class Tensor {
 public:
  Tensor() = default;
  // Uninitialised storage.
  Tensor(DataType dtype, Shape shape);
  template <typename T>
  static Tensor From(Shape shape, const std::vector<T>& values) {
    Tensor t(DataTypeOf<T>(), std::move(shape));
    for (size_t i = 0; i < values.size(); ++i) t.As<T>()[i] = values[i];
    return t;
  }
  static Tensor CopyOf(const TensorView& view);

  DataType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t num_elements() const { return NumElements(shape_); }
  size_t size_bytes() const { return static_cast<size_t>(num_elements()) * SizeOf(dtype_); }
  void* data() { return data_.get(); }
  const void* data() const { return data_.get(); }
  template <typename T>
  std::span<T> As() {
    return {static_cast<T*>(data()), static_cast<size_t>(num_elements())};
  }
  template <typename T>
  std::span<const T> As() const {
    return {static_cast<const T*>(data()), static_cast<size_t>(num_elements())};
  }
  TensorView view() const { return {dtype_, shape_, data_.get()}; }
  Tensor Clone() const { return CopyOf(view()); }
  // Same bytes under another shape of equal element count.
  void Reshape(Shape shape) { shape_ = std::move(shape); }

 private:
  struct Free {
    void operator()(void* p) const;
  };
  DataType dtype_ = DataType::kF32;
  Shape shape_ = {0};
  std::unique_ptr<void, Free> data_;
};

// Any numeric or bool tensor as int64 (shape arithmetic) or f32 values, element by element. Floats truncate toward zero.
std::vector<int64_t> ToInt64(const TensorView& view);
std::vector<float> ToFloat(const TensorView& view);

}  // namespace precis

#endif  // PRECIS_ENGINE_TENSOR_TENSOR_H_
