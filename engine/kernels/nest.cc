// Strided copies. Three ways: rows that are contiguous on both sides are memcpy; where the source is contiguous along another loop than
// the destination (a transposition), square tiles keep both sides within a few cache lines; the rest is a plain strided loop.
#include "engine/kernels/nest.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/kernels/element.h"

namespace precis::kernels {
namespace {

constexpr int64_t kTile = 16;  // 16 x 4 bytes: one cache line per row

template <typename T>
void CopyTiles(const T* src, T* dst, int64_t rows, int64_t dst_row_stride, int64_t columns, int64_t src_column_stride) {
  for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
    const int64_t r1 = std::min(rows, r0 + kTile);
    for (int64_t c0 = 0; c0 < columns; c0 += kTile) {
      const int64_t c1 = std::min(columns, c0 + kTile);
      for (int64_t r = r0; r < r1; ++r) {
        for (int64_t c = c0; c < c1; ++c) dst[r * dst_row_stride + c] = src[r + c * src_column_stride];
      }
    }
  }
}

template <typename T>
void CopyRow(const T* src, int64_t src_stride, T* dst, int64_t dst_stride, int64_t count) {
  if (src_stride == 0 && dst_stride == 1) {
    std::fill_n(dst, count, *src);
    return;
  }
  for (int64_t i = 0; i < count; ++i) dst[i * dst_stride] = src[i * src_stride];
}

}  // namespace

Nest::Nest(std::vector<int64_t> loop_sizes, std::vector<std::vector<int64_t>> operand_strides)
    : strides(operand_strides.size()) {
  for (size_t d = 0; d < loop_sizes.size(); ++d) {
    if (loop_sizes[d] == 1) continue;
    bool merge = !sizes.empty();
    for (size_t i = 0; merge && i < strides.size(); ++i)
      merge = strides[i].back() == operand_strides[i][d] * loop_sizes[d];
    if (!merge) {
      sizes.push_back(1);
      for (auto& list : strides) list.push_back(0);
    }
    sizes.back() *= loop_sizes[d];
    for (size_t i = 0; i < strides.size(); ++i) strides[i].back() = operand_strides[i][d];
  }
  if (sizes.empty()) {
    sizes.push_back(1);
    for (auto& list : strides) list.push_back(1);
  }
}

bool Nest::empty() const { return std::find(sizes.begin(), sizes.end(), 0) != sizes.end(); }

StridedCopy::StridedCopy(std::vector<int64_t> sizes, std::vector<int64_t> src_strides, std::vector<int64_t> dst_strides,
                         size_t element_bytes, int64_t src_offset, int64_t dst_offset)
    : nest_(std::move(sizes), {std::move(src_strides), std::move(dst_strides)}),
      way_(Way::kStrided),
      element_bytes_(element_bytes),
      src_offset_(src_offset),
      dst_offset_(dst_offset) {
  if (nest_.inner_stride(1) != 1) return;
  if (nest_.inner_stride(0) == 1) {
    way_ = Way::kRows;
    return;
  }
  // The loop along which the source is contiguous becomes the row of the tiles; order does not matter to a copy.
  const size_t depth = nest_.sizes.size();
  for (size_t d = 0; d + 1 < depth; ++d) {
    if (nest_.strides[0][d] != 1) continue;
    for (auto* list : {&nest_.sizes, &nest_.strides[0], &nest_.strides[1]}) {
      std::rotate(list->begin() + static_cast<std::ptrdiff_t>(d), list->begin() + static_cast<std::ptrdiff_t>(d) + 1,
                  list->end() - 1);
    }
    way_ = Way::kTiles;
    return;
  }
}

void StridedCopy::operator()(const void* src, void* dst) const {
  VisitSize(element_bytes_, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* from = static_cast<const T*>(src) + src_offset_;
    T* to = static_cast<T*>(dst) + dst_offset_;
    const size_t depth = nest_.sizes.size();
    const int64_t n = nest_.inner_size(), ss = nest_.inner_stride(0), ds = nest_.inner_stride(1);
    if (way_ == Way::kTiles) {
      const int64_t rows = nest_.sizes[depth - 2], row_stride = nest_.strides[1][depth - 2];
      Walk<2>(nest_, 2, [&](const auto& at) { CopyTiles(from + at[0], to + at[1], rows, row_stride, n, ss); });
    } else if (way_ == Way::kRows) {
      Walk<2>(nest_, 1,
              [&](const auto& at) { std::memcpy(to + at[1], from + at[0], static_cast<size_t>(n) * sizeof(T)); });
    } else {
      Walk<2>(nest_, 1, [&](const auto& at) { CopyRow(from + at[0], ss, to + at[1], ds, n); });
    }
  });
}

}  // namespace precis::kernels
