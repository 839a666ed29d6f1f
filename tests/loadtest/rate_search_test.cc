#include "loadtest/rate_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace precis::loadtest {
namespace {

using ::testing::ElementsAre;

// Every rate that a search tries where `keeps` decides.
std::vector<double> Tried(RateSearch* search, const std::function<bool(double)>& keeps) {
  std::vector<double> tried;
  while (const std::optional<double> rate = search->Next()) {
    tried.push_back(*rate);
    search->Report(keeps(*rate));
    if (tried.size() > 200) break;  // it does not end
  }
  return tried;
}

TEST(RateSearchTest, DoublesThenHalvesThenTriesTheBestAgain) {
  RateSearch search(100, 0.25);
  const auto tried = Tried(&search, [](double rate) { return rate <= 330; });
  EXPECT_THAT(tried, ElementsAre(100, 200, 400, 300, 350, 300));
  EXPECT_EQ(search.best(), 300);
}

TEST(RateSearchTest, FindsACapacityToItsPrecisionFromAnySide) {
  for (const double first : {1.0, 97.0, 100.0, 5000.0}) {
    for (const double precision : {0.2, 0.02}) {
      RateSearch search(first, precision);
      EXPECT_LT(Tried(&search, [](double rate) { return rate <= 100; }).size(), 25u);
      EXPECT_LE(search.best(), 100);
      EXPECT_GE(search.best(), 100 / (1 + precision)) << first;
    }
  }
}

TEST(RateSearchTest, ARateThatFailsItsSecondTrialIsNotBelieved) {
  RateSearch search(100, 0.25);
  int luck = 0;  // 300 is kept once, by luck; truly no more than 260 are
  const auto tried = Tried(&search, [&](double rate) { return rate <= 260 || (rate == 300 && luck++ == 0); });
  EXPECT_LE(search.best(), 260);
  EXPECT_GE(search.best(), 200);
  EXPECT_EQ(tried.back(), search.best());
}

TEST(RateSearchTest, EndsWhenNothingKeepsTheBound) {
  RateSearch search(100, 0.02);
  EXPECT_LT(Tried(&search, [](double) { return false; }).size(), 12u);
  EXPECT_EQ(search.best(), 0);
}

}  // namespace
}  // namespace precis::loadtest
