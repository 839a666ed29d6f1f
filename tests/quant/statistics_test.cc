#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "engine/quant/calibration_table.h"
#include "gtest/gtest.h"

namespace precis::quant {
namespace {

// An observation of `x` as a dense tensor whose memory order is given by strides.
struct Observed {
  std::vector<float> x;
  Shape shape;
  std::vector<int64_t> strides;
  Observation view() const { return {0, x.data(), shape, strides}; }
};

// Element (n, c, h, w) is 1000 n + 100 c + 10 h + w, in NCHW or NHWC memory.
Observed Image(bool channels_last) {
  Observed o{std::vector<float>(2 * 3 * 4 * 5), {2, 3, 4, 5}, {60, 20, 5, 1}};
  if (channels_last) o.strides = {60, 1, 15, 3};
  for (int n = 0; n < 2; ++n) {
    for (int c = 0; c < 3; ++c) {
      for (int h = 0; h < 4; ++h) {
        for (int w = 0; w < 5; ++w) {
          const int64_t at = n * o.strides[0] + c * o.strides[1] + h * o.strides[2] + w * o.strides[3];
          o.x[static_cast<size_t>(at)] = static_cast<float>(1000 * n + 100 * c + 10 * h + w);
        }
      }
    }
  }
  return o;
}

ValueStatistics::Wanted Everything(size_t axis, Weighting weighting = Weighting::kCount) {
  return {.histogram = true, .channel_sums = true, .channel_max = true, .channel_axis = axis, .weighting = weighting};
}

TEST(ValueStatisticsTest, SeesTheSameInBothMemoryOrders) {
  ValueStatistics first, last;
  first.Add(Image(false).view(), Everything(1));
  last.Add(Image(true).view(), Everything(1));
  EXPECT_EQ(first.max, 1234.0f);
  EXPECT_EQ(first.channel_max, (std::vector<float>{1034, 1134, 1234}));
  EXPECT_EQ(first.channel_sums, (std::vector<double>{517 * 40, 617 * 40, 717 * 40}));
  EXPECT_EQ(first.positions, 40);
  EXPECT_EQ(first.max, last.max);
  EXPECT_EQ(first.channel_max, last.channel_max);
  EXPECT_EQ(first.channel_sums, last.channel_sums);
  EXPECT_EQ(first.histogram.bins(), last.histogram.bins());
}

TEST(ValueStatisticsTest, KeepsExtremesAndTheirMeansOverSamples) {
  ValueStatistics s;
  for (const auto& x : {std::vector<float>{-1, 3}, std::vector<float>{-5, 1}, std::vector<float>{0, 2}}) {
    s.Add(Observed{x, {1, 2}, {2, 1}}.view(), {});
  }
  EXPECT_EQ(s.samples, 3);
  EXPECT_EQ(s.min, -5);
  EXPECT_EQ(s.max, 3);
  EXPECT_DOUBLE_EQ(s.mean_min(), -2);
  EXPECT_DOUBLE_EQ(s.mean_max(), 2);
}

TEST(ValueStatisticsTest, FindsTheExtremesOfABigTensorWhereverTheyAre) {
  Observed o{std::vector<float>(3 * 200 * 300, 0.5f), {1, 3, 200, 300}, {180000, 1, 900, 3}};
  for (size_t at : {size_t{0}, size_t{77777}, o.x.size() - 1}) {
    Observed spiked = o;
    spiked.x[at] = -9.0f;
    ValueStatistics s;
    s.Add(spiked.view(), Everything(1));
    EXPECT_EQ(s.min, -9.0f) << at;
    EXPECT_EQ(s.channel_max[at % 3], 9.0f) << at;
    const double counted = std::accumulate(s.histogram.bins().begin(), s.histogram.bins().end(), 0.0);
    EXPECT_LE(counted, kHistogramElements * 1.5);
    EXPECT_GE(counted, kHistogramElements * 0.5);
  }
}

TEST(ValueStatisticsTest, RelativeWeightsBoundWhatALoudPositionCounts) {
  // 99 positions of size 1 and one of size 1000: by count the loud one holds nearly all squared weight, relatively about a hundredth of a half.
  Observed o{std::vector<float>(200, 1.0f), {100, 2}, {2, 1}};
  o.x[198] = o.x[199] = 1000.0f;
  ValueStatistics s;
  s.Add(o.view(), Everything(1, Weighting::kRelative));
  double loud = 0, quiet = 0;
  for (int i = 0; i < Histogram::kBins; ++i) {
    const double energy = s.histogram.bins()[static_cast<size_t>(i)] * s.histogram.Center(i) * s.histogram.Center(i);
    (s.histogram.Center(i) > 500 ? loud : quiet) += energy;
  }
  EXPECT_NEAR(loud, 2 * 1e6 / (1e6 + 1e4), 0.01);
  EXPECT_GT(quiet, 0);
}

TEST(ValueStatisticsTest, LeavesOutSamplesWithNanOrInfinity) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    ValueStatistics s;
    s.Add(Observed{{1, bad, 2}, {1, 3}, {3, 1}}.view(), Everything(1));
    EXPECT_FALSE(s.finite);
    EXPECT_EQ(s.samples, 0);
  }
}

TEST(ValueStatisticsTest, MergeTakesTheWidestRange) {
  ValueStatistics a, b;
  a.Add(Observed{{-1, 2}, {1, 2}, {2, 1}}.view(), Everything(1));
  b.Add(Observed{{-3, 1}, {1, 2}, {2, 1}}.view(), Everything(1));
  ValueStatistics both;
  both.Merge(a);
  both.Merge(b);
  EXPECT_EQ(both.min, -3);
  EXPECT_EQ(both.max, 2);
  EXPECT_EQ(both.mean_min(), -3);
  EXPECT_EQ(both.mean_max(), 2);
  EXPECT_EQ(std::accumulate(both.histogram.bins().begin(), both.histogram.bins().end(), 0.0), 4);
}

}  // namespace
}  // namespace precis::quant
