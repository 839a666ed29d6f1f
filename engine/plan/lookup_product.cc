// 64 bytes of indices hold 2, 4 or 8 vectors of 64 weights, one above the other in the bits of each byte: a shift and a mask give a vector of
// indices, a shuffle of the column's table the weights, and they meet 64 levels of the source in one VNNI product. A column is read once for
// all rows.
#include "engine/plan/lookup_product.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "engine/plan/cpu_features.h"
#include "engine/plan/vnni.h"

namespace precis::plan {
namespace {

constexpr int64_t kVector = 64;   // levels that one product takes
constexpr int64_t kColumns = 16;  // of one vector of totals
constexpr int64_t kMaxLevels = 16;
constexpr int64_t kAhead = int64_t{32} << 10;  // bytes of indices that are on their way

// How much of K shares a scale: all of it, or no more than a vector.
enum class Group { kWhole, kOfVector, kOfHalfVector };

// What is before the indices of two neighbouring columns.
struct PairHeader {
  int8_t tables[2][kMaxLevels];
  int32_t sums[2];  // of the columns' levels
  uint8_t unused[24];
};
static_assert(sizeof(PairHeader) == kVector);

// Two columns of the weights and some rows of the source.
struct Tile {
  const uint8_t* source;  // [rows][blocks of K]
  int64_t source_stride;
  const PairHeader* header;
  const float* scales;     // [2 for each step]
  const uint8_t* indices;  // [blocks][2][64]
  int64_t blocks;
};

// s32 sums where one scale holds for all of K, else scaled f32 ones.
template <Group kGroup>
struct Sum {
  __m512 of;
};
template <>
struct Sum<Group::kWhole> {
  __m512i of;
};

PRECIS_VNNI_INLINE void Clear(Sum<Group::kWhole>& sum) { sum.of = _mm512_setzero_si512(); }
template <Group kGroup>
PRECIS_VNNI_INLINE void Clear(Sum<kGroup>& sum) {
  sum.of = _mm512_setzero_ps();
}

// `scales`: one for the vector, or one for each half of it, of two columns.
PRECIS_VNNI_INLINE void Add(Sum<Group::kWhole>& sum, const __m512i& source, const __m512i& weights,
                            const float* /*scales*/) {
  AddProduct(sum.of, source, weights);
}
template <Group kGroup>
PRECIS_VNNI_INLINE void Add(Sum<kGroup>& sum, const __m512i& source, const __m512i& weights, const float* scales) {
  __m512i products = _mm512_setzero_si512();
  AddProduct(products, source, weights);
  __m512 scale = _mm512_set1_ps(scales[0]);
  if constexpr (kGroup == Group::kOfHalfVector) scale = _mm512_insertf32x8(scale, _mm256_set1_ps(scales[2]), 1);
  sum.of = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products), scale, sum.of);
}

PRECIS_VNNI_INLINE int32_t Total(const Sum<Group::kWhole>& sum) { return _mm512_reduce_add_epi32(sum.of); }
template <Group kGroup>
PRECIS_VNNI_INLINE float Total(const Sum<kGroup>& sum) {
  return _mm512_reduce_add_ps(sum.of);
}

// What Total gives.
template <Group kGroup>
using TotalOf = std::conditional_t<kGroup == Group::kWhole, int32_t, float>;

template <int kBits, Group kGroup, size_t kRows>
PRECIS_VNNI void SumTile(const Tile& t, TotalOf<kGroup> (*totals)[2]) {
  constexpr int kVectors = 8 / kBits;
  const __m512i mask = _mm512_set1_epi8((1 << kBits) - 1);
  __m512i tables[2];
  Sum<kGroup> sums[kRows][2];
#pragma GCC unroll 2
  for (size_t c = 0; c < 2; ++c) {
    tables[c] = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(t.header->tables[c])));
#pragma GCC unroll 4
    for (size_t row = 0; row < kRows; ++row) Clear(sums[row][c]);
  }
  _mm_prefetch(reinterpret_cast<const uint8_t*>(t.header) + kAhead, _MM_HINT_T1);
  const uint8_t *source = t.source, *indices = t.indices;
  const float* scales = t.scales;
  for (int64_t block = 0; block < t.blocks; ++block) {
    __m512i packed[2];
#pragma GCC unroll 2
    for (size_t c = 0; c < 2; ++c, indices += kVector) {
      packed[c] = _mm512_loadu_si512(indices);
      _mm_prefetch(indices + kAhead, _MM_HINT_T1);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i, source += kVector) {
      __m512i weights[2];
#pragma GCC unroll 2
      for (size_t c = 0; c < 2; ++c) {
        const auto shifted = i == 0 ? packed[c] : _mm512_srli_epi16(packed[c], static_cast<unsigned>(i * kBits));
        weights[c] = _mm512_shuffle_epi8(tables[c], _mm512_and_si512(shifted, mask));
      }
#pragma GCC unroll 4
      for (size_t row = 0; row < kRows; ++row) {
        const __m512i levels = _mm512_loadu_si512(source + static_cast<int64_t>(row) * t.source_stride);
        Add(sums[row][0], levels, weights[0], scales);
        Add(sums[row][1], levels, weights[1], scales + 1);
      }
      if constexpr (kGroup != Group::kWhole) scales += kGroup == Group::kOfVector ? 2 : 4;
    }
  }
