// Both fits against every choice there is, on sets small enough to try them all.
#include "engine/quant/level_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace precis::quant {
namespace {

using ::testing::ElementsAre;

double ErrorOf(const std::vector<float>& weights, float scale, const std::vector<int8_t>& levels) {
  double sum = 0;
  for (const float w : weights) {
    const double x = static_cast<double>(w), q = static_cast<double>(scale) * NearestLevel(levels, w / scale);
    sum += (x - q) * (x - q);
  }
  return sum;
}

LevelFit Fit(const std::vector<int>& levels, std::vector<float> weights) {
  for (float& w : weights) w = std::fabs(w);
  return FitScale(levels, weights);
}

// The least error over a fine grid of scales, from none of the weights on the last level to all of them.
double LeastErrorOnAGrid(const std::vector<int>& magnitudes, const std::vector<float>& weights) {
  std::vector<int8_t> levels;
  float least = std::numeric_limits<float>::max(), most = 0;
  for (const int m : magnitudes) {
    levels.push_back(static_cast<int8_t>(m));
    if (m != 0) levels.push_back(static_cast<int8_t>(-m));
  }
  std::sort(levels.begin(), levels.end());
  for (const float w : weights) {
    if (w != 0) least = std::min(least, std::fabs(w));
    most = std::max(most, std::fabs(w));
  }
  double best = std::numeric_limits<double>::infinity();
  for (float scale = 2.1f * most; scale > least / static_cast<float>(2 * magnitudes.back()); scale *= 0.999f)
    best = std::min(best, ErrorOf(weights, scale, levels));
  return best;
}

// Weights of several kinds: from a few to some, wide and narrow, with repetitions.
std::vector<float> SomeWeights(std::mt19937& random, size_t count) {
  std::student_t_distribution<float> wide(3);
  std::uniform_real_distribution<float> even(-1, 1);
  std::vector<float> weights(count);
  const auto kind = random() % 3;
  for (float& w : weights) w = kind == 0 ? wide(random) : kind == 1 ? even(random) : std::round(4 * even(random)) / 4;
  if (std::all_of(weights.begin(), weights.end(), [](float w) { return w == 0; })) weights[0] = 1;
  return weights;
}

TEST(FitScaleTest, IsTheBestOfAllScalesForEverySetOfLevels) {
  std::mt19937 random(1);
  const std::vector<int> sets[] = {{1}, {0, 1}, {0, 1, 2, 4}, {0, 1, 2, 4, 8, 16, 32, 64}};
  for (int trial = 0; trial < 60; ++trial) {
    const std::vector<float> weights = SomeWeights(random, 1 + random() % 20);
    for (const auto& set : sets) {
      const LevelFit fit = Fit(set, weights);
      EXPECT_LE(ErrorOf(weights, fit.scale, fit.levels), LeastErrorOnAGrid(set, weights) * (1 + 1e-6) + 1e-9)
          << "trial " << trial << ", " << set.size() << " levels";
    }
  }
}

TEST(FitScaleTest, TernaryScaleIsTheMeanOfTheLargestSoManyThatMaximiseTheirSum) {
  std::mt19937 random(2);
  for (int trial = 0; trial < 50; ++trial) {
    const std::vector<float> weights = SomeWeights(random, 2 + random() % 100);
    std::vector<double> sorted;
    for (const float w : weights) sorted.push_back(std::fabs(static_cast<double>(w)));
    std::sort(sorted.rbegin(), sorted.rend());
    double sum = 0, best = 0, alpha = 0;
    for (size_t k = 1; k <= sorted.size(); ++k) {
      sum += sorted[k - 1];
      const double saved = sum * sum / static_cast<double>(k);
      if (saved > best) best = saved, alpha = sum / static_cast<double>(k);
    }
    EXPECT_FLOAT_EQ(Fit({0, 1}, weights).scale, static_cast<float>(alpha));
  }
}

TEST(FitScaleTest, BinaryScaleIsTheMeanMagnitude) {
  const LevelFit fit = Fit({1}, {0.5f, -1, 2, 0, -4});
  EXPECT_FLOAT_EQ(fit.scale, 1.5f);
  EXPECT_THAT(fit.levels, ElementsAre(-1, 1));
}

TEST(FitScaleTest, WeightsOnTheLevelsAreFoundExactly) {
  const LevelFit fit = Fit({0, 1, 2, 4, 8, 16, 32, 64}, {0.25f, -0.5f, 16, 0, 4, -8, 1, 2});
  EXPECT_FLOAT_EQ(fit.scale, 0.25f);
  EXPECT_THAT(fit.levels, ElementsAre(-64, -32, -16, -8, -4, -2, -1, 0, 1, 2, 4, 8, 16, 32, 64));
}

TEST(FitScaleTest, ZerosDenormalsAndHugeWeightsGetUsableScales) {
  EXPECT_EQ(Fit({0, 1}, {0, 0, 0}).scale, 1.0f);
  EXPECT_EQ(Fit({0, 1}, {}).scale, 1.0f);
  EXPECT_EQ(Fit({1}, {0, 0}).scale, std::numeric_limits<float>::min());
  EXPECT_EQ(Fit({0, 1, 2, 4}, {1e-44f, -1e-44f}).scale, std::numeric_limits<float>::min());
  EXPECT_TRUE(std::isnormal(Fit({0, 1, 2, 4}, {3e38f, -3e38f, 1}).scale));
}

TEST(NearestLevelTest, IsTheNearestForEveryNumber) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> number(-150, 150);
  for (const std::vector<int8_t>& levels : {std::vector<int8_t>{-1, 1},
                                            {-64, -32, -16, -8, -4, -2, -1, 0, 1, 2, 4, 8, 16, 32, 64},
                                            {-127, 3, 4, 127},
                                            {5}}) {
    for (int i = 0; i < 1000; ++i) {
      const float x = number(random);
      const auto distance = [&](int8_t l) { return std::fabs(x - static_cast<float>(l)); };
      for (const int8_t l : levels) EXPECT_LE(distance(NearestLevel(levels, x)), distance(l)) << x;
    }
  }
  const int8_t signs[] = {-1, 1};
  EXPECT_EQ(NearestLevel(signs, 0), 1);
}

