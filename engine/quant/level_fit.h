#ifndef PRECIS_ENGINE_QUANT_LEVEL_FIT_H_
#define PRECIS_ENGINE_QUANT_LEVEL_FIT_H_

// The few integers and the scale that describe a set of weights best: with the least squared error when every weight is put on the
// nearest of them.

#include <cstdint>
#include <span>
#include <vector>

namespace precis::quant {

// Weights are scale * level. Levels ascend.
struct LevelFit {
  float scale = 1;
  std::vector<int8_t> levels;
};

// Of levels that are given, with either sign: the best scale there is. `levels` are not negative and ascend; those of ternary weights
// are {0, 1}, of binary ones {1}. `magnitudes` are |w|, finite, and come back in another order; where all are 0 the scale is 1, or
// next to nothing when 0 is no level.
LevelFit FitScale(std::span<const int> levels, std::span<float> magnitudes);

// The best `count` of the levels from -max_level to max_level, with the scale at which the largest weight is max_level: k-means whose
// centroids are levels. Fewer where fewer are needed. Finite weights, max_level at most 127.
LevelFit FitCodebook(std::span<const float> weights, int count, int max_level);

// The one that is closest to x; ties go to the larger. At least one level.
int8_t NearestLevel(std::span<const int8_t> levels, float x);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_LEVEL_FIT_H_
