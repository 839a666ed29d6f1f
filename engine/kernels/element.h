#ifndef PRECIS_ENGINE_KERNELS_ELEMENT_H_
#define PRECIS_ENGINE_KERNELS_ELEMENT_H_

// From DataType to C++ type: VisitX(type, f) calls f(Tag<T>{}) for the T that stores `type`, or returns `otherwise` where X does
// not hold it. Kernels that only move data go by element size instead.

#include <cstddef>
#include <cstdint>
#include <utility>

#include "engine/tensor/tensor.h"

namespace precis::kernels {

template <typename T>
struct Tag {
  using type = T;
};

// Unsigned integer of 1, 2, 4 or 8 bytes.
template <typename F>
auto VisitSize(size_t element_bytes, F f) {
  switch (element_bytes) {
    case 1: return f(Tag<uint8_t>{});
    case 2: return f(Tag<uint16_t>{});
    case 4: return f(Tag<uint32_t>{});
    default: return f(Tag<uint64_t>{});
  }
}

template <typename F, typename R>
R VisitInteger(DataType type, F f, R otherwise) {
  switch (type) {
    case DataType::kS8: return f(Tag<int8_t>{});
    case DataType::kU8: return f(Tag<uint8_t>{});
    case DataType::kS16: return f(Tag<int16_t>{});
    case DataType::kU16: return f(Tag<uint16_t>{});
    case DataType::kS32: return f(Tag<int32_t>{});
    case DataType::kU32: return f(Tag<uint32_t>{});
    case DataType::kS64: return f(Tag<int64_t>{});
    case DataType::kU64: return f(Tag<uint64_t>{});
    default: return otherwise;
  }
}

// f32 and f64.
template <typename F, typename R>
R VisitFloat(DataType type, F f, R otherwise) {
  if (type == DataType::kF32) return f(Tag<float>{});
  if (type == DataType::kF64) return f(Tag<double>{});
  return otherwise;
}

// f32, f64 and the integers.
template <typename F, typename R>
R VisitNumber(DataType type, F f, R otherwise) {
  if (type == DataType::kF32) return f(Tag<float>{});
  if (type == DataType::kF64) return f(Tag<double>{});
  return VisitInteger(type, f, std::move(otherwise));
}

// Numbers and bool, as one byte of 0 or 1.
template <typename F, typename R>
R VisitNumberOrBool(DataType type, F f, R otherwise) {
  return VisitNumber(type == DataType::kBool ? DataType::kU8 : type, f, std::move(otherwise));
}

// Element `i` of indices or lengths, which are s64 or s32.
inline int64_t IndexAt(const TensorView& indices, int64_t i) {
  return indices.dtype == DataType::kS64 ? static_cast<const int64_t*>(indices.data)[i]
                                         : static_cast<const int32_t*>(indices.data)[i];
}

}  // namespace precis::kernels

#endif  // PRECIS_ENGINE_KERNELS_ELEMENT_H_
