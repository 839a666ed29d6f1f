#ifndef PRECIS_ENGINE_QUANT_WEIGHTS_H_
#define PRECIS_ENGINE_QUANT_WEIGHTS_H_

#include <cstdint>
#include <vector>

#include "engine/ir/graph.h"
#include "engine/quant/policy.h"

namespace precis::quant {

struct QuantizedWeights {
  Tensor values;           // s8, shape of the weights
  ir::QuantParams params;  // symmetric; scales along `axis`, or one for all
};

// How a sum over the weights' input channels is cut.
struct Chunks {
  int64_t size = 0;         // input channels per chunk; 0: one sum
  bool own_scales = false;  // scales of each chunk's own, else each chunk repeats those of the whole
};

// Symmetric s8 weights per index of `axis` (kPerChannel) or over all (kPerTensor), levels within [-max_level, max_level]. scale is
// max|w| / max_level; below kFullLevels, where the few levels count for more than the largest weights, the share of it with the least mean
// squared error. Channels of zeros get scale 1. Requires f32 weights without NaN or infinity; `axis` is 0 or 1, and chunks run along the
// other of the two.
QuantizedWeights QuantizeWeights(const Tensor& weights, int axis, Granularity granularity, int max_level,
                                 const Chunks& chunks = {});

// s8 weights with a zero point for each scale, levels of `bits` bits from -2^(bits-1) on; scales are shared as above. The range is from the
// least to the largest weight, and 0; below 7 bits the share of it with the least mean squared error. No integer layer computes with
// them: they are for simulation.
QuantizedWeights QuantizeWeightsAsymmetric(const Tensor& weights, int axis, Granularity granularity, int bits,
                                           const Chunks& chunks = {});

// The weights as `policy` has them, whose granularity along K is in `chunks` already. Of schemes other than kAffine the scale (per channel, or
// as above) and of kCodebook the levels too are those with the least squared error (level_fit.h).
QuantizedWeights QuantizeByPolicy(const Tensor& weights, int axis, const WeightPolicy& policy, bool has_vnni,
                                  const Chunks& chunks = {});

// From this largest level on the whole range is kept: clipping gains nothing on trained weights.
inline constexpr int kFullLevels = 63;
// Below it scales are tried in this many equal steps down from the widest.
inline constexpr int kScaleShares = 24;

// Largest weight level of `bits` bits: 2^(bits-1) - 1, and no more than 63 where u8 x s8 products are summed in pairs in s16
// (255 * 63 * 2 = 32130 fits, and so does the 64 of LOG2; 255 * 65 * 2 does not).
int MaxWeightLevel(bool has_vnni, int bits = 8);

bool AllFinite(const Tensor& f32);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_WEIGHTS_H_
