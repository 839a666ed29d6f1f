#ifndef PRECIS_ENGINE_KERNELS_WINDOW_H_
#define PRECIS_ENGINE_KERNELS_WINDOW_H_

#include <array>
#include <cstdint>

#include "engine/ir/op.h"
#include "engine/tensor/tensor.h"

namespace precis::kernels {

// A sliding window in exactly three spatial dimensions: fewer are led by dimensions of one cell.
struct Window3 {
  using Dims = std::array<int64_t, 3>;
  Dims in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1}, strides{1, 1, 1}, dilations{1, 1, 1}, pads{0, 0, 0},
      pads_end{0, 0, 0};

  static bool Fits(const Shape& src) { return src.size() >= 2 && src.size() <= 5; }
  // `window` resolved; src and dst are [N,C,spatial…].
  Window3(const ir::Window& window, const Shape& src, const Shape& dst) {
    const size_t spatial = src.size() - 2, lead = 3 - spatial;
    for (size_t i = 0; i < spatial; ++i) {
      in[lead + i] = src[i + 2];
      out[lead + i] = dst[i + 2];
      kernel[lead + i] = window.kernel[i];
      strides[lead + i] = window.strides[i];
      dilations[lead + i] = window.dilations[i];
      pads[lead + i] = window.pads_begin[i];
      pads_end[lead + i] = window.pads_end[i];
    }
  }

  static int64_t Size(const Dims& d) { return d[0] * d[1] * d[2]; }
  // Calls f(position, index) for every cell of a box, in row-major order.
  template <typename F>
  static void ForEach(const Dims& box, F f) {
    int64_t index = 0;
    for (int64_t z = 0; z < box[0]; ++z) {
      for (int64_t y = 0; y < box[1]; ++y) {
        for (int64_t x = 0; x < box[2]; ++x) f(Dims{z, y, x}, index++);
      }
    }
  }
  // Cell of `box` (row-major) that tap `k` of the window at `at` reads, or -1 outside of it.
  int64_t Cell(const Dims& box, const Dims& at, const Dims& k) const {
    int64_t index = 0;
    for (size_t i = 0; i < 3; ++i) {
      const int64_t p = at[i] * strides[i] + k[i] * dilations[i] - pads[i];
      if (p < 0 || p >= box[i]) return -1;
      index = index * box[i] + p;
    }
    return index;
  }
};

}  // namespace precis::kernels

#endif  // PRECIS_ENGINE_KERNELS_WINDOW_H_
