// Weights that share a scale are gathered, their levels are found (level_fit.h), and each is put on the nearest.
#include <cmath>
#include <span>
#include <vector>

#include "engine/quant/level_fit.h"
#include "engine/quant/scale_index.h"
#include "engine/quant/weights.h"

namespace precis::quant {
namespace {

// 0 where the scheme has it, and the positive levels.
std::vector<int> MagnitudesOf(WeightScheme scheme, int bits) {
  if (scheme == WeightScheme::kBinary) return {1};
  std::vector<int> levels = {0, 1};
  if (scheme == WeightScheme::kLog2) {
    while (levels.size() < size_t{1} << (bits - 1)) levels.push_back(2 * levels.back());
  }
  return levels;
}

QuantizedWeights QuantizeToScheme(const Tensor& weights, int axis, const WeightPolicy& policy, bool has_vnni,
                                  const Chunks& chunks) {
  const ScaleIndex index(weights.shape(), axis, policy.granularity, chunks);
  const auto w = weights.As<float>();
  std::vector<size_t> ends(index.count() + 1, 0);  // of each scale's weights among the gathered, one place on
  index.ForEach([&](size_t, size_t scale) { ++ends[scale + 1]; });
  for (size_t s = 1; s < ends.size(); ++s) ends[s] += ends[s - 1];
  std::vector<float> gathered(w.size());
  {
    std::vector<size_t> at = ends;
    index.ForEach([&](size_t i, size_t scale) { gathered[at[scale]++] = w[i]; });
  }
  const std::vector<int> magnitudes = MagnitudesOf(policy.scheme, policy.bits);
  std::vector<LevelFit> fits;
  for (size_t s = 0; s < index.count(); ++s) {
    const std::span<float> own = std::span(gathered).subspan(ends[s], ends[s + 1] - ends[s]);
    if (policy.scheme == WeightScheme::kCodebook) {
      fits.push_back(FitCodebook(own, 1 << policy.bits, MaxWeightLevel(has_vnni)));
    } else {
      for (float& x : own) x = std::fabs(x);
      fits.push_back(FitScale(magnitudes, own));
    }
  }
  QuantizedWeights result{Tensor(DataType::kS8, weights.shape()), {}};
  const auto q = result.values.As<int8_t>();
  index.ForEach([&](size_t i, size_t scale) { q[i] = NearestLevel(fits[scale].levels, w[i] / fits[scale].scale); });
  result.params = index.Params([&](size_t s, ir::QuantParams& params) { params.scales.push_back(fits[s].scale); });
  return result;
}

}  // namespace

QuantizedWeights QuantizeByPolicy(const Tensor& weights, int axis, const WeightPolicy& policy, bool has_vnni,
                                  const Chunks& chunks) {
  if (policy.scheme != WeightScheme::kAffine) return QuantizeToScheme(weights, axis, policy, has_vnni, chunks);
  if (!policy.symmetric) return QuantizeWeightsAsymmetric(weights, axis, policy.granularity, policy.bits, chunks);
  return QuantizeWeights(weights, axis, policy.granularity, MaxWeightLevel(has_vnni, policy.bits), chunks);
}

}  // namespace precis::quant