// Calls visit(levels) for each choice of `count` out of -most to most.
template <typename Visit>
void ForEachChoice(int count, int most, Visit&& visit, std::vector<int8_t> levels = {}) {
  if (static_cast<int>(levels.size()) == count) return visit(levels);
  for (int l = levels.empty() ? -most : levels.back() + 1; l <= most; ++l) {
    levels.push_back(static_cast<int8_t>(l));
    ForEachChoice(count, most, visit, levels);
    levels.pop_back();
  }
}

TEST(FitCodebookTest, IsTheBestChoiceOfLevels) {
  std::mt19937 random(4);
  for (int trial = 0; trial < 4000; ++trial) {
    const std::vector<float> weights = SomeWeights(random, 1 + random() % 30);
    const int count = 2 + static_cast<int>(random() % 4), most = 4 + static_cast<int>(random() % 3);
    const LevelFit fit = FitCodebook(weights, count, most);
    EXPECT_LE(fit.levels.size(), static_cast<size_t>(count));
    double best = std::numeric_limits<double>::infinity();
    ForEachChoice(count, most, [&](const std::vector<int8_t>& levels) {
      best = std::min(best, ErrorOf(weights, fit.scale, levels));
    });
    EXPECT_NEAR(ErrorOf(weights, fit.scale, fit.levels), best, 1e-5 * (best + fit.scale * fit.scale))
        << "trial " << trial;
  }
}

// The least error of `count` centroids that may be any numbers: over all ways to cut the sorted weights.
double BestPartition(const std::vector<float>& sorted, size_t from, int count) {
  if (from == sorted.size()) return 0;
  if (count == 0) return std::numeric_limits<double>::infinity();
  double best = std::numeric_limits<double>::infinity(), sum = 0, squares = 0;
  for (size_t end = from; end < sorted.size(); ++end) {
    const double x = static_cast<double>(sorted[end]);
    sum += x;
    squares += x * x;
    const double within = squares - sum * sum / static_cast<double>(end + 1 - from);
    best = std::min(best, within + BestPartition(sorted, end + 1, count - 1));
  }
  return best;
}

TEST(FitCodebookTest, RoundingTheCentroidsOntoEightBitsCostsWhatItMust) {
  std::mt19937 random(5);
  for (int trial = 0; trial < 40; ++trial) {
    std::vector<float> weights = SomeWeights(random, 16);
    std::sort(weights.begin(), weights.end());
    for (const int count : {2, 4, 8}) {
      const LevelFit fit = FitCodebook(weights, count, 127);
      const double exact = BestPartition(weights, 0, count), found = ErrorOf(weights, fit.scale, fit.levels);
      const double half = 0.5 * static_cast<double>(fit.scale);
      EXPECT_GE(found, exact * (1 - 1e-6) - 1e-9);
      EXPECT_LE(found, exact + 16 * half * half + 1e-9);
    }
  }
}

TEST(FitCodebookTest, TakesNoMoreLevelsThanItNeeds) {
  EXPECT_THAT(FitCodebook(std::vector<float>{1, -0.4f, 1, 0.25f, -0.4f}, 16, 127).levels, ElementsAre(-51, 32, 127));
  EXPECT_THAT(FitCodebook(std::vector<float>{0, 0}, 16, 127).levels, ElementsAre(0));
  EXPECT_EQ(FitCodebook(std::vector<float>{0, 0}, 16, 127).scale, 1.0f);
}

}  // namespace
}  // namespace precis::quant
