#ifndef PRECIS_ENGINE_KERNELS_NEST_H_
#define PRECIS_ENGINE_KERNELS_NEST_H_

// Loop nests over strided operands, with as few and as long loops as the strides allow.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "engine/tensor/tensor.h"

namespace precis::kernels {

// sizes[d] iterations of loop d, outermost first; strides[operand][d] elements further per iteration. At least one loop.
struct Nest {
  std::vector<int64_t> sizes;
  std::vector<std::vector<int64_t>> strides;

  // Drops loops of one iteration and merges neighbours that walk as one for every operand.
  Nest(std::vector<int64_t> loop_sizes, std::vector<std::vector<int64_t>> operand_strides);

  int64_t inner_size() const { return sizes.back(); }
  int64_t inner_stride(size_t operand) const { return strides[operand].back(); }
  bool empty() const;
};

// Calls f(offsets) once per iteration of all loops but the innermost `kept`; offsets[i] is where operand i stands, in elements.
template <size_t kOperands, typename F>
void Walk(const Nest& nest, size_t kept, F f) {
  if (nest.empty()) return;
  const size_t depth = nest.sizes.size() - kept;
  absl::InlinedVector<int64_t, 8> counters(depth, 0);
  std::array<int64_t, kOperands> offsets{};
  while (true) {
    f(static_cast<const std::array<int64_t, kOperands>&>(offsets));
    size_t d = depth;
    while (d-- > 0) {
      for (size_t i = 0; i < kOperands; ++i) offsets[i] += nest.strides[i][d];
      if (++counters[d] < nest.sizes[d]) break;
      for (size_t i = 0; i < kOperands; ++i) offsets[i] -= nest.strides[i][d] * nest.sizes[d];
      counters[d] = 0;
    }
    if (d == static_cast<size_t>(-1)) return;
  }
}

// Copies elements of 1, 2, 4 or 8 bytes between two strided arrangements.
class StridedCopy {
 public:
  // Strides and offsets in elements; a source stride of 0 repeats. Every destination element is written at most once.
  StridedCopy(std::vector<int64_t> sizes, std::vector<int64_t> src_strides, std::vector<int64_t> dst_strides,
              size_t element_bytes, int64_t src_offset = 0, int64_t dst_offset = 0);
  void operator()(const void* src, void* dst) const;

 private:
  enum class Way { kRows, kTiles, kStrided };

  Nest nest_;
  Way way_;
  size_t element_bytes_;
  int64_t src_offset_, dst_offset_;
};

}  // namespace precis::kernels

#endif  // PRECIS_ENGINE_KERNELS_NEST_H_
