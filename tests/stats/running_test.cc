#include "stats/running.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace precis::stats {
namespace {

TEST(RunningMeanTest, GivesTheTextbookInterval) {
  RunningMean mean;
  for (const double x : {1.0, 2.0, 3.0, 4.0}) mean.Add(x);
  const Estimate estimate = mean.estimate();
  EXPECT_DOUBLE_EQ(estimate.value, 2.5);
  EXPECT_NEAR(estimate.interval->high - 2.5, kNormalQuantile * std::sqrt((5.0 / 3) / 4), 1e-12);
  EXPECT_NEAR(2.5 - estimate.interval->low, kNormalQuantile * std::sqrt((5.0 / 3) / 4), 1e-12);
}

TEST(RunningMeanTest, OneSampleHasNoInterval) {
  RunningMean mean;
  EXPECT_EQ(mean.estimate().value, 0);
  mean.Add(7);
  EXPECT_EQ(mean.estimate().value, 7);
  EXPECT_FALSE(mean.estimate().interval.has_value());
}

TEST(RunningMeanTest, LargeOffsetDoesNotEatTheVariance) {
  RunningMean mean;
  for (const double x : {1e9, 1e9 + 1, 1e9 + 2}) mean.Add(x);
  EXPECT_NEAR(mean.estimate().interval->high - 1e9 - 1, kNormalQuantile * std::sqrt(1.0 / 3), 1e-6);
}

TEST(RunningPairTest, MergedPartsEqualTheWhole) {
  std::mt19937 random(2);
  std::lognormal_distribution<double> draw(0, 1);
  RunningPair whole, merged, parts[3];
  for (int i = 0; i < 100; ++i) {
    const double x = draw(random), y = 0.1 * x + draw(random);
    whole.Add(x, y);
    parts[i % 7 == 0 ? 0 : i % 2 + 1].Add(x, y);
  }
  merged.Merge(parts[0]);
  merged.Merge(RunningPair());
  merged.Merge(parts[1]);
  merged.Merge(parts[2]);
  EXPECT_EQ(merged.count(), whole.count());
  EXPECT_NEAR(merged.RatioDb().value, whole.RatioDb().value, 1e-12);
  EXPECT_NEAR(merged.RatioDb().interval->low, whole.RatioDb().interval->low, 1e-12);
  EXPECT_NEAR(merged.MeanX().interval->high, whole.MeanX().interval->high, 1e-12);
}

TEST(RunningPairTest, RatioIntervalHoldsTheTruthInAbout95OfAHundredRuns) {
  std::mt19937 random(3);
  std::gamma_distribution<double> noise(2, 0.05);  // mean 0.1
  std::gamma_distribution<double> signal(4, 2.5);  // mean 10: 20 dB
  int covered = 0;
  for (int run = 0; run < 2000; ++run) {
    RunningPair pair;
    for (int i = 0; i < 200; ++i) pair.Add(signal(random), noise(random));
    const Interval interval = *pair.RatioDb().interval;
    covered += interval.low <= 20 && 20 <= interval.high ? 1 : 0;
  }
  EXPECT_NEAR(covered / 2000.0, 0.95, 0.015);
}

TEST(RunningPairTest, ConstantRatioHasAnIntervalOfNoWidth) {
  RunningPair pair;
  for (const double x : {1.0, 5.0, 9.0}) pair.Add(x, x / 100);
  EXPECT_NEAR(pair.RatioDb().interval->high, 20, 1e-6);
  EXPECT_NEAR(pair.RatioDb().interval->low, 20, 1e-6);
}

TEST(RunningPairTest, NoNoiseIsInfiniteWithoutInterval) {
  RunningPair pair;
  pair.Add(1, 0);
  pair.Add(2, 0);
  EXPECT_EQ(pair.RatioDb().value, INFINITY);
  EXPECT_FALSE(pair.RatioDb().interval.has_value());
  RunningPair silence;
  silence.Add(0, 1);
  EXPECT_EQ(silence.RatioDb().value, -INFINITY);
}

}  // namespace
}  // namespace precis::stats
