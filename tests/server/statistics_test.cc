#include "server/models/statistics.h"

#include "gtest/gtest.h"

namespace precis::server {
namespace {

constexpr StageTimes kTimes = {.total = absl::Microseconds(100),
                               .queue = absl::Microseconds(10),
                               .input = absl::Microseconds(20),
                               .compute = absl::Microseconds(60),
                               .output = absl::Microseconds(5)};

TEST(StatisticsTest, SumsRequestsAndItems) {
  Statistics statistics;
  statistics.CountSuccess(kTimes, 4, std::vector<int64_t>{4}, absl::FromUnixMillis(7));
  statistics.CountSuccess(kTimes, 1, std::vector<int64_t>{1}, absl::FromUnixMillis(5));
  statistics.CountFailure(absl::Microseconds(3));
  const StatisticsSnapshot sums = statistics.Snapshot();
  EXPECT_EQ(sums.inferences, 5U);
  EXPECT_EQ(sums.executions, 2U);
  EXPECT_EQ(sums.success.count, 2U);
  EXPECT_EQ(sums.success.time, absl::Microseconds(200));
  EXPECT_EQ(sums.fail.count, 1U);
  EXPECT_EQ(sums.last_inference, absl::FromUnixMillis(7));
  ASSERT_EQ(sums.batches.size(), 2U);
  EXPECT_EQ(sums.batches.at(4).compute.time, absl::Microseconds(60));
}

TEST(StatisticsTest, CountsRunsAndNotTheRequestsThatSharedThem) {
  Statistics statistics;
  statistics.CountSuccess(kTimes, 2, std::vector<int64_t>{4, 2}, absl::UnixEpoch());
  statistics.CountSuccess(kTimes, 4, {}, absl::UnixEpoch());
  const StatisticsSnapshot sums = statistics.Snapshot();
  EXPECT_EQ(sums.inferences, 6U);
  EXPECT_EQ(sums.executions, 2U);
  EXPECT_EQ(sums.success.count, 2U);
  EXPECT_EQ(sums.batches.at(4).compute.count, 1U);
  EXPECT_EQ(sums.batches.at(4).compute.time, absl::Microseconds(40));
  EXPECT_EQ(sums.batches.at(2).compute.time, absl::Microseconds(20));
}

TEST(StatisticsTest, AddsVariants) {
  Statistics a, b;
  a.CountSuccess(kTimes, 1, std::vector<int64_t>{1}, absl::FromUnixMillis(1));
  b.CountSuccess(kTimes, 1, std::vector<int64_t>{1}, absl::FromUnixMillis(2));
  StatisticsSnapshot sum = a.Snapshot();
  sum.Add(b.Snapshot());
  EXPECT_EQ(sum.queue.time, absl::Microseconds(20));
  EXPECT_EQ(sum.batches.at(1).input.count, 2U);
  EXPECT_EQ(sum.last_inference, absl::FromUnixMillis(2));
}

}  // namespace
}  // namespace precis::server
