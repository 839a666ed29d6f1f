#include "stats/interval.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "stats/percentile.h"

namespace precis::stats {
namespace {

TEST(WilsonIntervalTest, SolvesItsDefiningEquation) {
  // The bounds are those p at which the observed ratio lies just z standard errors away.
  for (const auto& [successes, trials] : {std::pair{81, 100}, {9, 10}, {327, 400}, {1, 1000}}) {
    const double n = trials, ratio = successes / n;
    const Interval interval = WilsonInterval(ratio, trials);
    for (const double p : {interval.low, interval.high}) {
      EXPECT_NEAR(std::abs(ratio - p), kNormalQuantile * std::sqrt(p * (1 - p) / n), 1e-12);
    }
    EXPECT_LT(interval.low, ratio);
    EXPECT_GT(interval.high, ratio);
  }
}

TEST(WilsonIntervalTest, EndsAtZeroAndOneButDoesNotCollapse) {
  EXPECT_EQ(WilsonInterval(1, 50).high, 1);
  EXPECT_NEAR(WilsonInterval(1, 50).low, 50 / (50 + kNormalQuantile * kNormalQuantile), 1e-12);
  EXPECT_EQ(WilsonInterval(0, 50).low, 0);
  EXPECT_GT(WilsonInterval(0, 50).high, 0.05);
}

TEST(WilsonIntervalTest, WithoutTrialsAnythingIsPossible) {
  EXPECT_EQ(WilsonInterval(0.5, 0).low, 0);
  EXPECT_EQ(WilsonInterval(0.5, 0).high, 1);
  EXPECT_FALSE(RatioOf(0, 0).interval.has_value());
}

PairedOutcomes Outcomes(int64_t both, int64_t only_a, int64_t only_b, int64_t neither) {
  PairedOutcomes outcomes;
  outcomes.both = both;
  outcomes.only_a = only_a;
  outcomes.only_b = only_b;
  outcomes.neither = neither;
  return outcomes;
}

TEST(McNemarTest, IsTheBinomialTestOfTheDiscordantPairs) {
  EXPECT_NEAR(McNemarPValue(Outcomes(50, 8, 2, 40)), 2 * (1 + 10 + 45) / 1024.0, 1e-12);
  EXPECT_NEAR(McNemarPValue(Outcomes(50, 2, 8, 40)), 2 * (1 + 10 + 45) / 1024.0, 1e-12);
  EXPECT_NEAR(McNemarPValue(Outcomes(0, 5, 0, 0)), 2 / 32.0, 1e-12);
}

TEST(McNemarTest, NoDisagreementAndNoPreferenceAreNoEvidence) {
  EXPECT_EQ(McNemarPValue(Outcomes(50, 0, 0, 50)), 1);
  EXPECT_EQ(McNemarPValue(Outcomes(50, 7, 7, 50)), 1);
}

TEST(McNemarTest, ManyDiscordantPairsNeitherOverflowNorVanish) {
  const double p = McNemarPValue(Outcomes(0, 50'500, 49'500, 0));
  // The normal approximation with continuity correction: z = (|b - c| - 1) / sqrt(b + c).
  EXPECT_NEAR(p, std::erfc(999 / std::sqrt(1e5) / std::sqrt(2.0)), 1e-5);
}

TEST(PairedOutcomesTest, AddFillsTheFourCellsAndMergeSumsThem) {
  PairedOutcomes outcomes;
  outcomes.Add(true, true);
  outcomes.Add(true, false);
  outcomes.Add(false, true);
  outcomes.Add(false, false);
  outcomes.Merge(Outcomes(1, 2, 3, 4));
  EXPECT_EQ(outcomes.both, 2);
  EXPECT_EQ(outcomes.only_a, 3);
  EXPECT_EQ(outcomes.only_b, 4);
  EXPECT_EQ(outcomes.neither, 5);
  EXPECT_EQ(outcomes.total(), 14);
}

TEST(PairedDifferenceTest, IntervalHoldsTheTrueDifferenceInAbout95OfAHundredRuns) {
  std::mt19937 random(1);
  std::discrete_distribution<int> cell({0.75, 0.06, 0.03, 0.16});  // B is 3 points worse
  int covered = 0;
  for (int run = 0; run < 2000; ++run) {
    PairedOutcomes outcomes;
    for (int i = 0; i < 400; ++i) {
      const int drawn = cell(random);
      outcomes.Add(drawn < 2, drawn == 0 || drawn == 2);
    }
    const Estimate difference = PairedDifference(outcomes);
    covered += difference.interval->low <= -0.03 && -0.03 <= difference.interval->high ? 1 : 0;
  }
  EXPECT_NEAR(covered / 2000.0, 0.95, 0.015);
}

TEST(PairedDifferenceTest, EqualOutcomesStillLeaveDoubt) {
  const Estimate difference = PairedDifference(Outcomes(90, 0, 0, 10));
  EXPECT_EQ(difference.value, 0);
  EXPECT_LT(difference.interval->low, 0);
  EXPECT_GT(difference.interval->high, 0);
  EXPECT_FALSE(PairedDifference({}).interval.has_value());
}

TEST(PercentileTest, IsTheNearestRank) {
  EXPECT_EQ(Percentile({5}, 99), 5);
  EXPECT_EQ(Percentile({4, 1, 3, 2}, 50), 2);
  EXPECT_EQ(Percentile({4, 1, 3, 2}, 99), 4);
  EXPECT_EQ(Percentile({4, 1, 3, 2}, 0), 1);
}

}  // namespace
}  // namespace precis::stats
