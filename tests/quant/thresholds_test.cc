#include "engine/quant/thresholds.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace precis::quant {
namespace {

ValueStatistics StatisticsOf(const std::vector<float>& x) {
  ValueStatistics s;
  const Shape shape{static_cast<int64_t>(x.size()), 1};
  const std::vector<int64_t> strides{1, 1};
  s.Add({0, x.data(), shape, strides}, {.histogram = true, .channel_axis = 1});
  return s;
}

// Fewer than kHistogramElements, so that all are counted.
std::vector<float> Normal(uint32_t seed, int count = 16000) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(count));
  for (float& v : x) v = normal(random);
  return x;
}

std::vector<float> Relu(std::vector<float> x) {
  for (float& v : x) v = std::max(v, 0.0f);
  return x;
}

// Squared error of quantizing every number to 256 levels over [low, high].
double BruteForceError(const std::vector<float>& x, double low, double high) {
  const double scale = (high - low) / 255, zero = std::nearbyint(-low / scale);
  double sum = 0;
  for (float v : x) {
    const double q = std::clamp(std::nearbyint(static_cast<double>(v) / scale) + zero, 0.0, 255.0);
    sum += std::pow((q - zero) * scale - static_cast<double>(v), 2);
  }
  return sum;
}

TEST(ThresholdsTest, MinMaxAlwaysHoldsZero) {
  EXPECT_EQ(MinMaxRange(StatisticsOf({2, 3})).low, 0);
  EXPECT_EQ(MinMaxRange(StatisticsOf({2, 3})).high, 3);
  EXPECT_EQ(MinMaxRange(StatisticsOf({-2, -1})).high, 0);
  EXPECT_EQ(MinMaxRange(StatisticsOf({-2, -1})).low, -2);
}

TEST(ThresholdsTest, PercentileClipsThatShareOfTheNumbers) {
  const std::vector<float> x = Normal(3);
  for (double percentile : {99.0, 99.9}) {
    const Range r = PercentileRange(StatisticsOf(x), percentile);
    const auto outside = std::count_if(x.begin(), x.end(), [&](float v) { return v < r.low || v > r.high; });
    EXPECT_NEAR(static_cast<double>(outside) / static_cast<double>(x.size()), 1 - percentile / 100, 5e-4);
  }
  const Range all = PercentileRange(StatisticsOf(x), 100);
  EXPECT_EQ(all.high, *std::max_element(x.begin(), x.end()));
}

TEST(ThresholdsTest, LeastSquaresIsWithinAPercentOfTheBestRangeOfABruteForceSearch) {
  std::vector<std::vector<float>> cases = {Normal(1), Relu(Normal(2)), Normal(3)};
  cases[2][100] = 60;  // outliers on both sides
  cases[2][101] = -35;
  for (size_t c = 0; c < cases.size(); ++c) {
    SCOPED_TRACE(c);
    const auto& x = cases[c];
    const auto [least, most] = std::minmax_element(x.begin(), x.end());
    double best = 1e300;
    for (int i = 1; i <= 40; ++i) {
      for (int j = 1; j <= 40; ++j) {
        const double low = std::min(0.0, static_cast<double>(*least) * i / 40),
                     high = static_cast<double>(*most) * j / 40;
        best = std::min(best, BruteForceError(x, low, high));
        if (*least >= 0) break;
      }
    }
    const Range r = LeastSquaresRange(StatisticsOf(x));
    EXPECT_LE(BruteForceError(x, r.low, r.high), best * 1.01);
  }
}

TEST(ThresholdsTest, ExpectedSqnrMatchesWhatQuantizingGives) {
  for (const auto& x : {Normal(5), Relu(Normal(6))}) {
    const ValueStatistics s = StatisticsOf(x);
    for (double share : {1.0, 0.5, 0.2}) {
      const Range full = MinMaxRange(s);
      const Range r{static_cast<float>(full.low * share), static_cast<float>(full.high * share)};
      double energy = 0;
      for (float v : x) energy += static_cast<double>(v) * static_cast<double>(v);
      EXPECT_NEAR(ExpectedSqnr(s.histogram, r), 10 * std::log10(energy / BruteForceError(x, r.low, r.high)), 0.15);
    }
  }
}

