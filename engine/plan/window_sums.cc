// The s32 sums of a tile, at most 8 cells of the result by 48 output channels, stay in registers while a chunk lasts; the f32 totals of a few tiles and
// the weights of a chunk stay in the first-level cache. The innermost loops are spelled out by index sequences: compilers keep arrays of
// vectors in registers only where every index is known early.
#include "engine/plan/window_sums.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <utility>

#include "engine/plan/cpu_features.h"
#include "engine/plan/finish_row.h"
#include "engine/plan/vnni.h"

namespace precis::plan {
namespace {

constexpr int64_t kLanes = 16;  // of s32 and f32 in a vector
constexpr int64_t kQuad = 4;    // channels that one product sums
constexpr int64_t kMaxRows = 8, kMaxColumns = 3;
constexpr int64_t kTiles = 8;  // whose totals are held at once

int64_t QuadsOf(const ChannelRange& chunk) { return (chunk.count + kQuad - 1) / kQuad; }

// What the cells of one tile read of one chunk.
struct Operands {
  const uint8_t* image;   // from the chunk's first channel on
  const int8_t* weights;  // of a block of output channels
  const float* scales;
  int64_t line;  // where the windows of the tile's line begin, in pixels
  int64_t channels, pixel_stride, quads;
  int64_t chunk_bytes;  // of the block's weights: where those of the next chunk are
};

// Vectors of one row of a tile. (std::array drops the attributes of vector types.)
template <size_t kColumns>
struct Row {
  __m512i of[kColumns];
};
template <size_t kColumns>
struct Scales {
  __m512 of[kColumns];
};

template <size_t kColumns, size_t... kColumn>
PRECIS_VNNI_INLINE void SetZero(Row<kColumns>& sums, std::index_sequence<kColumn...>) {
  ((sums.of[kColumn] = _mm512_setzero_si512()), ...);
}

template <size_t kColumns, size_t... kColumn>
PRECIS_VNNI_INLINE void AddProducts(Row<kColumns>& sums, const uint8_t* quad, const Row<kColumns>& weights,
                                    std::index_sequence<kColumn...>) {
  int32_t levels;
  std::memcpy(&levels, quad, sizeof(levels));
  const __m512i source = _mm512_set1_epi32(levels);
  (AddProduct(sums.of[kColumn], source, weights.of[kColumn]), ...);
}

// Cells of the window for rows kFirst, kFirst + 1…
template <size_t kFirst, size_t kRows, size_t kColumns, size_t... kRow, size_t... kColumn>
PRECIS_VNNI_INLINE void AddCells(std::array<Row<kColumns>, kRows>& sums, const std::vector<WindowTile::Cell>& cells,
                                 const Operands& o, std::index_sequence<kRow...>,
                                 std::index_sequence<kColumn...> columns) {
  for (const WindowTile::Cell& cell : cells) {
    const uint8_t* source = o.image + (o.line + cell.source) * o.channels;
    const int8_t* weights = o.weights + cell.index * o.quads * static_cast<int64_t>(sizeof(Row<kColumns>));
    const uint8_t* const end = source + o.quads * kQuad;
    do {
      Row<kColumns> w;
      ((w.of[kColumn] = _mm512_loadu_si512(weights + kColumn * sizeof(__m512i))), ...);
      (_mm_prefetch(weights + o.chunk_bytes + kColumn * sizeof(__m512i), _MM_HINT_T1), ...);
      (AddProducts(sums[kFirst + kRow], source + static_cast<int64_t>(kFirst + kRow) * o.pixel_stride, w, columns),
       ...);
      weights += sizeof(w);
      source += kQuad;
    } while (source < end);
  }
}

template <size_t kColumns, size_t... kColumn>
PRECIS_VNNI_INLINE void AddScaled(float* totals, const Row<kColumns>& sums, const Scales<kColumns>& scales,
                                  std::index_sequence<kColumn...>) {
  (_mm512_store_ps(totals + kColumn * kLanes, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums.of[kColumn]), scales.of[kColumn],
                                                              _mm512_load_ps(totals + kColumn * kLanes))),
   ...);
}

