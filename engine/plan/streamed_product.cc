// A vector has 4 neighbours of K of 16 columns: one VNNI product adds them to 16 sums, with 4 levels of the source in all lanes. 64 bytes of
// packed weights are 1, 2, 4 or 8 such vectors, one above the other in the bits of each byte. At a group's end 16 scales meet the 16 sums at once.
// Weights of less than 8 bits are counted from the column's least level on: sums begin with that level times the source's own sum.
#include "engine/plan/streamed_product.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "engine/plan/cpu_features.h"
#include "engine/plan/vnni.h"

namespace precis::plan {
namespace {

constexpr int64_t kVector = 64;
constexpr int64_t kColumns = 16;               // of a vector
constexpr int64_t kInputs = 4;                 // of K, in a vector
constexpr int64_t kAhead = int64_t{32} << 10;  // bytes of weights that are on their way
constexpr int64_t kStep = 32;                  // of K, for which every width of weights has whole vectors

// Sixteen columns of the weights and some rows of the source.
struct Block {
  const uint8_t* source;  // [rows][padded K]
  int64_t source_stride;
  const int32_t* sums;                 // of the source's groups, [rows][groups]
  const int32_t *least, *column_sums;  // level of each column that its weights are counted from; sum of its levels
  int32_t zero;                        // level of the source
  const uint8_t* groups;               // of each, the scales and the weights
  int64_t count, steps;                // groups, and 32s of K in each
};

// With several rows the weights arrive too late by themselves (2 rows of 34 MB: 2.1 ms, and 1.2 with it); with one they come faster so (67 MB:
// 3.1 ms, and 3.9 with it, both on a busy machine). No line may be left out: the processor's own prefetching does not bring it either.
template <size_t kRows>
void Prefetch(const void* packed) {
  if constexpr (kRows > 1) _mm_prefetch(static_cast<const uint8_t*>(packed) + kAhead, _MM_HINT_T1);
}

template <size_t kBits, size_t kRows>
PRECIS_VNNI void SumBlock(const Block& b, float* totals) {
  constexpr size_t kSlots = 8 / kBits;
  constexpr size_t kChains = kRows == 1 ? 4 : kRows == 2 ? 2 : 1;  // a product waits for the one before it in its chain
  const __m512i mask = _mm512_set1_epi8(static_cast<char>((1 << kBits) - 1));
  const __m512i least = _mm512_loadu_si512(b.least);
  Prefetch<kRows>(b.least);
  Prefetch<kRows>(b.column_sums);
  const __m512i zero = _mm512_mullo_epi32(_mm512_loadu_si512(b.column_sums), _mm512_set1_epi32(b.zero));
  __m512 total[kRows];
#pragma GCC unroll 4
  for (size_t row = 0; row < kRows; ++row) total[row] = _mm512_setzero_ps();
  const uint8_t *source = b.source, *packed = b.groups;
  for (int64_t group = 0; group < b.count; ++group) {
    const __m512 scales = _mm512_loadu_ps(packed);
    Prefetch<kRows>(packed);
    packed += kVector;
    __m512i sums[kRows][kChains];
#pragma GCC unroll 4
    for (size_t row = 0; row < kRows; ++row) {
      const __m512i source_sum = _mm512_set1_epi32(b.sums[static_cast<int64_t>(row) * b.count + group]);
      sums[row][0] = _mm512_sub_epi32(_mm512_mullo_epi32(least, source_sum), zero);
#pragma GCC unroll 4
      for (size_t chain = 1; chain < kChains; ++chain) sums[row][chain] = _mm512_setzero_si512();
    }
    for (int64_t step = 0; step < b.steps; ++step) {
#pragma GCC unroll 8
      for (size_t v = 0; v < kBits; ++v, packed += kVector) {
        const __m512i bytes = _mm512_loadu_si512(packed);
        Prefetch<kRows>(packed);
#pragma GCC unroll 8
        for (size_t slot = 0; slot < kSlots; ++slot, source += kInputs) {
          const __m512i shifted = slot == 0 ? bytes : _mm512_srli_epi16(bytes, static_cast<unsigned>(slot * kBits));
          const __m512i weights = kBits == 8 ? bytes : _mm512_and_si512(shifted, mask);
#pragma GCC unroll 4
          for (size_t row = 0; row < kRows; ++row) {
            int32_t levels;
            std::memcpy(&levels, source + static_cast<int64_t>(row) * b.source_stride, sizeof(levels));
            AddProduct(sums[row][(v * kSlots + slot) % kChains], _mm512_set1_epi32(levels), weights);
          }
        }
      }
    }
#pragma GCC unroll 4
    for (size_t row = 0; row < kRows; ++row) {
#pragma GCC unroll 4
      for (size_t chain = 1; chain < kChains; ++chain) sums[row][0] = _mm512_add_epi32(sums[row][0], sums[row][chain]);
      total[row] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[row][0]), scales, total[row]);
    }
  }
#pragma GCC unroll 4
  for (size_t row = 0; row < kRows; ++row) _mm512_store_ps(totals + row * kColumns, total[row]);
}

