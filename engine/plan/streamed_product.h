#ifndef PRECIS_ENGINE_PLAN_STREAMED_PRODUCT_H_
#define PRECIS_ENGINE_PLAN_STREAMED_PRODUCT_H_

// Integer products of few rows that read their weights in the order of memory: u8 levels times s8 ones, which are held in 8 bits, or in 4, 2
// or 1 where those of a column are neighbours, as affine weights of so many bits are; with one scale for all of K or one for each group.
// oneDNN 3.7.2 reads weights at half the speed when there is one row, and none of less than 8 bits. Needs AVX512-VNNI.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/kernels/kernel.h"
#include "engine/plan/few_rows.h"
#include "engine/plan/finish_row.h"

namespace precis::plan {

class StreamedProduct {
 public:
  // For `rows` rows of levels times `weights`, whose scales hold for `group` of K each; 0: for all of it. nullopt where the CPU has no such
  // kernel, the rows are more than kMaxFewRows, or the group is no multiple of 32.
  static std::optional<StreamedProduct> Of(int64_t rows, const LevelMatrix& weights, int64_t group);

  // The weights as Product wants them, with the scales of groups, [group][n].
  int64_t packed_bytes() const { return blocks() * block_bytes(); }
  void Pack(const LevelMatrix& weights, const std::vector<float>& scales, void* packed) const;

  // Bytes of scratch that a run needs.
  int64_t scratch_bytes(DataType source) const;

  // Inputs: u8 or s8 levels [rows][k]; the packed weights; scales of the sums, f32 [n]; bias, f32 [n], or absent. Outputs: [rows][n] of `y`,
  // negative numbers as 0 with `relu`; scratch. Groups want u8 levels, whose zero point is the bias's affair; otherwise it is `zero_point`.
  kernels::Kernel Product(DataType source, int32_t zero_point, const QuantizedOperand& y, bool relu) const;

  int bits() const { return bits_; }  // of a weight
  std::string implementation() const;

 private:
  bool ReadsAsItIs(DataType source) const { return source == DataType::kU8 && padded_k() == k_; }
  int64_t padded_k() const { return groups_ * group_; }
  int64_t blocks() const;  // of columns
  int64_t block_bytes() const;
  int64_t group_bytes() const;  // scales and weights of a block's columns

  int64_t rows_ = 0, k_ = 0, columns_ = 0;
  int bits_ = 0;
  bool grouped_ = false;
  int64_t group_ = 0, groups_ = 0;  // without scales by group: one group of all of K
};

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_STREAMED_PRODUCT_H_
