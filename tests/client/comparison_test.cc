#include "client/cli/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace precis::cli {
namespace {

using client::InferResponse;
using client::Tensor;
using ::testing::ElementsAre;

InferResponse Reply(const std::vector<float>& values, std::vector<int64_t> shape = {}) {
  if (shape.empty()) shape = {1, static_cast<int64_t>(values.size())};
  return {"net", "1", "", {Tensor::Of<float>("y", std::move(shape), values)}, {}};
}

TEST(PredictionsTest, LastDimensionLongerThanOneDecides) {
  EXPECT_THAT(Predictions({1, 3, 2}, {1, 3}), ElementsAre(1));
  EXPECT_THAT(Predictions({1, 3, 2}, {1, 3, 1, 1}), ElementsAre(1));
  EXPECT_THAT(Predictions({1, 3, 2, 9, 8, 7}, {1, 2, 3}), ElementsAre(1, 0));
  EXPECT_THAT(Predictions({5}, {}), ElementsAre(0));
  EXPECT_THAT(Predictions({}, {0, 3}), ElementsAre());
}

TEST(PercentileTest, IsTheNearestRank) {
  EXPECT_EQ(Percentile({5}, 99), 5);
  EXPECT_EQ(Percentile({4, 1, 3, 2}, 50), 2);
  EXPECT_EQ(Percentile({4, 1, 3, 2}, 99), 4);
  EXPECT_EQ(Percentile({4, 1, 3, 2}, 0), 1);
}

TEST(ComparisonTest, BaselineAgreesWithItself) {
  Comparison comparison(1);
  ASSERT_TRUE(comparison.Add({Reply({1, 2})}, {3.0}, 1).ok());
  const ComparisonRow row = comparison.Rows()[0];
  EXPECT_EQ(row.top1, 100);
  EXPECT_EQ(row.agreement, 100);
  EXPECT_EQ(row.sqnr_db, INFINITY);
  EXPECT_DOUBLE_EQ(row.cosine, 1);
  EXPECT_EQ(row.latency_ms_p50, 3);
  EXPECT_EQ(row.samples, 1);
}

TEST(ComparisonTest, MeasuresAreHeldAgainstTheFirst) {
  Comparison comparison(2);
  ASSERT_TRUE(comparison.Add({Reply({3, 4}), Reply({3, 4})}, {1, 10}, 1).ok());
  ASSERT_TRUE(comparison.Add({Reply({3, 4}), Reply({4, 3})}, {2, 20}, 1).ok());
  const std::vector<ComparisonRow> rows = comparison.Rows();
  EXPECT_EQ(rows[0].top1, 100);
  EXPECT_EQ(rows[1].top1, 50);
  EXPECT_EQ(rows[1].agreement, 50);
  EXPECT_NEAR(rows[1].sqnr_db, 10 * std::log10(50.0 / 2.0), 1e-9);  // signal 25 + 25, noise 0 + 2
  EXPECT_NEAR(rows[1].cosine, (1 + 24.0 / 25) / 2, 1e-9);
  EXPECT_EQ(rows[1].latency_ms_p50, 10);
  EXPECT_EQ(rows[1].latency_ms_p99, 20);
}

TEST(ComparisonTest, WithoutLabelsThereIsNoTop1) {
  Comparison comparison(1);
  ASSERT_TRUE(comparison.Add({Reply({1, 2})}, {1}, std::nullopt).ok());
  EXPECT_FALSE(comparison.Rows()[0].top1.has_value());
}

TEST(ComparisonTest, SeveralPredictionsAgreeOneByOneAndHaveNoTop1) {
  Comparison comparison(2);
  ASSERT_TRUE(comparison.Add({Reply({0, 1, 0, 1}, {1, 2, 2}), Reply({0, 1, 1, 0}, {1, 2, 2})}, {1, 1}, 1).ok());
  EXPECT_EQ(comparison.Rows()[1].agreement, 50);
  EXPECT_FALSE(comparison.Rows()[1].top1.has_value());
}

TEST(ComparisonTest, OutputsThatDoNotMatchAreAnError) {
  Comparison comparison(2);
  EXPECT_EQ(comparison.Add({Reply({1, 2}), Reply({1, 2, 3})}, {1, 1}, 0).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(comparison.Add({Reply({1, 2}), InferResponse()}, {1, 1}, 0).code(), absl::StatusCode::kInternal);
  InferResponse truncated = Reply({1, 2});
  truncated.outputs[0].data.pop_back();
  EXPECT_EQ(comparison.Add({Reply({1, 2}), truncated}, {1, 1}, 0).code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace precis::cli
