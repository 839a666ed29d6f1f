#ifndef PRECIS_ENGINE_PLAN_FEW_ROWS_H_
#define PRECIS_ENGINE_PLAN_FEW_ROWS_H_

// What the kernels for integer products of few rows share. Such a product does little but read its weights, once for all rows.

#include <algorithm>
#include <cstdint>

#include "engine/tensor/tensor.h"

namespace precis::plan {

// With more rows a primitive is as fast.
inline constexpr int64_t kMaxFewRows = 8;

// A matrix of s8 levels, [k][n] with any strides.
struct LevelMatrix {
  const int8_t* levels = nullptr;
  int64_t k = 0, n = 0;
  int64_t k_stride = 1, n_stride = 1;
};

// Calls take(k, column, level) for all weights, a few columns at a time, in the order of memory as far as that allows.
template <typename Take>
void ForEachLevel(const LevelMatrix& weights, const Take& take) {
  constexpr int64_t kColumns = 16;
  for (int64_t first = 0; first < weights.n; first += kColumns) {
    const int64_t last = std::min(first + kColumns, weights.n);
    for (int64_t k = 0; k < weights.k; ++k) {
      for (int64_t column = first; column < last; ++column)
        take(k, column, weights.levels[k * weights.k_stride + column * weights.n_stride]);
    }
  }
}

// What makes a u8 level of a source's level.
inline int32_t MovedBy(DataType source) { return source == DataType::kS8 ? 128 : 0; }

// The source's rows of k levels as u8 ones, each followed by zeros up to `padded_k`.
void PadRows(DataType source, const uint8_t* from, int64_t rows, int64_t k, int64_t padded_k, uint8_t* to);

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_FEW_ROWS_H_