#pragma GCC unroll 4
  for (size_t row = 0; row < kRows; ++row) {
    totals[row][0] = Total(sums[row][0]);
    totals[row][1] = Total(sums[row][1]);
  }
}

// Calls take(row, sum of the left column, sum of the right one) for every row.
template <int kBits, Group kGroup, typename Take>
void SumRows(const Tile& tile, int64_t rows, const Take& take) {
  Tile t = tile;
  for (int64_t row = 0; row < rows;) {
    const int64_t left = rows - row, taken = left >= 4 ? 4 : left >= 2 ? 2 : 1;
    TotalOf<kGroup> totals[4][2];
    const auto sum = taken == 4   ? &SumTile<kBits, kGroup, 4>
                     : taken == 2 ? &SumTile<kBits, kGroup, 2>
                                  : &SumTile<kBits, kGroup, 1>;
    sum(t, totals);
    for (int64_t i = 0; i < taken; ++i) take(row + i, totals[i][0], totals[i][1]);
    row += taken;
    t.source += taken * t.source_stride;
  }
}

template <Group kGroup, typename Take>
void SumRows(int bits, const Tile& tile, int64_t rows, const Take& take) {
  bits == 4   ? SumRows<4, kGroup>(tile, rows, take)
  : bits == 2 ? SumRows<2, kGroup>(tile, rows, take)
              : SumRows<1, kGroup>(tile, rows, take);
}

// The levels that a column takes, ascending; the rest of its table is 0.
struct Table {
  std::array<int8_t, kMaxLevels> levels{};
  std::array<uint8_t, 256> index_of{};  // by level as u8
  int64_t count = 0;                    // may be more than the table holds
};

std::vector<Table> TablesOf(const LevelMatrix& weights) {
  std::vector<std::array<bool, 256>> taken(static_cast<size_t>(weights.n));
  ForEachLevel(weights, [&](int64_t /*k*/, int64_t column, int8_t level) {
    taken[static_cast<size_t>(column)][static_cast<uint8_t>(level)] = true;
  });
  std::vector<Table> tables(taken.size());
  for (size_t column = 0; column < taken.size(); ++column) {
    Table& table = tables[column];
    for (int level = -128; level < 128; ++level) {
      if (!taken[column][static_cast<uint8_t>(level)]) continue;
      if (table.count < kMaxLevels) {
        table.levels[static_cast<size_t>(table.count)] = static_cast<int8_t>(level);
        table.index_of[static_cast<uint8_t>(level)] = static_cast<uint8_t>(table.count);
      }
      ++table.count;
    }
  }
  return tables;
}

// The most levels that a column takes; more than the tables hold for any number of those.
int64_t MostLevels(const LevelMatrix& weights) {
  // Weights of many levels show them early.
  constexpr int64_t kSome = 256;
  LevelMatrix some = weights;
  some.k = std::min(some.k, kSome);
  some.n = std::min(some.n, kColumns);
  const auto most = [](const LevelMatrix& matrix) {
    int64_t count = 0;
    for (const Table& table : TablesOf(matrix)) count = std::max(count, table.count);
    return count;
  };
  const int64_t among_some = most(some);
  return among_some > kMaxLevels ? among_some : most(weights);
}

}  // namespace

std::optional<LookupProduct> LookupProduct::Of(int64_t rows, const LevelMatrix& weights, int64_t group) {
  if (!CpuHasAvx512Vnni() || rows > kMaxFewRows || group % (kVector / 2) != 0) return std::nullopt;
  const int64_t most_levels = MostLevels(weights);
  if (most_levels > kMaxLevels) return std::nullopt;
  LookupProduct product;
  product.rows_ = rows;
  product.k_ = weights.k;
  product.columns_ = weights.n;
  product.bits_ = most_levels > 4 ? 4 : most_levels > 2 ? 2 : 1;
  product.group_ = group;
  product.scale_step_ = group == 0 ? 0 : group % kVector == 0 ? kVector : kVector / 2;
  const int64_t block = kVector * 8 / product.bits_;
  const int64_t blocks = (weights.k + block - 1) / block;
  product.padded_k_ = blocks * block;
  product.blocks_ = blocks;
  return product;
}

