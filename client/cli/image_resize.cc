// Resampling as Pillow does it (src/libImaging/Resample.c): two separable passes, columns first, over 8-bit pixels. The
// triangle filter is stretched by the scale when the image shrinks; its weights are integers with 22 fraction bits.

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "client/cli/image.h"

namespace precis::cli {
namespace {

constexpr int kWeightBits = 32 - 8 - 2;  // 8-bit pixels times weights, and a sign and some slack, fit 32 bits
constexpr int kChannels = 3;

// The source pixels that make one pixel of the result.
struct Window {
  int first;
  std::vector<int32_t> weights;
};

// One window for each of `to` pixels made of `from`.
std::vector<Window> TriangleWindows(int from, int to) {
  const double scale = static_cast<double>(from) / to;
  const double filter_scale = std::max(scale, 1.0);
  const double support = 1.0 * filter_scale;
  std::vector<Window> windows(to);
  for (int i = 0; i < to; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int last = std::min(static_cast<int>(center + support + 0.5), from);
    std::vector<double> weights(last - first);
    double sum = 0;
    for (int x = first; x < last; ++x) {
      const double distance = std::abs((x - center + 0.5) * (1.0 / filter_scale));
      sum += weights[x - first] = std::max(1.0 - distance, 0.0);
    }
    windows[i].first = first;
    for (const double weight : weights) {
      windows[i].weights.push_back(static_cast<int32_t>(weight / sum * (1 << kWeightBits) + 0.5));
    }
  }
  return windows;
}

uint8_t Weighted(const uint8_t* pixels, int stride, const Window& window) {
  int32_t sum = 1 << (kWeightBits - 1);
  for (size_t i = 0; i < window.weights.size(); ++i) sum += pixels[(window.first + i) * stride] * window.weights[i];
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

}  // namespace

Image Resize(const Image& image, int width, int height) {
  Image wide = image;
  if (width != image.width) {
    const std::vector<Window> windows = TriangleWindows(image.width, width);
    wide = {width, image.height, std::vector<uint8_t>(size_t{kChannels} * width * image.height)};
    for (int y = 0; y < image.height; ++y) {
      const uint8_t* row = image.rgb.data() + size_t{kChannels} * y * image.width;
      uint8_t* out = wide.rgb.data() + size_t{kChannels} * y * width;
      for (int i = 0; i < width * kChannels; ++i)
        out[i] = Weighted(row + i % kChannels, kChannels, windows[i / kChannels]);
    }
  }
  if (height == wide.height) return wide;
  const std::vector<Window> windows = TriangleWindows(wide.height, height);
  const int stride = kChannels * wide.width;
  Image result{width, height, std::vector<uint8_t>(size_t{kChannels} * width * height)};
  for (int y = 0; y < height; ++y) {
    for (int i = 0; i < stride; ++i) {
      result.rgb[size_t{1} * y * stride + i] = Weighted(wide.rgb.data() + i, stride, windows[y]);
    }
  }
  return result;
}

Image ResizeShorterSide(const Image& image, int size) {
  const auto longer = [size](int side, int shorter) { return static_cast<int>(int64_t{size} * side / shorter); };
  if (image.width <= image.height) return Resize(image, size, longer(image.height, image.width));
  return Resize(image, longer(image.width, image.height), size);
}

absl::StatusOr<Image> CenterCrop(const Image& image, int width, int height) {
  if (width > image.width || height > image.height) {
    return absl::InvalidArgumentError(
        absl::StrCat("image of ", image.width, "x", image.height, " is too small for a crop of ", width, "x", height));
  }
  // Python's round: halves go to the even number.
  const int left = static_cast<int>(std::nearbyint((image.width - width) / 2.0));
  const int top = static_cast<int>(std::nearbyint((image.height - height) / 2.0));
  Image result{width, height, {}};
  result.rgb.reserve(size_t{kChannels} * width * height);
  for (int y = 0; y < height; ++y) {
    const auto row = image.rgb.begin() + size_t{kChannels} * ((top + y) * image.width + left);
    result.rgb.insert(result.rgb.end(), row, row + kChannels * width);
  }
  return result;
}

}  // namespace precis::cli
