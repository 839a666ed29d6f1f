#ifndef PRECIS_ENGINE_PLAN_CHANNEL_KERNELS_H_
#define PRECIS_ENGINE_PLAN_CHANNEL_KERNELS_H_

// Cuts and joints along the channels of channels-last data, where each position holds its channels in one run. oneDNN copies such runs one
// call at a time, and cuts them only by way of reorders.

#include <cstdint>
#include <vector>

#include "engine/ir/op.h"
#include "engine/kernels/kernel.h"

namespace precis::plan {

struct ChannelRange {
  int64_t first = 0, count = 0;
};

// Dense copies of ranges of the channels of [positions][channels] elements of `element_bytes`: output i is [positions][parts[i].count].
kernels::Kernel SplitChannels(int64_t positions, int64_t channels, const std::vector<ChannelRange>& parts,
                              int64_t element_bytes);

// The other way: input i is [positions][counts[i]], the output [positions][sum of counts], one input's channels after the other's.
kernels::Kernel JoinChannels(int64_t positions, const std::vector<int64_t>& counts, int64_t element_bytes);

// What each cell of a convolution's result reads, as rows of a matrix: input i holds channels-last images of counts[i] channels,
// [N,H,W] of them as `images` says, output i is [N * out_h * out_w][window cells][counts[i]]. Cells in the padding hold `padding`. `out` is
// the result's [out_h, out_w].
kernels::Kernel WindowRows(const Shape& images, const ir::Window& window, const Shape& out, uint8_t padding,
                           const std::vector<int64_t>& counts);

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_CHANNEL_KERNELS_H_