template <size_t kRows, size_t kColumns, size_t... kRow, size_t... kColumn>
PRECIS_VNNI_INLINE void AddChunk(const WindowTile& tile, const Operands& o, float* totals,
                                 std::index_sequence<kRow...> rows, std::index_sequence<kColumn...> columns) {
  std::array<Row<kColumns>, kRows> sums;
  (SetZero(sums[kRow], columns), ...);
  AddCells<0>(sums, tile.for_all, o, rows, columns);
  if constexpr (kRows > 1) {
    constexpr auto kFewer = std::make_index_sequence<kRows - 1>();
    AddCells<1>(sums, tile.for_all_but_first, o, kFewer, columns);
    AddCells<0>(sums, tile.for_all_but_last, o, kFewer, columns);
  }
  Scales<kColumns> scales;
  ((scales.of[kColumn] = _mm512_loadu_ps(o.scales + kColumn * kLanes)), ...);
  (AddScaled(totals + kRow * kColumns * kLanes, sums[kRow], scales, columns), ...);
}

// Adds one chunk to the totals of a tile, f32 [rows][columns * 16].
using ChunkFunction = void (*)(const WindowTile& tile, const Operands& operands, float* totals);

template <size_t kRows, size_t kColumns>
PRECIS_VNNI void AddChunkOf(const WindowTile& tile, const Operands& operands, float* totals) {
  AddChunk<kRows, kColumns>(tile, operands, totals, std::make_index_sequence<kRows>(),
                            std::make_index_sequence<kColumns>());
}

template <size_t kColumns, size_t... kRow>
constexpr std::array<ChunkFunction, kMaxRows> ChunkFunctionsOf(std::index_sequence<kRow...>) {
  return {&AddChunkOf<kRow + 1, kColumns>...};
}

ChunkFunction FunctionFor(int64_t rows, int64_t columns) {
  constexpr auto kRows = std::make_index_sequence<kMaxRows>();
  static constexpr std::array<std::array<ChunkFunction, kMaxRows>, kMaxColumns> kFunctions = {
      ChunkFunctionsOf<1>(kRows), ChunkFunctionsOf<2>(kRows), ChunkFunctionsOf<3>(kRows)};
  return kFunctions[static_cast<size_t>(columns - 1)][static_cast<size_t>(rows - 1)];
}

// 0 … total in parts of nearly equal size, none above `largest`.
std::vector<int64_t> EvenStarts(int64_t total, int64_t largest) {
  const int64_t parts = (total + largest - 1) / largest;
  std::vector<int64_t> starts;
  for (int64_t i = 0; i <= parts; ++i) starts.push_back(i * total / parts);
  return starts;
}

std::pair<int64_t, int64_t> RangeOf(const std::vector<int64_t>& starts, int64_t i) {
  return {starts[static_cast<size_t>(i)], starts[static_cast<size_t>(i) + 1]};
}

// Cells `first` to `last` of a line of the result whose windows have lines `ky_first` to `ky_last` inside the image; nullopt when the padding cuts
// more than one of them.
std::optional<WindowTile> TileOf(int64_t width, const ir::Window& window, int64_t ky_first, int64_t ky_last,
                                 int64_t first, int64_t last) {
  WindowTile tile{first, last - first, {}, {}, {}};
  for (int64_t ky = ky_first; ky < ky_last; ++ky) {
    for (int64_t kx = 0; kx < window.kernel[1]; ++kx) {
      const int64_t shift = kx * window.dilations[1] - window.pads_begin[1];
      const auto x = [&](int64_t ox) { return ox * window.strides[1] + shift; };
      int64_t begin = first, end = last;
      while (begin < end && x(begin) < 0) ++begin;
      while (begin < end && x(end - 1) >= width) --end;
      if (begin == end) continue;
      if (begin - first + last - end > 1) return std::nullopt;
      auto& cells = begin > first ? tile.for_all_but_first : end < last ? tile.for_all_but_last : tile.for_all;
      cells.push_back({ky * window.dilations[0] * width + x(first), ky * window.kernel[1] + kx});
    }
  }
  return tile;
}

}  // namespace

