#ifndef PRECIS_ENGINE_KERNELS_INDICES_H_
#define PRECIS_ENGINE_KERNELS_INDICES_H_

#include <algorithm>
#include <cstdint>

#include "engine/tensor/tensor.h"

namespace precis::kernels {

// Index tensors, s32 or s64, whose values come from clients: no value may lead outside a tensor.
class Indices {
 public:
  explicit Indices(const TensorView& view) : data_(view.data), wide_(view.dtype == DataType::kS64) {}

  // Element `i` as it stands.
  int64_t operator[](int64_t i) const {
    return wide_ ? static_cast<const int64_t*>(data_)[i] : int64_t{static_cast<const int32_t*>(data_)[i]};
  }
  // Element `i` as a position in a dimension of `dim` > 0 cells: negative values count from the end, and one that is out of range
  // becomes the nearest that is not.
  int64_t Position(int64_t i, int64_t dim) const {
    const int64_t index = (*this)[i];
    return index < 0 ? std::max<int64_t>(index, -dim) + dim : std::min(index, dim - 1);
  }
  bool InRange(int64_t i, int64_t dim) const {
    const int64_t index = (*this)[i];
    return index >= -dim && index < dim;
  }

 private:
  const void* data_;
  bool wide_;
};

}  // namespace precis::kernels

#endif  // PRECIS_ENGINE_KERNELS_INDICES_H_
