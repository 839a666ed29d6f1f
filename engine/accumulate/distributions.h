#ifndef PRECIS_ENGINE_ACCUMULATE_DISTRIBUTIONS_H_
#define PRECIS_ENGINE_ACCUMULATE_DISTRIBUTIONS_H_

// Random sums with the statistics that swamping is usually shown on. Equal seeds give equal numbers on every machine.

#include <cstdint>

#include "engine/accumulate/accumulator.h"

namespace precis::accumulate {

// Sums of k numbers uniform in 1 +- sqrt(3): mean 1, standard deviation 1. They grow with k, as Wang et al. choose it.
Dots UniformSums(int64_t count, int64_t k, uint32_t seed);

// Dot products of max(x, 0) and y, both standard normal: a layer behind a ReLU.
Dots ReluGaussianDots(int64_t count, int64_t k, uint32_t seed);

}  // namespace precis::accumulate

#endif  // PRECIS_ENGINE_ACCUMULATE_DISTRIBUTIONS_H_
