#include "stats/comparison.h"

#include <gtest/gtest.h>

#include <cmath>

namespace precis::stats {
namespace {

SampleOutputs Reply(const std::vector<float>& values, double latency_ms = 1, std::vector<int64_t> shape = {}) {
  if (shape.empty()) shape = {1, static_cast<int64_t>(values.size())};
  return {{values}, shape, latency_ms};
}

absl::Status Add(Comparison& comparison, const std::vector<SampleOutputs>& outputs, std::optional<int64_t> label) {
  return comparison.Add(outputs, label);
}

TEST(ComparisonTest, ReferenceAgreesWithItself) {
  Comparison comparison({"fp32"});
  ASSERT_TRUE(Add(comparison, {Reply({1, 2}, 3)}, 1).ok());
  const ComparisonRow& row = comparison.rows()[0];
  EXPECT_EQ(row.Top1().value, 1);
  EXPECT_EQ(row.fidelity.Agreement().value, 1);
  EXPECT_EQ(row.fidelity.SqnrDb().value, INFINITY);
  EXPECT_EQ(row.latency_ms, std::vector<double>{3});
  EXPECT_EQ(row.outcomes.both, 1);
}

TEST(ComparisonTest, MeasuresAreHeldAgainstTheReferenceWhereverItStands) {
  for (const size_t reference : {0, 1}) {
    Comparison comparison({"a", "b"}, reference);
    const SampleOutputs right = Reply({3, 4}), wrong = Reply({4, 3});
    ASSERT_TRUE(Add(comparison, {right, right}, 1).ok());
    ASSERT_TRUE(Add(comparison, reference == 0 ? std::vector{right, wrong} : std::vector{wrong, right}, 1).ok());
    const ComparisonRow &same = comparison.rows()[reference], &other = comparison.rows()[1 - reference];
    EXPECT_EQ(same.Top1().value, 1);
    EXPECT_EQ(other.Top1().value, 0.5);
    EXPECT_EQ(other.outcomes.only_a, 1);
    EXPECT_EQ(other.outcomes.both, 1);
    EXPECT_EQ(same.fidelity.Agreement().value, 1);
    EXPECT_EQ(other.fidelity.Agreement().value, 0.5);
    EXPECT_NEAR(other.fidelity.SqnrDb().value, 10 * std::log10(50.0 / 2), 1e-9);
  }
}

TEST(ComparisonTest, AllOutputsOfASampleCountTogether) {
  Comparison comparison({"a", "b"});
  const SampleOutputs exact = {{{1, 2}, {10}}, {1, 2}, 1}, off = {{{1, 2}, {9}}, {1, 2}, 1};
  ASSERT_TRUE(Add(comparison, {exact, off}, std::nullopt).ok());
  EXPECT_NEAR(comparison.rows()[1].fidelity.SqnrDb().value, 10 * std::log10(105.0 / 1), 1e-9);
  EXPECT_EQ(comparison.rows()[1].fidelity.MaxAbsError(), 1);
}

TEST(ComparisonTest, WithoutLabelsOrWithSeveralPredictionsThereIsNoTop1) {
  Comparison comparison({"a", "b"});
  ASSERT_TRUE(Add(comparison, {Reply({1, 2}), Reply({1, 2})}, std::nullopt).ok());
  const auto two = [](const std::vector<float>& values) { return Reply(values, 1, {1, 2, 2}); };
  ASSERT_TRUE(Add(comparison, {two({0, 1, 0, 1}), two({0, 1, 1, 0})}, 1).ok());
  EXPECT_EQ(comparison.rows()[1].labelled, 0);
  EXPECT_EQ(comparison.rows()[1].fidelity.Agreement().value, 2.0 / 3);
}

TEST(ComparisonTest, OutputsThatDoNotMatchAreAnErrorAndChangeNothing) {
  Comparison comparison({"a", "b"});
  const SampleOutputs good = Reply({1, 2});
  EXPECT_EQ(Add(comparison, {good, Reply({1, 2, 3})}, 0).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Add(comparison, {good, SampleOutputs()}, 0).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Add(comparison, {SampleOutputs(), SampleOutputs()}, 0).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(comparison.rows()[0].fidelity.samples(), 0);
}

}  // namespace
}  // namespace precis::stats