template <size_t kBits>
void SumRows(const Block& block, int64_t rows, float* totals) {
  Block b = block;
  for (int64_t row = 0; row < rows;) {
    const int64_t left = rows - row, taken = left >= 4 ? 4 : left >= 2 ? 2 : 1;
    (taken == 4   ? &SumBlock<kBits, 4>
     : taken == 2 ? &SumBlock<kBits, 2>
                  : &SumBlock<kBits, 1>)(b, totals + row * kColumns);
    row += taken;
    b.source += taken * b.source_stride;
    b.sums += taken * b.count;
  }
}

// Of the levels of a column.
struct Range {
  int32_t least = INT8_MAX, most = INT8_MIN;
};

std::vector<Range> RangesOf(const LevelMatrix& weights) {
  std::vector<Range> ranges(static_cast<size_t>(weights.n));
  ForEachLevel(weights, [&](int64_t /*k*/, int64_t column, int8_t level) {
    Range& range = ranges[static_cast<size_t>(column)];
    range.least = std::min<int32_t>(range.least, level);
    range.most = std::max<int32_t>(range.most, level);
  });
  return ranges;
}

}  // namespace

std::optional<StreamedProduct> StreamedProduct::Of(int64_t rows, const LevelMatrix& weights, int64_t group) {
  if (!CpuHasAvx512Vnni() || rows > kMaxFewRows || group % kStep != 0) return std::nullopt;
  int32_t widest = 0;
  for (const Range& range : RangesOf(weights)) widest = std::max(widest, range.most - range.least);
  StreamedProduct product;
  product.rows_ = rows;
  product.k_ = weights.k;
  product.columns_ = weights.n;
  product.bits_ = widest > 15 ? 8 : widest > 3 ? 4 : widest > 1 ? 2 : 1;
  product.grouped_ = group != 0;
  product.group_ = product.grouped_ ? group : (weights.k + kStep - 1) / kStep * kStep;
  product.groups_ = (weights.k + product.group_ - 1) / product.group_;
  return product;
}

int64_t StreamedProduct::blocks() const { return (columns_ + kColumns - 1) / kColumns; }
int64_t StreamedProduct::group_bytes() const { return kVector + group_ * kColumns * bits_ / 8; }
int64_t StreamedProduct::block_bytes() const { return 2 * kVector + groups_ * group_bytes(); }

std::string StreamedProduct::implementation() const { return absl::StrCat("streamed", bits_, ":avx512_core_vnni"); }

int64_t StreamedProduct::scratch_bytes(DataType source) const {
  return rows_ * groups_ * static_cast<int64_t>(sizeof(int32_t)) + (ReadsAsItIs(source) ? 0 : rows_ * padded_k());
}