int64_t LookupProduct::scale_bytes() const {
  if (scale_step_ == 0) return 0;
  const int64_t bytes = padded_k_ / scale_step_ * 2 * static_cast<int64_t>(sizeof(float));
  return (bytes + kVector - 1) / kVector * kVector;
}

int64_t LookupProduct::pair_bytes() const {
  return static_cast<int64_t>(sizeof(PairHeader)) + scale_bytes() + blocks_ * 2 * kVector;
}

std::string LookupProduct::implementation() const { return absl::StrCat("lookup", bits_, ":avx512_core_vnni"); }

int64_t LookupProduct::packed_bytes() const { return (columns_ + 1) / 2 * pair_bytes(); }

void LookupProduct::Pack(const LevelMatrix& weights, const std::vector<float>& scales, void* packed) const {
  std::memset(packed, 0, static_cast<size_t>(packed_bytes()));
  const auto pair_of = [&](int64_t column) { return static_cast<uint8_t*>(packed) + column / 2 * pair_bytes(); };
  const auto header_of = [&](int64_t column) { return reinterpret_cast<PairHeader*>(pair_of(column)); };
  const std::vector<Table> tables = TablesOf(weights);
  for (int64_t column = 0; column < columns_; ++column) {
    absl::c_copy(tables[static_cast<size_t>(column)].levels, header_of(column)->tables[column % 2]);
    auto* to = reinterpret_cast<float*>(pair_of(column) + sizeof(PairHeader)) + column % 2;
    for (int64_t k = 0; scale_step_ != 0 && k < padded_k_; k += scale_step_, to += 2) {
      const int64_t group = std::min(k, k_ - 1) / group_;
      *to = scales[static_cast<size_t>(group * columns_ + column)];
    }
  }
  const int64_t vectors = 8 / bits_;
  ForEachLevel(weights, [&](int64_t k, int64_t column, int8_t level) {
    uint8_t* indices = pair_of(column) + sizeof(PairHeader) + scale_bytes();
    const int64_t vector = k / kVector, side = column % 2;
    const uint8_t index = tables[static_cast<size_t>(column)].index_of[static_cast<uint8_t>(level)];
    indices[(vector / vectors * 2 + side) * kVector + k % kVector] |=
        static_cast<uint8_t>(index << (vector % vectors * bits_));
    header_of(column)->sums[side] += level;
  });
}

kernels::Kernel LookupProduct::Product(DataType source, int32_t zero_point, const QuantizedOperand& y,
                                       bool relu) const {
  const int64_t zero = group_ != 0 ? 0 : zero_point + MovedBy(source);
  return [*this, source, zero, finish = Finish(y, relu)](std::span<const TensorView> in,
                                                         std::span<const kernels::MutableTensorView> out) {
    const auto* levels = static_cast<const uint8_t*>(in[0].data);
    if (!ReadsAsItIs(source)) {
      auto* padded = static_cast<uint8_t*>(out[1].data);
      PadRows(source, levels, rows_, k_, padded_k_, padded);
      levels = padded;
    }
    const auto* packed = static_cast<const uint8_t*>(in[1].data);
    const auto *scales = static_cast<const float*>(in[2].data), *bias = static_cast<const float*>(in[3].data);
#pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < columns_; first += kColumns) {
      const int64_t count = std::min(kColumns, columns_ - first);
      alignas(64) float totals[kMaxFewRows * kColumns] = {};
      for (int64_t c = 0; c < count; c += 2) {
        const uint8_t* pair = packed + (first + c) / 2 * pair_bytes();
        const uint8_t* pair_scales = pair + sizeof(PairHeader);
        const Tile tile = {levels,
                           padded_k_,
                           reinterpret_cast<const PairHeader*>(pair),
                           reinterpret_cast<const float*>(pair_scales),
                           pair_scales + scale_bytes(),
                           blocks_};
        const float scale[2] = {scales[first + c], c + 1 < count ? scales[first + c + 1] : 0};
        const auto take = [&](int64_t row, auto left, auto right) {
          totals[row * kColumns + c] = static_cast<float>(left - zero * tile.header->sums[0]) * scale[0];
          totals[row * kColumns + c + 1] = static_cast<float>(right - zero * tile.header->sums[1]) * scale[1];
        };
        if (scale_step_ == 0)
          SumRows<Group::kWhole>(bits_, tile, rows_, take);
        else if (scale_step_ == kVector)
          SumRows<Group::kOfVector>(bits_, tile, rows_, take);
        else
          SumRows<Group::kOfHalfVector>(bits_, tile, rows_, take);
      }
      for (int64_t row = 0; row < rows_; ++row)
        FinishRow(finish, totals + row * kColumns, bias == nullptr ? nullptr : bias + first, count, out[0].data,
                  row * columns_ + first);
    }
  };
}

}  // namespace precis::plan
