// Weights are walked as memory has them, [outer][channels][inner], so that both [O,I,kh,kw] and [K,N] run through vector loops.
#include "engine/quant/weights.h"

#include <algorithm>
#include <cmath>

#include "engine/kernels/multiversion.h"

namespace precis::quant {
namespace {

// Largest |x| per channel of one [channels][inner] block.
struct AbsMax {
  [[gnu::always_inline]] static void Run(const float* x, int64_t channels, int64_t inner, float* most) {
    for (int64_t c = 0; c < channels; ++c) {
      float m = most[c];
      for (int64_t i = 0; i < inner; ++i) {
        const float v = std::fabs(x[c * inner + i]);
        m = v > m ? v : m;
      }
      most[c] = m;
    }
  }
};

struct AbsMaxColumns {
  [[gnu::always_inline]] static void Run(const float* x, int64_t channels, int64_t /*inner*/, float* most) {
    for (int64_t c = 0; c < channels; ++c) {
      const float v = std::fabs(x[c]);
      most[c] = v > most[c] ? v : most[c];
    }
  }
};

// The affine rule of engine/base/affine.h for zero point 0; no NaN comes in, and |x / scale| <= level up to rounding.
[[gnu::always_inline]] inline int8_t Level(float x, float scale, float level) {
  const float q = std::nearbyint(x / scale);
  return static_cast<int8_t>(static_cast<int32_t>(std::min(std::max(q, -level), level)));
}

struct Quantize {
  [[gnu::always_inline]] static void Run(const float* x, int64_t channels, int64_t inner, const float* scales,
                                         float level, int8_t* q) {
    for (int64_t c = 0; c < channels; ++c) {
      const float scale = scales[c];
      for (int64_t i = 0; i < inner; ++i) q[c * inner + i] = Level(x[c * inner + i], scale, level);
    }
  }
};

struct QuantizeColumns {
  [[gnu::always_inline]] static void Run(const float* x, int64_t channels, int64_t /*inner*/, const float* scales,
                                         float level, int8_t* q) {
    for (int64_t c = 0; c < channels; ++c) q[c] = Level(x[c], scales[c], level);
  }
};

}  // namespace

QuantizedWeights QuantizeWeights(const Tensor& weights, int axis, Granularity granularity, int max_level) {
  const Shape& shape = weights.shape();
  const int64_t channels = shape[static_cast<size_t>(axis)];
  const int64_t inner = RowMajorStrides(shape)[static_cast<size_t>(axis)];
  const int64_t block = channels * inner, outer = block == 0 ? 0 : weights.num_elements() / block;
  const float* x = weights.As<float>().data();
  std::vector<float> scales(static_cast<size_t>(channels), 0.0f);
  const auto abs_max =
      inner == 1 ? kernels::Best<AbsMaxColumns>(AbsMaxColumns::Run) : kernels::Best<AbsMax>(AbsMax::Run);
  for (int64_t o = 0; o < outer; ++o) abs_max(x + o * block, channels, inner, scales.data());
  if (granularity == Granularity::kPerTensor && channels > 0) {
    std::fill(scales.begin(), scales.end(), *std::max_element(scales.begin(), scales.end()));
  }
  const auto level = static_cast<float>(max_level);
  for (float& s : scales) s = s > 0 ? std::max(s / level, std::numeric_limits<float>::min()) : 1.0f;

  QuantizedWeights result{Tensor(DataType::kS8, shape), {}};
  int8_t* q = result.values.As<int8_t>().data();
  const auto quantize =
      inner == 1 ? kernels::Best<QuantizeColumns>(QuantizeColumns::Run) : kernels::Best<Quantize>(Quantize::Run);
  for (int64_t o = 0; o < outer; ++o) quantize(x + o * block, channels, inner, scales.data(), level, q + o * block);
  if (granularity == Granularity::kPerTensor && channels > 0) {
    result.params.scales = {scales[0]};
  } else {
    result.params.scales = std::move(scales);
    result.params.axis = axis;
  }
  return result;
}

int MaxWeightLevel(bool has_vnni) { return has_vnni ? 127 : 63; }

bool AllFinite(const Tensor& f32) {
  const auto values = f32.As<float>();
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

}  // namespace precis::quant
