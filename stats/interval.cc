#include "stats/interval.h"

#include <algorithm>
#include <cmath>

namespace precis::stats {

Interval WilsonInterval(double ratio, int64_t trials) {
  if (trials <= 0) return {0, 1};
  const double n = static_cast<double>(trials), z2 = kNormalQuantile * kNormalQuantile;
  const double centre = (ratio + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kNormalQuantile / (1 + z2 / n) * std::sqrt(ratio * (1 - ratio) / n + z2 / (4 * n * n));
  // At 0 and 1 rounding would leave the bound a hair inside.
  return {ratio <= 0 ? 0 : std::max(centre - half, 0.0), ratio >= 1 ? 1 : std::min(centre + half, 1.0)};
}

Estimate RatioOf(int64_t successes, int64_t trials) {
  if (trials <= 0) return {};
  const double ratio = static_cast<double>(successes) / static_cast<double>(trials);
  return {ratio, WilsonInterval(ratio, trials)};
}

void PairedOutcomes::Add(bool a, bool b) { ++(a ? (b ? both : only_a) : (b ? only_b : neither)); }

void PairedOutcomes::Merge(const PairedOutcomes& other) {
  both += other.both;
  only_a += other.only_a;
  only_b += other.only_b;
  neither += other.neither;
}

double McNemarPValue(const PairedOutcomes& outcomes) {
  const int64_t discordant = outcomes.only_a + outcomes.only_b;
  const int64_t fewer = std::min(outcomes.only_a, outcomes.only_b);
  const double n = static_cast<double>(discordant);
  double tail = 0;  // P(X <= fewer), X ~ Binomial(discordant, 1/2); in logarithms, as the coefficients overflow
  for (int64_t i = 0; i <= fewer; ++i) {
    const double k = static_cast<double>(i);
    tail += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) - n * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

Estimate PairedDifference(const PairedOutcomes& outcomes) {
  if (outcomes.total() == 0) return {};
  const double n = static_cast<double>(outcomes.total());
  const double lost = static_cast<double>(outcomes.only_a), won = static_cast<double>(outcomes.only_b);
  const double centre = (won - lost) / (n + 2);
  const double variance = (won + lost + 1 - (won - lost) * (won - lost) / (n + 2)) / ((n + 2) * (n + 2));
  const double half = kNormalQuantile * std::sqrt(variance);
  return {(won - lost) / n, Interval{std::max(centre - half, -1.0), std::min(centre + half, 1.0)}};
}

}  // namespace precis::stats