void StreamedProduct::Pack(const LevelMatrix& weights, const std::vector<float>& scales, void* packed) const {
  std::memset(packed, 0, static_cast<size_t>(packed_bytes()));
  const auto block_of = [&](int64_t column) {
    return static_cast<uint8_t*>(packed) + column / kColumns * block_bytes();
  };
  const auto group_of = [&](int64_t column, int64_t group) {
    return block_of(column) + 2 * kVector + group * group_bytes();
  };
  const auto header_of = [&](int64_t column) {
    return reinterpret_cast<int32_t*>(block_of(column)) + column % kColumns;
  };
  std::vector<int32_t> least(static_cast<size_t>(columns_), 0);
  if (bits_ < 8) absl::c_transform(RangesOf(weights), least.begin(), [](const Range& range) { return range.least; });
  for (int64_t column = 0; column < columns_; ++column) {
    *header_of(column) = least[static_cast<size_t>(column)];
    for (int64_t group = 0; group < groups_; ++group) {
      reinterpret_cast<float*>(group_of(column, group))[column % kColumns] =
          grouped_ ? scales[static_cast<size_t>(group * columns_ + column)] : 1.0f;
    }
  }
  const int64_t slots = 8 / bits_;
  ForEachLevel(weights, [&](int64_t k, int64_t column, int8_t level) {
    uint8_t* vectors = group_of(column, k / group_) + kVector;
    const int64_t inputs = k % group_ / kInputs;
    const auto above = static_cast<uint8_t>(level - least[static_cast<size_t>(column)]);
    vectors[inputs / slots * kVector + column % kColumns * kInputs + k % kInputs] |=
        static_cast<uint8_t>(above << (inputs % slots * bits_));
    header_of(column)[kColumns] += level;
  });
}

kernels::Kernel StreamedProduct::Product(DataType source, int32_t zero_point, const QuantizedOperand& y,
                                         bool relu) const {
  const int32_t zero = grouped_ ? 0 : zero_point + MovedBy(source);
  return [*this, source, zero, finish = Finish(y, relu)](std::span<const TensorView> in,
                                                         std::span<const kernels::MutableTensorView> out) {
    const auto* levels = static_cast<const uint8_t*>(in[0].data);
    auto* sums = static_cast<int32_t*>(out[1].data);
    if (!ReadsAsItIs(source)) {
      auto* padded = reinterpret_cast<uint8_t*>(sums + rows_ * groups_);
      PadRows(source, levels, rows_, k_, padded_k(), padded);
      levels = padded;
    }
    for (int64_t i = 0; i < rows_ * groups_; ++i)
      sums[i] = std::accumulate(levels + i * group_, levels + (i + 1) * group_, int32_t{0});
    const auto* packed = static_cast<const uint8_t*>(in[1].data);
    const auto *scales = static_cast<const float*>(in[2].data), *bias = static_cast<const float*>(in[3].data);
#pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < columns_; first += kColumns) {
      const int64_t count = std::min(kColumns, columns_ - first);
      const uint8_t* at = packed + first / kColumns * block_bytes();
      const auto* header = reinterpret_cast<const int32_t*>(at);
      const Block block = {levels, padded_k(),       sums,    header,        header + kColumns,
                           zero,   at + 2 * kVector, groups_, group_ / kStep};
      alignas(64) float totals[kMaxFewRows * kColumns] = {};
      bits_ == 8   ? SumRows<8>(block, rows_, totals)
      : bits_ == 4 ? SumRows<4>(block, rows_, totals)
      : bits_ == 2 ? SumRows<2>(block, rows_, totals)
                   : SumRows<1>(block, rows_, totals);
      for (int64_t row = 0; row < rows_; ++row) {
        float* of_row = totals + row * kColumns;
        for (int64_t c = 0; c < count; ++c) of_row[c] *= scales[first + c];
        FinishRow(finish, of_row, bias == nullptr ? nullptr : bias + first, count, out[0].data, row * columns_ + first);
      }
    }
  };
}

}  // namespace precis::plan
