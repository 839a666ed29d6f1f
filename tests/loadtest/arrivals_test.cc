#include "loadtest/arrivals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace precis::loadtest {
namespace {

std::vector<double> Gaps(ArrivalProcess process, int count) {
  std::vector<double> gaps;
  double last = 0;
  for (int i = 0; i < count; ++i) {
    const double now = std::chrono::duration<double>(process.Next()).count();
    gaps.push_back(now - last);
    last = now;
  }
  return gaps;
}

TEST(ArrivalProcessTest, PoissonGapsAreExponentialAtTheRate) {
  constexpr double kRate = 250;
  constexpr int kCount = 40000;
  const std::vector<double> gaps = Gaps(ArrivalProcess(Arrivals::kPoisson, kRate, 11), kCount);
  double mean = 0, square = 0;
  int longer_than_mean = 0;
  for (const double gap : gaps) {
    ASSERT_GE(gap, 0);
    mean += gap / kCount;
    square += gap * gap / kCount;
    if (gap > 1 / kRate) ++longer_than_mean;
  }
  // Four standard errors of each: an exponential distribution's deviation equals its mean, and exp(-1) of it is beyond.
  EXPECT_NEAR(mean * kRate, 1, 4 / std::sqrt(kCount));
  EXPECT_NEAR(std::sqrt(square - mean * mean) * kRate, 1, 0.04);
  EXPECT_NEAR(static_cast<double>(longer_than_mean) / kCount, std::exp(-1), 4 * 0.5 / std::sqrt(kCount));
}

TEST(ArrivalProcessTest, PoissonCountsOfASecondVaryAsMuchAsTheyAreMany) {
  constexpr double kRate = 100;
  ArrivalProcess process(Arrivals::kPoisson, kRate, 5);
  std::vector<int> counts(400);
  for (double now = 0; now < static_cast<double>(counts.size());) {
    now = std::chrono::duration<double>(process.Next()).count();
    if (now < static_cast<double>(counts.size())) ++counts[static_cast<size_t>(now)];
  }
  double mean = 0, variance = 0;
  for (const int count : counts) mean += count / static_cast<double>(counts.size());
  for (const int count : counts) variance += (count - mean) * (count - mean) / static_cast<double>(counts.size() - 1);
  EXPECT_NEAR(mean, kRate, 4 * std::sqrt(kRate / static_cast<double>(counts.size())));
  EXPECT_NEAR(variance / mean, 1, 4 * std::sqrt(2.0 / static_cast<double>(counts.size())));
}

TEST(ArrivalProcessTest, UniformGapsAreEqual) {
  for (const double gap : Gaps(ArrivalProcess(Arrivals::kUniform, 200, 1), 1000)) EXPECT_NEAR(gap, 0.005, 1e-8);
}

TEST(ArrivalProcessTest, TheSeedDecides) {
  EXPECT_EQ(Gaps(ArrivalProcess(Arrivals::kPoisson, 10, 1), 50), Gaps(ArrivalProcess(Arrivals::kPoisson, 10, 1), 50));
  EXPECT_NE(Gaps(ArrivalProcess(Arrivals::kPoisson, 10, 1), 50), Gaps(ArrivalProcess(Arrivals::kPoisson, 10, 2), 50));
}

}  // namespace
}  // namespace precis::loadtest
