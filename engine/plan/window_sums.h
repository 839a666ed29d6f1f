#ifndef PRECIS_ENGINE_PLAN_WINDOW_SUMS_H_
#define PRECIS_ENGINE_PLAN_WINDOW_SUMS_H_

// Sums of an integer convolution over chunks of its input channels, all chunks of a tile of the result before the next tile: exact in s32 within a
// chunk, joined in f32. One oneDNN primitive per chunk pays for each anew: it multiplies the padding, reads and writes the sums so far, and finds
// its weights cold. Needs AVX512-VNNI.

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/ir/op.h"
#include "engine/kernels/kernel.h"
#include "engine/plan/channel_kernels.h"
#include "engine/plan/quantized_kernels.h"

namespace precis::plan {

// Cells of the result that are neighbours in a line, and the cells of their windows that lie inside the image: for all of them, or for
// all but one at an end, where the padding begins.
struct WindowTile {
  struct Cell {
    int64_t source = 0;  // pixels from where the line's windows begin to what the tile's first row reads
    int64_t index = 0;   // in the window
  };
  int64_t first = 0, rows = 0;  // cells of the line
  std::vector<Cell> for_all, for_all_but_first, for_all_but_last;
};

class WindowSums {
 public:
  // For `images` [N,C,H,W], a result of [out_h,out_w] and `outputs` channels. nullopt where the CPU has no such products or has faster ones
  // (AMX), or where the padding cuts a tile in ways that the loops are not compiled for.
  static std::optional<WindowSums> Of(const Shape& images, const ir::Window& window, const Shape& out, int64_t outputs,
                                      std::vector<ChannelRange> chunks);

  // Bytes of the weights as Sums wants them, and how they get there from row-major s8 [outputs,C,kh,kw].
  int64_t packed_bytes() const;
  void Pack(const int8_t* weights, int8_t* packed) const;

  // Scales of the products, [chunks][outputs], as Sums wants them.
  std::vector<float> PadScales(const std::vector<float>& scales) const;

  // Inputs: u8 levels of zero point 0, channels last; the packed weights; the padded scales, f32; bias, f32 [outputs], or absent. Output:
  // [N,out_h,out_w,outputs] of `y`, negative numbers as 0 with `relu`. Reads each chunk's channels by four: those must lie within a pixel.
  kernels::Kernel Sums(const QuantizedOperand& y, bool relu) const;

 private:
  // Lines whose windows have the same lines inside the image share their tiles.
  struct Line {
    int64_t first_tile = 0;  // in tiles_
    int64_t source = 0;  // pixels from the image's first one to where the line's windows begin; negative in the padding
  };
  struct Block;
  // Tiles `first` to `last` of an image, line by line.
  void SumTiles(int64_t first, int64_t last, const Block& block) const;

  Shape images_;
  int64_t window_cells_ = 0, positions_ = 0, outputs_ = 0, pixel_stride_ = 0, tiles_per_line_ = 0;
  std::vector<ChannelRange> chunks_;
  std::vector<WindowTile> tiles_;
  std::vector<Line> lines_;  // of the result
  std::vector<int64_t>
      group_starts_;  // an image's tiles in groups that share what is in the cache; one more at the end
  std::vector<int64_t> block_starts_;  // output channels in blocks, in vectors of 16; one more at the end
};

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_WINDOW_SUMS_H_