// TensorRT's calibration written out: for each candidate build P and Q bin by bin, then sum the divergence.
double StraightforwardEntropyThreshold(const std::vector<float>& x, int levels) {
  constexpr int kBins = 2048;
  double limit = 0;
  for (float v : x) limit = std::max(limit, std::abs(static_cast<double>(v)));
  std::vector<double> bins(kBins, 0.0);
  for (float v : x)
    bins[static_cast<size_t>(std::min(kBins - 1.0, std::abs(static_cast<double>(v)) / limit * kBins))] += 1;
  bins[0] = bins[1];
  double total = 0;
  for (double b : bins) total += b;
  double best = 1e300;
  int best_bins = 0;
  for (int n = levels; n <= kBins; ++n) {
    std::vector<double> p(bins.begin(), bins.begin() + n), q(static_cast<size_t>(n), 0.0);
    double inside = 0;
    for (double b : p) inside += b;
    for (int i = n; i < kBins; ++i) p.back() += bins[static_cast<size_t>(i)];
    for (int k = 0; k < levels; ++k) {
      const int from = k * n / levels, to = (k + 1) * n / levels;
      double sum = 0;
      int filled = 0;
      for (int i = from; i < to; ++i) {
        sum += bins[static_cast<size_t>(i)];
        filled += p[static_cast<size_t>(i)] > 0;
      }
      for (int i = from; i < to; ++i) {
        if (p[static_cast<size_t>(i)] > 0) q[static_cast<size_t>(i)] = std::max(sum / inside, 1e-4 / levels) / filled;
      }
    }
    double divergence = 0;
    for (int i = 0; i < n; ++i) {
      const double pi = p[static_cast<size_t>(i)] / total;
      if (pi > 0) divergence += pi * std::log(pi / q[static_cast<size_t>(i)]);
    }
    if (divergence < best) {
      best = divergence;
      best_bins = n;
    }
  }
  return limit * best_bins / kBins;
}

TEST(ThresholdsTest, EntropyMatchesAStraightforwardImplementation) {
  std::vector<std::vector<float>> cases = {Normal(11), Relu(Normal(12)), Normal(13)};
  cases[2][7] = 30;
  for (size_t c = 0; c < cases.size(); ++c) {
    SCOPED_TRACE(c);
    const auto& x = cases[c];
    const ValueStatistics s = StatisticsOf(x);
    const double want = StraightforwardEntropyThreshold(x, s.min >= 0 ? 256 : 128);
    const Range r = EntropyRange(s);
    // The streamed histogram re-bins, so a few numbers sit one bin away: the flat minimum may move by some bins.
    EXPECT_NEAR(static_cast<double>(r.high), std::min(want, static_cast<double>(s.max)), 0.03 * want);
  }
}

TEST(ThresholdsTest, EntropyClipsAnOutlier) {
  std::vector<float> x = Normal(17);
  x[0] = 100;
  EXPECT_LT(EntropyRange(StatisticsOf(x)).high, 20);
}

TEST(ThresholdsTest, EveryMethodTakesConstantZeroAndASingleNumber) {
  for (const auto& x : {std::vector<float>(10, 0.0f), std::vector<float>(1, 3.0f), std::vector<float>(5, -2.0f)}) {
    const ValueStatistics s = StatisticsOf(x);
    for (auto method : {CalibrationMethod::kMinMax, CalibrationMethod::kMovingAverage, CalibrationMethod::kPercentile,
                        CalibrationMethod::kEntropy, CalibrationMethod::kMse, CalibrationMethod::kDefault}) {
      const Range r = ChooseRange(s, {.method = method});
      EXPECT_LE(r.low, 0);
      EXPECT_GE(r.high, 0);
      EXPECT_TRUE(std::isfinite(r.low) && std::isfinite(r.high));
      EXPECT_GE(r.high, std::min(x[0], 0.0f));
    }
  }
}

}  // namespace
}  // namespace precis::quant