std::optional<WindowSums> WindowSums::Of(const Shape& images, const ir::Window& window, const Shape& out,
                                         int64_t outputs, std::vector<ChannelRange> chunks) {
  if (!CpuHasAvx512Vnni() || CpuHasAmx() || chunks.empty()) return std::nullopt;
  WindowSums sums;
  sums.images_ = images;
  sums.window_cells_ = window.kernel[0] * window.kernel[1];
  sums.positions_ = out[0] * out[1];
  sums.outputs_ = outputs;
  sums.pixel_stride_ = window.strides[1] * images[1];
  sums.chunks_ = std::move(chunks);
  sums.block_starts_ = EvenStarts((outputs + kLanes - 1) / kLanes, kMaxColumns);
  const std::vector<int64_t> starts = EvenStarts(out[1], kMaxRows);
  sums.tiles_per_line_ = std::ssize(starts) - 1;
  std::map<std::pair<int64_t, int64_t>, int64_t> patterns;  // first of tiles_, by the window's lines inside the image
  for (int64_t oy = 0; oy < out[0]; ++oy) {
    const int64_t top = oy * window.strides[0] - window.pads_begin[0];
    int64_t ky_first = 0, ky_last = window.kernel[0];
    while (ky_first < ky_last && top + ky_first * window.dilations[0] < 0) ++ky_first;
    while (ky_first < ky_last && top + (ky_last - 1) * window.dilations[0] >= images[2]) --ky_last;
    const auto [pattern, is_new] = patterns.try_emplace({ky_first, ky_last}, std::ssize(sums.tiles_));
    sums.lines_.push_back({pattern->second, top * images[3]});
    if (!is_new) continue;
    for (int64_t i = 0; i < sums.tiles_per_line_; ++i) {
      const auto [first, last] = RangeOf(starts, i);
      std::optional<WindowTile> tile = TileOf(images[3], window, ky_first, ky_last, first, last);
      if (!tile) return std::nullopt;
      sums.tiles_.push_back(*std::move(tile));
    }
  }
  sums.group_starts_ = EvenStarts(out[0] * sums.tiles_per_line_, kTiles);
  return sums;
}

int64_t WindowSums::packed_bytes() const {
  int64_t quads = 0;
  for (const ChannelRange& chunk : chunks_) quads += QuadsOf(chunk);
  return block_starts_.back() * kLanes * quads * kQuad * window_cells_;
}

void WindowSums::Pack(const int8_t* weights, int8_t* packed) const {
  for (size_t block = 0; block + 1 < block_starts_.size(); ++block) {
    const int64_t begin = block_starts_[block] * kLanes, end = block_starts_[block + 1] * kLanes;
    for (const ChannelRange& chunk : chunks_) {
      for (int64_t cell = 0; cell < window_cells_; ++cell) {
        for (int64_t c = 0; c < QuadsOf(chunk) * kQuad; c += kQuad) {
          for (int64_t o = begin; o < end; ++o) {
            for (int64_t i = c; i < c + kQuad; ++i) {
              *packed++ = o < outputs_ && i < chunk.count
                              ? weights[(o * images_[1] + chunk.first + i) * window_cells_ + cell]
                              : static_cast<int8_t>(0);
            }
          }
        }
      }
    }
  }
}

