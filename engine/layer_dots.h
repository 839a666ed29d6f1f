#ifndef PRECIS_ENGINE_LAYER_DOTS_H_
#define PRECIS_ENGINE_LAYER_DOTS_H_

// What a model's layers really sum: dot products of one layer's weights with what flows into it at f32. For measuring narrow
// accumulators (engine/accumulate) on it; no part of serving.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/accumulate/accumulator.h"

namespace precis {

struct LayerDots {
  std::string layer, op;  // "features.0", "Conv"
  int64_t samples = 0;    // inputs of the network that the dot products come from
  accumulate::Dots dots;
};

// Draws `count` dot products (fewer than that only where the division among samples leaves some over; never more terms than
// fit: see kMostTerms) of the layer called `layer` of the ONNX file `model_path`. The first samples of `calibration_dir` (as
// int8 calibration reads it) are the network's inputs; without one they are random: standard normal floats, ones for integers.
// Errors: as Model::Open; NotFound lists the layers there are; Unimplemented where the layer is not a product of f32 values;
// those of the samples.
absl::StatusOr<LayerDots> DrawLayerDots(const std::string& model_path, const std::string& layer,
                                        const std::string& calibration_dir, int64_t count, uint32_t seed);

// Terms of all dot products together: 128 MB with their two operands.
inline constexpr int64_t kMostTerms = 16 << 20;

}  // namespace precis

#endif  // PRECIS_ENGINE_LAYER_DOTS_H_
