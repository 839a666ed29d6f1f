#ifndef PRECIS_STATS_INTERVAL_H_
#define PRECIS_STATS_INTERVAL_H_

// 95 % confidence intervals, and tests of paired yes/no outcomes. Pure functions.

#include <cstdint>
#include <optional>

namespace precis::stats {

// The 0.975 quantile of the standard normal distribution: two-sided 95 %.
inline constexpr double kNormalQuantile = 1.959963984540054;

struct Interval {
  double low = 0, high = 0;
};

// A measured value with its 95 % interval, where there are samples enough for one.
struct Estimate {
  double value = 0;
  std::optional<Interval> interval;
};

// Wilson score interval of a ratio in [0, 1] seen in `trials` independent trials (E. B. Wilson, "Probable inference, the law
// of succession, and statistical inference", JASA 22, 1927). Never leaves [0, 1] and never collapses at 0 or 1. [0, 1]
// without trials.
Interval WilsonInterval(double ratio, int64_t trials);

// successes / trials with its Wilson interval; no interval without trials.
Estimate RatioOf(int64_t successes, int64_t trials);

// Two classifiers on the same samples, A the reference: how often each was right. Sums add up: merge by adding fields.
struct PairedOutcomes {
  int64_t both = 0, only_a = 0, only_b = 0, neither = 0;

  void Add(bool a, bool b);
  void Merge(const PairedOutcomes& other);
  int64_t total() const { return both + only_a + only_b + neither; }
};

// Exact two-sided p-value of McNemar's test that A and B are right equally often (Q. McNemar, Psychometrika 12, 1947): the
// binomial test of the discordant pairs against 1/2. 1 when there are none.
double McNemarPValue(const PairedOutcomes& outcomes);

// Share right of B minus that of A, with the interval of A. Agresti and Y. Min ("Simple improved confidence intervals for
// comparing matched proportions", Statistics in Medicine 24, 2005): Wald's after half an observation more in each cell, kept
// in [-1, 1]. No interval without samples.
Estimate PairedDifference(const PairedOutcomes& outcomes);

}  // namespace precis::stats

#endif  // PRECIS_STATS_INTERVAL_H_
