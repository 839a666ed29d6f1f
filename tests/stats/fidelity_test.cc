#include "stats/fidelity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace precis::stats {
namespace {

using ::testing::ElementsAre;

std::vector<int64_t> PredictionsOf(const std::vector<float>& values, const std::vector<int64_t>& shape) {
  return Predictions(values, shape);
}

SampleDifference Difference(const std::vector<float>& reference, const std::vector<float>& values) {
  SampleDifference difference;
  difference.AddValues(reference, values);
  const std::vector<int64_t> shape = {1, static_cast<int64_t>(values.size())};
  difference.AddPredictions(Predictions(reference, shape), Predictions(values, shape));
  return difference;
}

TEST(PredictionsTest, LastDimensionLongerThanOneDecides) {
  EXPECT_THAT(PredictionsOf({1, 3, 2}, {1, 3}), ElementsAre(1));
  EXPECT_THAT(PredictionsOf({1, 3, 2}, {1, 3, 1, 1}), ElementsAre(1));
  EXPECT_THAT(PredictionsOf({1, 3, 2, 9, 8, 7}, {1, 2, 3}), ElementsAre(1, 0));
  EXPECT_THAT(PredictionsOf({5}, {}), ElementsAre(0));
  EXPECT_THAT(PredictionsOf({}, {0, 3}), ElementsAre());
}

TEST(PredictionsTest, NanIsNeverTheLargest) {
  EXPECT_THAT(PredictionsOf({NAN, 3, 2}, {1, 3}), ElementsAre(1));
  EXPECT_THAT(PredictionsOf({1, NAN, 2}, {1, 3}), ElementsAre(2));
  EXPECT_THAT(PredictionsOf({NAN, NAN}, {1, 2}), ElementsAre(-1));
}

TEST(FidelityTest, SumsOverSamplesAndMeansOfCosines) {
  Fidelity fidelity;
  fidelity.Add(Difference({3, 4}, {3, 4}));
  fidelity.Add(Difference({3, 4}, {4, 3}));
  EXPECT_EQ(fidelity.samples(), 2);
  EXPECT_NEAR(fidelity.SqnrDb().value, 10 * std::log10(50.0 / 2), 1e-12);
  EXPECT_NEAR(fidelity.Cosine().value, (1 + 24.0 / 25) / 2, 1e-12);
  EXPECT_LE(fidelity.Cosine().interval->high, 1);
  EXPECT_EQ(fidelity.Agreement().value, 0.5);
  EXPECT_EQ(fidelity.MaxAbsError(), 1);
}

TEST(FidelityTest, EqualOutputsAreInfinitelyFaithful) {
  Fidelity fidelity;
  for (int i = 0; i < 10; ++i) fidelity.Add(Difference({1, 2}, {1, 2}));
  EXPECT_EQ(fidelity.SqnrDb().value, INFINITY);
  EXPECT_DOUBLE_EQ(fidelity.Cosine().value, 1);
  EXPECT_EQ(fidelity.Agreement().value, 1);
  EXPECT_LT(fidelity.Agreement().interval->low, 0.8);  // ten samples prove little
}

TEST(FidelityTest, SeveralPredictionsOfASampleAreOneTrial) {
  const std::vector<int64_t> shape = {1, 4, 2};
  const std::vector<float> reference = {0, 1, 0, 1, 0, 1, 0, 1}, values = {0, 1, 0, 1, 0, 1, 1, 0};
  SampleDifference sample;
  sample.AddPredictions(Predictions(reference, shape), Predictions(values, shape));
  Fidelity fidelity;
  for (int i = 0; i < 20; ++i) fidelity.Add(sample);
  EXPECT_EQ(fidelity.Agreement().value, 0.75);
  EXPECT_EQ(fidelity.Agreement().interval->low, WilsonInterval(0.75, 20).low);
}

TEST(FidelityTest, ValuesThatAreNotFiniteAreCountedAndKeptOutOfTheSums) {
  Fidelity fidelity;
  fidelity.Add(Difference({3, 4}, {3, 4.5f}));
  const double before = fidelity.SqnrDb().value;
  fidelity.Add(Difference({3, 4}, {3, NAN}));
  fidelity.Add(Difference({3, 4}, {INFINITY, 4}));
  EXPECT_EQ(fidelity.nonfinite_samples(), 2);
  EXPECT_EQ(fidelity.SqnrDb().value, before);
  EXPECT_EQ(fidelity.MaxAbsError(), 0.5);
  EXPECT_NEAR(fidelity.Agreement().value, 1.0 / 3, 1e-12);  // of all three
}

TEST(FidelityTest, MaskedLogitsThatAreEqualOnBothSidesAreNoError) {
  const SampleDifference sample = Difference({1, -INFINITY, NAN}, {1, -INFINITY, NAN});
  EXPECT_TRUE(sample.finite);
  EXPECT_EQ(sample.noise, 0);
  EXPECT_EQ(sample.signal, 1);
}

TEST(FidelityTest, ZeroOutputsHaveACosine) {
  EXPECT_EQ(Difference({0, 0}, {0, 0}).Cosine(), 1);
  EXPECT_EQ(Difference({0, 0}, {1, 0}).Cosine(), 0);
  EXPECT_EQ(Difference({1, 0}, {0, 0}).Cosine(), 0);
}

TEST(FidelityTest, MergedPartsEqualTheWhole) {
  Fidelity whole, left, right;
  for (int i = 0; i < 50; ++i) {
    const float x = static_cast<float>(i % 7) - 3, y = static_cast<float>(i % 5);
    SampleDifference sample = Difference({x, y, 1}, {x + 0.1f * y, y - 0.3f, 1});
    if (i == 13) sample.finite = false;
    whole.Add(sample);
    (i < 20 ? left : right).Add(sample);
  }
  left.Merge(right);
  EXPECT_EQ(left.samples(), whole.samples());
  EXPECT_EQ(left.nonfinite_samples(), 1);
  EXPECT_NEAR(left.SqnrDb().value, whole.SqnrDb().value, 1e-12);
  EXPECT_NEAR(left.SqnrDb().interval->low, whole.SqnrDb().interval->low, 1e-9);
  EXPECT_NEAR(left.Cosine().interval->low, whole.Cosine().interval->low, 1e-12);
  EXPECT_EQ(left.Agreement().value, whole.Agreement().value);
  EXPECT_EQ(left.MaxAbsError(), whole.MaxAbsError());
}

TEST(FidelityTest, NothingSeenIsNothingClaimed) {
  const Fidelity fidelity;
  EXPECT_FALSE(fidelity.SqnrDb().interval.has_value());
  EXPECT_FALSE(fidelity.Cosine().interval.has_value());
  EXPECT_FALSE(fidelity.Agreement().interval.has_value());
}

}  // namespace
}  // namespace precis::stats
