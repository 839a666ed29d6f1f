#include "engine/quant/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace precis::quant {
namespace {

double Total(const Histogram& h) { return std::accumulate(h.bins().begin(), h.bins().end(), 0.0); }

TEST(HistogramTest, PutsEachNumberIntoTheBinThatHoldsIt) {
  Histogram h;
  h.Cover(2.0f);
  const std::vector<float> x = {0.0f, 1.0f, -1.0f, 1.999f, -2.0f, 2.0f};
  h.Add(x.data(), static_cast<int64_t>(x.size()), 1);
  for (float v : x) {
    bool found = false;
    for (int i = 0; i < Histogram::kBins; ++i) {
      found = found || (h.bins()[static_cast<size_t>(i)] > 0 &&
                        std::abs(h.Center(i) - static_cast<double>(v)) <= h.bin_width() / 2 * 1.0001);
    }
    EXPECT_TRUE(found) << v;
  }
  EXPECT_EQ(Total(h), 6);
}

TEST(HistogramTest, AGrowingRangeGivesTheSameCountsAsAWideOneFromTheStart) {
  const uint32_t seed = 7;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Histogram grown, wide;
  wide.Cover(16.0f);
  for (int step = 0; step < 5; ++step) {
    std::vector<float> x(1000);
    const float range = static_cast<float>(1 << step);
    for (float& v : x) v = std::clamp(normal(random) * range / 3, -range, range);
    grown.Cover(range);
    grown.Add(x.data(), 1000, 1);
    wide.Add(x.data(), 1000, 1);
  }
  ASSERT_EQ(grown.range(), wide.range());
  // Numbers on the edge of a narrow range were put into its last bin; they may lie one bin lower.
  double difference = 0;
  for (int i = 0; i < Histogram::kBins; ++i)
    difference += std::abs(grown.bins()[static_cast<size_t>(i)] - wide.bins()[static_cast<size_t>(i)]);
  EXPECT_LE(difference, 2 * 5000 * 0.01);
  EXPECT_EQ(Total(grown), 5000);
}

TEST(HistogramTest, MergingEqualsCountingTogether) {
  const std::vector<float> a = {0.1f, -0.7f, 0.9f}, b = {3.5f, -2.0f, 0.3f};
  Histogram first, second, both;
  first.Cover(1.0f);
  first.Add(a.data(), 3, 1);
  second.Cover(4.0f);
  second.Add(b.data(), 3, 1);
  first.Merge(second);
  both.Cover(4.0f);
  both.Add(a.data(), 3, 1);
  both.Add(b.data(), 3, 1);
  EXPECT_EQ(first.range(), 4.0f);
  EXPECT_EQ(first.bins(), both.bins());
}

TEST(HistogramTest, MergingUnalignedRangesKeepsTheTotal) {
  const std::vector<float> x = {0.5f, -0.25f, 2.9f};
  Histogram a, b;
  a.Cover(1.0f);
  b.Cover(3.0f);
  b.Add(x.data(), 3, 2);
  a.Merge(b);
  EXPECT_EQ(Total(a), 6);
  EXPECT_EQ(a.range(), 4.0f);
}

TEST(HistogramTest, CoversZerosAndTheLargestFloat) {
  Histogram h;
  h.Cover(0.0f);
  const float zero = 0.0f, most = std::numeric_limits<float>::max();
  h.Add(&zero, 1, 1);
  EXPECT_EQ(h.bins()[Histogram::kBins / 2], 1);
  h.Cover(most);
  h.Add(&most, 1, 1);
  EXPECT_EQ(Total(h), 2);
  EXPECT_EQ(h.bins().back(), 1);
}

TEST(HistogramTest, MemoryDoesNotGrowWithWhatIsCounted) {
  Histogram h;
  for (int i = 0; i < 1000; ++i) {
    const float x = static_cast<float>(i);
    h.Cover(x);
    h.Add(&x, 1, 1);
  }
  EXPECT_EQ(h.bins().size(), static_cast<size_t>(Histogram::kBins));
}

}  // namespace
}  // namespace precis::quant
