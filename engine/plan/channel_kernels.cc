// Runs are short, and copied by vectors inline. Blocks of positions keep what several outputs take from one input in the cache.
#include "engine/plan/channel_kernels.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace precis::plan {
namespace {

// Copies a run of bytes; for a short one memcpy's dispatch on a variable length would be most of the work.
inline void CopyRun(const uint8_t* from, int64_t count, uint8_t* to) {
  constexpr int64_t kVector = 16, kLong = 512;
  if (count < kVector) {
    std::copy_n(from, count, to);
    return;
  }
  if (count >= kLong) {
    std::memcpy(to, from, static_cast<size_t>(count));
    return;
  }
  for (int64_t i = 0; i + kVector <= count; i += kVector) std::memcpy(to + i, from + i, kVector);
  std::memcpy(to + count - kVector, from + count - kVector, kVector);  // the tail, overlapping
}

// Calls body(first, last) for blocks of positions, on the step's team.
template <typename Body>
void ForBlocks(int64_t positions, const Body& body) {
  constexpr int64_t kPositions = 64;
  const int64_t blocks = (positions + kPositions - 1) / kPositions;
#pragma omp parallel for if (blocks > 4) schedule(static)
  for (int64_t block = 0; block < blocks; ++block)
    body(block * kPositions, std::min((block + 1) * kPositions, positions));
}

}  // namespace

kernels::Kernel SplitChannels(int64_t positions, int64_t channels, const std::vector<ChannelRange>& parts,
                              int64_t element_bytes) {
  return [=](std::span<const TensorView> in, std::span<const kernels::MutableTensorView> out) {
    const auto* from = static_cast<const uint8_t*>(in[0].data);
    ForBlocks(positions, [&](int64_t first, int64_t last) {
      for (size_t i = 0; i < parts.size(); ++i) {
        auto* to = static_cast<uint8_t*>(out[i].data);
        const int64_t bytes = parts[i].count * element_bytes;
        for (int64_t p = first; p < last; ++p)
          CopyRun(from + (p * channels + parts[i].first) * element_bytes, bytes, to + p * bytes);
      }
    });
  };
}

kernels::Kernel JoinChannels(int64_t positions, const std::vector<int64_t>& counts, int64_t element_bytes) {
  const int64_t whole = std::accumulate(counts.begin(), counts.end(), int64_t{0}) * element_bytes;
  return [=](std::span<const TensorView> in, std::span<const kernels::MutableTensorView> out) {
    auto* to = static_cast<uint8_t*>(out[0].data);
    ForBlocks(positions, [&](int64_t first, int64_t last) {
      int64_t begin = 0;
      for (size_t i = 0; i < counts.size(); ++i) {
        const auto* from = static_cast<const uint8_t*>(in[i].data);
        const int64_t bytes = counts[i] * element_bytes;
        for (int64_t p = first; p < last; ++p) CopyRun(from + p * bytes, bytes, to + p * whole + begin);
        begin += bytes;
      }
    });
  };
}

kernels::Kernel WindowRows(const Shape& images, const ir::Window& window, const Shape& out, uint8_t padding,
                           const std::vector<int64_t>& counts) {
  const int64_t height = images[1], width = images[2], rows = images[0] * out[0];
  const int64_t kernel_h = window.kernel[0], kernel_w = window.kernel[1];
  const auto parts = static_cast<int64_t>(counts.size());
  return [=](std::span<const TensorView> in, std::span<const kernels::MutableTensorView> results) {
#pragma omp parallel for collapse(2) if (rows * parts > 4) schedule(static)
    for (int64_t part = 0; part < parts; ++part) {
      for (int64_t row = 0; row < rows; ++row) {
        const int64_t channels = counts[static_cast<size_t>(part)];
        const auto* source = static_cast<const uint8_t*>(in[static_cast<size_t>(part)].data);
        const int64_t n = row / out[0], top = row % out[0] * window.strides[0] - window.pads_begin[0];
        auto* to = static_cast<uint8_t*>(results[static_cast<size_t>(part)].data) +
                   row * out[1] * kernel_h * kernel_w * channels;
        for (int64_t ox = 0; ox < out[1]; ++ox) {
          const int64_t left = ox * window.strides[1] - window.pads_begin[1];
          // Neighbouring cells are neighbours in memory too.
          const bool in_one_run = window.dilations[1] == 1 && left >= 0 && left + kernel_w <= width;
          for (int64_t ky = 0; ky < kernel_h; ++ky, to += kernel_w * channels) {
            const int64_t y = top + ky * window.dilations[0];
            if (y < 0 || y >= height) {
              std::fill_n(to, kernel_w * channels, padding);
              continue;
            }
            const uint8_t* line = source + (n * height + y) * width * channels;
            if (in_one_run) {
              CopyRun(line + left * channels, kernel_w * channels, to);
              continue;
            }
            for (int64_t kx = 0; kx < kernel_w; ++kx) {
              const int64_t x = left + kx * window.dilations[1];
              if (x >= 0 && x < width) {
                CopyRun(line + x * channels, channels, to + kx * channels);
              } else {
                std::fill_n(to + kx * channels, channels, padding);
              }
            }
          }
        }
      }
    }
  };
}

}  // namespace precis::plan
