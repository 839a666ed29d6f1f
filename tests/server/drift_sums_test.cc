#include "server/drift/drift_sums.h"

#include "gtest/gtest.h"
#include "server/drift/sliding_windows.h"

namespace precis::server {
namespace {

std::vector<Tensor> Outputs(const std::vector<float>& first, const std::vector<float>& second, int64_t rows = 1) {
  std::vector<Tensor> outputs;
  for (const auto* values : {&first, &second}) {
    outputs.push_back(Tensor::From<float>({rows, static_cast<int64_t>(values->size()) / rows}, *values));
  }
  return outputs;
}

TEST(CompareAnswersTest, TakesOutputsTogetherAndEachByItself) {
  const auto sums = CompareAnswers(Outputs({1, 2, 3}, {10, 4}), Outputs({1, 2, 5}, {4, 10}), 1);
  ASSERT_TRUE(sums.ok()) << sums.status();
  EXPECT_EQ(sums->all.samples(), 1);
  EXPECT_EQ(sums->all.MaxAbsError(), 6);
  EXPECT_EQ(sums->all.Agreement().value, 1);  // the first output decides
  ASSERT_EQ(sums->outputs.size(), 2U);
  EXPECT_NEAR(sums->outputs[0].SqnrDb().value, 10 * std::log10(30.0 / 4), 1e-6);
  EXPECT_EQ(sums->outputs[0].MaxAbsError(), 2);
  EXPECT_EQ(sums->outputs[1].Agreement().value, 0);
}

TEST(CompareAnswersTest, ItemsOfABatchAreSamples) {
  const auto sums = CompareAnswers(Outputs({1, 2, 4, 3}, {1, 1}, 2), Outputs({1, 2, 3, 4}, {1, 1}, 2), 2);
  ASSERT_TRUE(sums.ok()) << sums.status();
  EXPECT_EQ(sums->all.samples(), 2);
  EXPECT_EQ(sums->all.Agreement().value, 0.5);
}

TEST(CompareAnswersTest, AnswersOfOtherShapesAreAnError) {
  EXPECT_TRUE(absl::IsInvalidArgument(CompareAnswers(Outputs({1, 2}, {1}), Outputs({1, 2, 3}, {1}), 1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(CompareAnswers({}, Outputs({1}, {1}), 1).status()));
}

DriftSums Sample(double clipped) {
  DriftSums sums;
  sums.layer_samples = 1;
  sums.layers = {{.elements = 100, .clipped = clipped, .shares = {0.5, 0.5}}};
  return sums;
}

TEST(DriftSumsTest, LayerCountsAddUp) {
  DriftSums sums;
  sums.Merge(Sample(10));
  sums.Merge(DriftSums());
  sums.Merge(Sample(30));
  EXPECT_EQ(sums.layer_samples, 2);
  EXPECT_EQ(sums.ClippedRatio(0), 0.2);
  EXPECT_EQ(sums.layers[0].shares[1], 1);
}

TEST(SlidingWindowsTest, ForgetAfterTheirTime) {
  SlidingWindows<DriftSums> windows;
  const absl::Time start = absl::UnixEpoch() + absl::Hours(1);
  const auto samples = [&windows](absl::Duration window, absl::Time now) {
    return windows.Last(window, now).layer_samples;
  };
  windows.Add(Sample(1), start);
  windows.Add(Sample(1), start + absl::Seconds(49));
  EXPECT_EQ(samples(absl::Minutes(1), start + absl::Seconds(59)), 2);
  EXPECT_EQ(samples(absl::Minutes(1), start + absl::Seconds(60)), 1);
  EXPECT_EQ(samples(absl::Minutes(10), start + absl::Seconds(60)), 2);
  EXPECT_EQ(samples(absl::Minutes(10), start + absl::Minutes(11)), 0);
  windows.Add(Sample(1), start + absl::Minutes(20));  // the same slices again
  EXPECT_EQ(samples(absl::Minutes(10), start + absl::Minutes(20)), 1);
  EXPECT_EQ(windows.total().layer_samples, 3);
}

}  // namespace
}  // namespace precis::server
