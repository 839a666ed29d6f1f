// One pass finds each scale's range, one for each share of it that is tried finds the error, one writes the levels.
#include <algorithm>
#include <limits>
#include <vector>

#include "engine/base/affine.h"
#include "engine/quant/scale_index.h"
#include "engine/quant/weights.h"

namespace precis::quant {
namespace {

struct Scale {
  float low = 0, high = 0;  // what its levels cover: 0 is always within
  float scale = 1;
  int32_t zero_point = 0;
  double error = 0;
};

}  // namespace

QuantizedWeights QuantizeWeightsAsymmetric(const Tensor& weights, int axis, Granularity granularity, int bits,
                                           const Chunks& chunks) {
  const int32_t lowest = -(1 << (bits - 1)), highest = (1 << (bits - 1)) - 1;
  const auto steps = static_cast<float>(highest - lowest);
  const ScaleIndex index(weights.shape(), axis, granularity, chunks);
  const auto x = weights.As<float>();
  std::vector<Scale> widest(index.count());
  index.ForEach([&](size_t i, size_t scale) {
    Scale& s = widest[scale];
    s.low = std::min(s.low, x[i]);
    s.high = std::max(s.high, x[i]);
  });
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
    index.ForEach([&](size_t i, size_t scale) {
      Scale& s = tried[scale];
      const int32_t q = QuantizeAffine(x[i], s.scale, s.zero_point, lowest, highest);
      const double d = static_cast<double>(x[i]) - static_cast<double>(DequantizeAffine(q, s.scale, s.zero_point));
      s.error += d * d;
    });
    for (size_t k = 0; k < chosen.size(); ++k) {
      if (tried[k].error < chosen[k].error) chosen[k] = tried[k];
    }
  }

  QuantizedWeights result{Tensor(DataType::kS8, weights.shape()), {}};
  const auto q = result.values.As<int8_t>();
  index.ForEach([&](size_t i, size_t scale) {
    const Scale& s = chosen[scale];
    q[i] = static_cast<int8_t>(QuantizeAffine(x[i], s.scale, s.zero_point, lowest, highest));
  });
  result.params = index.Params([&](size_t scale, ir::QuantParams& params) {
    params.scales.push_back(chosen[scale].scale);
    params.zero_points.push_back(chosen[scale].zero_point);
  });
  return result;
}

}  // namespace precis::quant
