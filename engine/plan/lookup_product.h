#ifndef PRECIS_ENGINE_PLAN_LOOKUP_PRODUCT_H_
#define PRECIS_ENGINE_PLAN_LOOKUP_PRODUCT_H_

// Integer products of few rows with weights that take at most 16 levels in a column: of 4 bits and fewer, powers of two, codebooks, ternary and
// binary ones. Such a product does little but read its weights, so they are held as indices of 4, 2 or 1 bits into the column's table of levels, and
// looked up on the way into the multiplier. oneDNN 3.7.2 has no such kernel (u8 x s4 runs on `ref`). Needs AVX512-VNNI.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/kernels/kernel.h"
#include "engine/plan/few_rows.h"
#include "engine/plan/finish_row.h"

namespace precis::plan {

class LookupProduct {
 public:
  // For `rows` rows of levels times `weights`, whose scales hold for `group` of K each; 0: for all of it. nullopt where the CPU has no such
  // kernel, the rows are so many that a primitive is as fast, a column takes too many levels, or the group is no multiple of 32.
  static std::optional<LookupProduct> Of(int64_t rows, const LevelMatrix& weights, int64_t group);

  // The weights as Product wants them: indices, tables and sums of the columns, and the scales of groups, [group][n].
  int64_t packed_bytes() const;
  void Pack(const LevelMatrix& weights, const std::vector<float>& scales, void* packed) const;

  // Bytes of scratch that a run needs; 0: none.
  int64_t scratch_bytes(DataType source) const { return ReadsAsItIs(source) ? 0 : rows_ * padded_k_; }

  // Inputs: u8 or s8 levels [rows][k]; the packed weights; scales of the sums, f32 [n]; bias, f32 [n], or absent. Outputs: [rows][n] of `y`,
  // negative numbers as 0 with `relu`; scratch, where a run needs any. Groups want u8 levels, whose zero point
  // is the bias's affair; otherwise it is `zero_point`.
  kernels::Kernel Product(DataType source, int32_t zero_point, const QuantizedOperand& y, bool relu) const;

  int bits() const { return bits_; }
  std::string implementation() const;

 private:
  bool ReadsAsItIs(DataType source) const { return source == DataType::kU8 && padded_k_ == k_; }
  // Two columns lie together: a header, the scales of groups, the indices.
  int64_t scale_bytes() const;
  int64_t pair_bytes() const;

  int64_t rows_ = 0, k_ = 0, columns_ = 0;
  int bits_ = 0;            // of an index
  int64_t group_ = 0;       // elements of K that share a scale; 0: all
  int64_t scale_step_ = 0;  // of K, for each of the packed scales: a vector or half of it
  int64_t padded_k_ = 0;    // whole blocks
  int64_t blocks_ = 0;      // of 64 bytes of indices, in a column
};

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_LOOKUP_PRODUCT_H_
