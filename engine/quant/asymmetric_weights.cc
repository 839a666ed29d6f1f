// One pass finds each scale's range, one for each share of it that is tried finds the error, one writes the levels.
#include <algorithm>
#include <limits>
#include <vector>

#include "engine/base/affine.h"
#include "engine/quant/weights.h"

namespace precis::quant {
namespace {

struct Scale {
  float low = 0, high = 0;  // what its levels cover: 0 is always within
  float scale = 1;
  int32_t zero_point = 0;
  double error = 0;
};

// Which scale each weight has: one for all, or one per channel of each chunk (chunk 0 only, where chunks share).
class ScaleIndex {
 public:
  ScaleIndex(const Shape& shape, int axis, Granularity granularity, const Chunks& chunks)
      : strides_(RowMajorStrides(shape)),
        axis_(static_cast<size_t>(axis)),
        other_(axis == 0 ? 1 : 0),
        channels_(shape[axis_]),
        inputs_(shape.size() < 2 ? 1 : shape[other_]),
        chunk_(chunks.size > 0 && chunks.own_scales ? chunks.size : inputs_),
        per_tensor_(granularity == Granularity::kPerTensor) {}

  int64_t count() const { return Chunk(inputs_ - 1) * Step() + Step(); }
  size_t operator()(int64_t element) const {
    const int64_t input = strides_.size() < 2 ? 0 : element / strides_[other_] % inputs_;
    return At(Chunk(input), element / strides_[axis_] % channels_);
  }
  size_t At(int64_t chunk, int64_t channel) const {
    return static_cast<size_t>(chunk * Step() + (per_tensor_ ? 0 : channel));
  }
  int64_t Chunk(int64_t input) const { return input / chunk_; }
  int64_t channels() const { return channels_; }
  int64_t inputs() const { return inputs_; }

 private:
  int64_t Step() const { return per_tensor_ ? 1 : channels_; }

  const std::vector<int64_t> strides_;
  const size_t axis_, other_;
  const int64_t channels_, inputs_, chunk_;
  const bool per_tensor_;
};

}  // namespace

QuantizedWeights QuantizeWeightsAsymmetric(const Tensor& weights, int axis, Granularity granularity, int bits,
                                           const Chunks& chunks) {
  const int32_t lowest = -(1 << (bits - 1)), highest = (1 << (bits - 1)) - 1;
  const auto steps = static_cast<float>(highest - lowest);
  const ScaleIndex index(weights.shape(), axis, granularity, chunks);
  const auto x = weights.As<float>();
  std::vector<Scale> widest(static_cast<size_t>(std::max<int64_t>(index.count(), 1)));
  for (size_t i = 0; i < x.size(); ++i) {
    Scale& s = widest[index(static_cast<int64_t>(i))];
    s.low = std::min(s.low, x[i]);
    s.high = std::max(s.high, x[i]);
  }
  const auto fit = [&](Scale& s, float share) {
    const float span = (s.high - s.low) * share;
    s.scale = span > 0 ? std::max(span / steps, std::numeric_limits<float>::min()) : 1.0f;
    s.zero_point = std::clamp(lowest + static_cast<int32_t>(std::nearbyint(-s.low * share / s.scale)), lowest, highest);
  };
  std::vector<Scale> chosen = widest;
  for (Scale& s : chosen) {
    fit(s, 1);
    s.error = std::numeric_limits<double>::infinity();
  }
  for (int share = kScaleShares; highest < kFullLevels && share > 0; --share) {
    std::vector<Scale> tried = widest;
    for (Scale& s : tried) fit(s, static_cast<float>(share) / kScaleShares);
    for (size_t i = 0; i < x.size(); ++i) {
      Scale& s = tried[index(static_cast<int64_t>(i))];
      const int32_t q = QuantizeAffine(x[i], s.scale, s.zero_point, lowest, highest);
      const double d = static_cast<double>(x[i]) - static_cast<double>(DequantizeAffine(q, s.scale, s.zero_point));
      s.error += d * d;
    }
    for (size_t k = 0; k < chosen.size(); ++k) {
      if (tried[k].error < chosen[k].error) chosen[k] = tried[k];
    }
  }

  QuantizedWeights result{Tensor(DataType::kS8, weights.shape()), {}};
  const auto q = result.values.As<int8_t>();
  for (size_t i = 0; i < x.size(); ++i) {
    const Scale& s = chosen[index(static_cast<int64_t>(i))];
    q[i] = static_cast<int8_t>(QuantizeAffine(x[i], s.scale, s.zero_point, lowest, highest));
  }
  const auto add = [&](const Scale& s) {
    result.params.scales.push_back(s.scale);
    result.params.zero_points.push_back(s.zero_point);
  };
  if (granularity == Granularity::kPerTensor && chunks.size == 0) {
    add(chosen[0]);
    return result;
  }
  result.params.axis = axis;
  result.params.chunk = chunks.size;
  const int64_t step = chunks.size > 0 ? chunks.size : index.inputs();
  for (int64_t input = 0; input < index.inputs(); input += step) {
    for (int64_t c = 0; c < index.channels(); ++c) add(chosen[index.At(index.Chunk(input), c)]);
  }
  return result;
}

}  // namespace precis::quant
