#include "loadtest/latency_histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "stats/percentile.h"

namespace precis::loadtest {
namespace {

// The histogram's promise: within half a bucket.
constexpr double kTolerance = 1.0 / 1024;

TEST(LatencyHistogramTest, SmallValuesAreExact) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 100; ++i) histogram.Record(i);
  EXPECT_EQ(histogram.Percentile(0), 1);
  EXPECT_EQ(histogram.Percentile(50), 50);
  EXPECT_EQ(histogram.Percentile(99), 99);
  EXPECT_EQ(histogram.Percentile(99.9), 100);
  EXPECT_EQ(histogram.Percentile(100), 100);
  EXPECT_DOUBLE_EQ(histogram.mean(), 50.5);
}

TEST(LatencyHistogramTest, PercentilesAgreeWithSortedValuesFromMicrosecondsToMinutes) {
  std::mt19937_64 engine(7);
  std::lognormal_distribution<double> latency(std::log(3e6), 2.5);  // median 3 ms, p99.9 some seconds
  LatencyHistogram histogram;
  std::vector<double> values;
  for (int i = 0; i < 20000; ++i) {
    values.push_back(std::floor(latency(engine)));
    histogram.Record(static_cast<int64_t>(values.back()));
  }
  for (const double percent : {1.0, 50.0, 90.0, 95.0, 99.0, 99.9, 99.99}) {
    const double exact = stats::Percentile(values, percent);
    EXPECT_NEAR(static_cast<double>(histogram.Percentile(percent)), exact, exact * kTolerance) << percent;
  }
  EXPECT_EQ(static_cast<double>(histogram.max()), stats::Percentile(values, 100));
  EXPECT_EQ(static_cast<double>(histogram.min()), stats::Percentile(values, 0));
}

TEST(LatencyHistogramTest, PercentileNeverLeavesWhatWasRecorded) {
  LatencyHistogram histogram;
  histogram.Record(123'456'789);
  EXPECT_EQ(histogram.Percentile(50), 123'456'789);
  EXPECT_EQ(histogram.Percentile(99.9), 123'456'789);
}

TEST(LatencyHistogramTest, MergeIsAsIfAllWereRecordedInOne) {
  std::mt19937_64 engine(3);
  std::exponential_distribution<double> latency(1e-6);
  LatencyHistogram parts[2], whole;
  for (int i = 0; i < 1000; ++i) {
    const auto value = static_cast<int64_t>(latency(engine) * (i % 2 == 0 ? 1 : 50));
    parts[i % 2].Record(value);
    whole.Record(value);
  }
  LatencyHistogram merged;
  merged.Merge(parts[0]);
  merged.Merge(LatencyHistogram());
  merged.Merge(parts[1]);
  EXPECT_EQ(merged.count(), 1000);
  EXPECT_EQ(merged.min(), whole.min());
  EXPECT_EQ(merged.max(), whole.max());
  EXPECT_NEAR(merged.mean(), whole.mean(), 1e-6 * whole.mean());
  for (const double percent : {10.0, 50.0, 99.0}) EXPECT_EQ(merged.Percentile(percent), whole.Percentile(percent));
}

TEST(LatencyHistogramTest, AClockThatRunsBackwardsCountsAsZero) {
  LatencyHistogram histogram;
  histogram.Record(-5);
  EXPECT_EQ(histogram.Percentile(50), 0);
}

}  // namespace
}  // namespace precis::loadtest
