// Weights are walked as memory has them, [outer][channels][inner], so that both [O,I,kh,kw] and [K,N] run through vector loops.
#include "engine/quant/weights.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "engine/kernels/multiversion.h"

namespace precis::quant {
namespace {

// A block of [channels][inner] numbers, whose channels lie `stride` apart.
struct Block {
  int64_t channels, inner, stride;
};

// Largest |x| per channel of one block.
struct AbsMax {
  [[gnu::always_inline]] static void Run(const float* x, Block block, float* most) {
    for (int64_t c = 0; c < block.channels; ++c) {
      float m = most[c];
      for (int64_t i = 0; i < block.inner; ++i) {
        const float v = std::fabs(x[c * block.stride + i]);
        m = v > m ? v : m;
      }
      most[c] = m;
    }
  }
};

struct AbsMaxColumns {
  [[gnu::always_inline]] static void Run(const float* x, Block block, float* most) {
    for (int64_t c = 0; c < block.channels; ++c) {
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
  [[gnu::always_inline]] static void Run(const float* x, Block block, const float* scales, float level, int8_t* q) {
    for (int64_t c = 0; c < block.channels; ++c) {
      const float scale = scales[c];
      for (int64_t i = 0; i < block.inner; ++i) q[c * block.stride + i] = Level(x[c * block.stride + i], scale, level);
    }
  }
};

struct QuantizeColumns {
  [[gnu::always_inline]] static void Run(const float* x, Block block, const float* scales, float level, int8_t* q) {
    for (int64_t c = 0; c < block.channels; ++c) q[c] = Level(x[c], scales[c], level);
  }
};

// Adds each channel's squared distance from its levels.
struct AddError {
  [[gnu::always_inline]] static void Run(const float* x, Block block, const float* scales, float level, float* errors) {
    for (int64_t c = 0; c < block.channels; ++c) {
      float sum = errors[c];
      for (int64_t i = 0; i < block.inner; ++i) {
        const float v = x[c * block.stride + i];
        const float d = v - scales[c] * static_cast<float>(Level(v, scales[c], level));
        sum += d * d;
      }
      errors[c] = sum;
    }
  }
};

// Numbers `step` apart become one: what `combine` (of numbers not below 0) makes of them.
void Share(std::span<float> numbers, size_t step, float (*combine)(float, float)) {
  for (size_t c = 0; c < step; ++c) {
    float all = 0;
    for (size_t i = c; i < numbers.size(); i += step) all = combine(all, numbers[i]);
    for (size_t i = c; i < numbers.size(); i += step) numbers[i] = all;
  }
}
float Largest(float a, float b) { return std::max(a, b); }
float Add(float a, float b) { return a + b; }

}  // namespace

QuantizedWeights QuantizeWeights(const Tensor& weights, int axis, Granularity granularity, int max_level,
                                 const Chunks& chunks) {
  const Shape& shape = weights.shape();
  const std::vector<int64_t> strides = RowMajorStrides(shape);
  const int64_t channels = shape[static_cast<size_t>(axis)], stride = strides[static_cast<size_t>(axis)];
  const int64_t outer = channels * stride == 0 ? 0 : weights.num_elements() / (channels * stride);
  const size_t per_chunk = static_cast<size_t>(channels), other = axis == 0 ? 1 : 0;
  const int64_t inputs = shape.size() < 2 ? 1 : shape[other];
  const size_t count = chunks.size == 0 ? 1 : static_cast<size_t>((inputs + chunks.size - 1) / chunks.size);
  // f(block, its first element, its chunk): chunks cut the rows of axis 0, and group the blocks of axis 1.
  const auto for_each_block = [&](auto f) {
    for (int64_t o = 0; o < outer; ++o) {
      const int64_t step = axis == 0 && chunks.size > 0 ? chunks.size * strides[1] : stride;
      for (int64_t i = 0; i < stride; i += step) {
        const int64_t chunk = chunks.size == 0 ? 0 : axis == 0 ? i / step : o / chunks.size;
        f(Block{channels, std::min(step, stride - i), stride}, o * channels * stride + i,
          static_cast<size_t>(chunk) * per_chunk);
      }
    }
  };
  const float* x = weights.As<float>().data();
  std::vector<float> scales(per_chunk * count, 0.0f);
  const auto abs_max =
      stride == 1 ? kernels::Best<AbsMaxColumns>(AbsMaxColumns::Run) : kernels::Best<AbsMax>(AbsMax::Run);
  for_each_block([&](Block block, int64_t at, size_t scale) { abs_max(x + at, block, scales.data() + scale); });
  if (!chunks.own_scales) Share(scales, per_chunk, Largest);
  if (granularity == Granularity::kPerTensor) {
    for (size_t k = 0; k < count; ++k) Share(std::span(scales).subspan(k * per_chunk, per_chunk), 1, Largest);
  }
  const auto level = static_cast<float>(max_level);
  for (float& s : scales) s = s > 0 ? std::max(s / level, std::numeric_limits<float>::min()) : 1.0f;
  if (max_level < kFullLevels) {
    // Sums of squares are shared just as the largest weights are, so that scales which must agree choose alike.
    const std::vector<float> widest = scales;
    std::vector<float> least(scales.size(), std::numeric_limits<float>::infinity());
    const auto add_error = kernels::Best<AddError>(AddError::Run);
    for (int share = kScaleShares; share > 0; --share) {
      std::vector<float> tried = widest, errors(scales.size(), 0.0f);
      for (float& s : tried) s *= static_cast<float>(share) / kScaleShares;
      for_each_block([&](Block block, int64_t at, size_t scale) {
        add_error(x + at, block, tried.data() + scale, level, errors.data() + scale);
      });
      if (!chunks.own_scales) Share(errors, per_chunk, Add);
      if (granularity == Granularity::kPerTensor) {
        for (size_t k = 0; k < count; ++k) Share(std::span(errors).subspan(k * per_chunk, per_chunk), 1, Add);
      }
      for (size_t i = 0; i < scales.size(); ++i) {
        if (errors[i] < least[i]) least[i] = errors[i], scales[i] = tried[i];
      }
    }
  }

  QuantizedWeights result{Tensor(DataType::kS8, shape), {}};
  int8_t* q = result.values.As<int8_t>().data();
  const auto quantize =
      stride == 1 ? kernels::Best<QuantizeColumns>(QuantizeColumns::Run) : kernels::Best<Quantize>(Quantize::Run);
  for_each_block(
      [&](Block block, int64_t at, size_t scale) { quantize(x + at, block, scales.data() + scale, level, q + at); });
  result.params.chunk = chunks.size;
  if (granularity == Granularity::kPerTensor && chunks.size == 0 && channels > 0) {
    result.params.scales = {scales[0]};
  } else {
    result.params.scales = std::move(scales);
    result.params.axis = axis;
  }
  return result;
}

int MaxWeightLevel(bool has_vnni, int bits) { return std::min(has_vnni ? 127 : 63, (1 << (bits - 1)) - 1); }

bool AllFinite(const Tensor& f32) {
  const auto values = f32.As<float>();
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

}  // namespace precis::quant
