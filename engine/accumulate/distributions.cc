// std's distributions differ between libraries; these use only the generator, whose numbers the standard fixes.
#include "engine/accumulate/distributions.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

namespace precis::accumulate {
namespace {

// Uniform in (0, 1).
double Uniform(std::mt19937& random) { return (static_cast<double>(random()) + 0.5) / 4294967296.0; }

// Standard normal, by Box and Muller.
double Normal(std::mt19937& random) {
  const double radius = std::sqrt(-2 * std::log(Uniform(random)));
  return radius * std::cos(2 * std::numbers::pi * Uniform(random));
}

}  // namespace

Dots UniformSums(int64_t count, int64_t k, uint32_t seed) {
  std::mt19937 random(seed);
  Dots dots{count, k, std::vector<float>(static_cast<size_t>(count * k)), {}};
  for (float& x : dots.a) x = static_cast<float>(1 + std::numbers::sqrt3 * (2 * Uniform(random) - 1));
  return dots;
}

Dots ReluGaussianDots(int64_t count, int64_t k, uint32_t seed) {
  std::mt19937 random(seed);
  const auto size = static_cast<size_t>(count * k);
  Dots dots{count, k, std::vector<float>(size), std::vector<float>(size)};
  for (float& x : dots.a) x = static_cast<float>(std::max(Normal(random), 0.0));
  for (float& x : dots.b) x = static_cast<float>(Normal(random));
  return dots;
}

}  // namespace precis::accumulate