std::vector<float> WindowSums::PadScales(const std::vector<float>& scales) const {
  std::vector<float> padded;
  for (auto chunk = scales.begin(); chunk < scales.end(); chunk += outputs_) {
    padded.insert(padded.end(), chunk, chunk + outputs_);
    padded.resize(padded.size() + static_cast<size_t>(block_starts_.back() * kLanes - outputs_));
  }
  return padded;
}

// One block of output channels of one image.
struct WindowSums::Block {
  int64_t columns, outputs;  // vectors of output channels; those channels that are no padding
  const uint8_t* image;
  const int8_t* weights;
  const float *scales, *bias;
  void* y;
  int64_t at;  // in `y`: the block's first channel of the image's first cell
  const Finish& finish;
};

void WindowSums::SumTiles(int64_t first, int64_t last, const Block& block) const {
  const int64_t width = block.columns * kLanes;
  alignas(64) float totals[kTiles * kMaxRows * kMaxColumns * kLanes] = {};
  const auto tile_at = [&](int64_t i) -> const WindowTile& {
    const Line& line = lines_[static_cast<size_t>(i / tiles_per_line_)];
    return tiles_[static_cast<size_t>(line.first_tile + i % tiles_per_line_)];
  };
  const int8_t* weights = block.weights;
  const float* scales = block.scales;
  for (const ChannelRange& chunk : chunks_) {
    const int64_t quads = QuadsOf(chunk), chunk_bytes = window_cells_ * quads * kQuad * width;
    Operands operands = {block.image + chunk.first, weights, scales, 0, images_[1], pixel_stride_, quads, chunk_bytes};
    float* tile_totals = totals;
    for (int64_t i = first; i < last; ++i) {
      const WindowTile& tile = tile_at(i);
      operands.line = lines_[static_cast<size_t>(i / tiles_per_line_)].source;
      FunctionFor(tile.rows, block.columns)(tile, operands, tile_totals);
      tile_totals += tile.rows * width;
    }
    weights += chunk_bytes;
    scales += block_starts_.back() * kLanes;
  }
  const int64_t line_cells = positions_ / std::ssize(lines_);
  const float* row_totals = totals;
  for (int64_t i = first; i < last; ++i) {
    const WindowTile& tile = tile_at(i);
    const int64_t cell = i / tiles_per_line_ * line_cells + tile.first;
    for (int64_t row = 0; row < tile.rows; ++row, row_totals += width)
      FinishRow(block.finish, row_totals, block.bias, block.outputs, block.y, block.at + (cell + row) * outputs_);
  }
}

kernels::Kernel WindowSums::Sums(const QuantizedOperand& y, bool relu) const {
  const int64_t blocks = std::ssize(block_starts_) - 1, groups = std::ssize(group_starts_) - 1;
  const int64_t bytes_per_vector = packed_bytes() / block_starts_.back();
  return [*this, blocks, groups, bytes_per_vector, finish = Finish(y, relu)](
             std::span<const TensorView> in, std::span<const kernels::MutableTensorView> out) {
#pragma omp parallel for collapse(3) schedule(static)
    for (int64_t block = 0; block < blocks; ++block) {
      for (int64_t image = 0; image < images_[0]; ++image) {
        for (int64_t group = 0; group < groups; ++group) {
          const auto [start, end] = RangeOf(block_starts_, block);
          const auto [first, last] = RangeOf(group_starts_, group);
          const int64_t channel = start * kLanes;
          const auto* bias = static_cast<const float*>(in[3].data);
          SumTiles(first, last,
                   {end - start, std::min(end * kLanes, outputs_) - channel,
                    static_cast<const uint8_t*>(in[0].data) + image * images_[1] * images_[2] * images_[3],
                    static_cast<const int8_t*>(in[1].data) + start * bytes_per_vector,
                    static_cast<const float*>(in[2].data) + channel, bias == nullptr ? nullptr : bias + channel,
                    out[0].data, image * positions_ * outputs_ + channel, finish});
        }
      }
    }
  };
}

}  // namespace precis::plan
