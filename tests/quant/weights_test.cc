#include "engine/quant/weights.h"

#include <cmath>
#include <limits>
#include <random>

#include "engine/base/affine.h"
#include "gtest/gtest.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

TEST(QuantizeWeightsTest, MatchesTheAffineRuleElementByElement) {
  std::mt19937 random(3);
  const Tensor w = testing::RandomTensor(random, {5, 3, 2, 2}, -2, 2);
  for (int axis : {0, 1}) {
    const QuantizedWeights q = QuantizeWeights(w, axis, Granularity::kPerChannel, 127);
    EXPECT_EQ(q.params.axis, axis);
    ASSERT_EQ(q.params.scales.size(), static_cast<size_t>(w.shape()[static_cast<size_t>(axis)]));
    for (int64_t i = 0; i < w.num_elements(); ++i) {
      const int64_t channel = axis == 0 ? i / 12 : i / 4 % 3;
      const float scale = q.params.scales[static_cast<size_t>(channel)];
      EXPECT_EQ(q.values.As<int8_t>()[static_cast<size_t>(i)],
                QuantizeAffine(w.As<float>()[static_cast<size_t>(i)], scale, 0, -127, 127));
    }
  }
}

double SquaredError(const Tensor& w, const QuantizedWeights& q) {
  const std::vector<float> real = ir::RealValues(q.values, q.params);
  double sum = 0;
  for (size_t i = 0; i < real.size(); ++i) {
    const double d = static_cast<double>(real[i]) - static_cast<double>(w.As<float>()[i]);
    sum += d * d;
  }
  return sum;
}

TEST(AsymmetricWeightsTest, MatchTheAffineRuleElementByElement) {
  std::mt19937 random(5);
  const Tensor w = testing::RandomTensor(random, {6, 8, 2, 1}, -0.5f, 2);
  for (int axis : {0, 1}) {
    for (const Chunks& chunks : {Chunks{}, Chunks{2, true}, Chunks{2, false}}) {
      const QuantizedWeights q = QuantizeWeightsAsymmetric(w, axis, Granularity::kPerChannel, 8, chunks);
      const int64_t channels = w.shape()[static_cast<size_t>(axis)], inputs = w.shape()[axis == 0 ? 1 : 0];
      const int64_t count = chunks.size == 0 ? 1 : inputs / chunks.size;
      ASSERT_EQ(q.params.scales.size(), static_cast<size_t>(channels * count));
      ASSERT_EQ(q.params.zero_points.size(), q.params.scales.size());
      for (int64_t i = 0; i < w.num_elements(); ++i) {
        const int64_t row = i / 16, column = i / 2 % 8, channel = axis == 0 ? row : column;
        const int64_t chunk = chunks.size == 0 ? 0 : (axis == 0 ? column : row) / chunks.size;
        const auto at = static_cast<size_t>(chunk * channels + channel);
        EXPECT_EQ(q.values.As<int8_t>()[static_cast<size_t>(i)],
                  QuantizeAffine(w.As<float>()[static_cast<size_t>(i)], q.params.scales[at], q.params.zero_points[at],
                                 -128, 127));
      }
    }
  }
}

TEST(AsymmetricWeightsTest, LoseLessThanSymmetricOnesWhereWeightsLieToOneSide) {
  std::mt19937 random(6);
  const Tensor w = testing::RandomTensor(random, {16, 64}, -0.2f, 1);
  for (int bits : {2, 3, 4, 6, 8}) {
    const double symmetric =
        SquaredError(w, QuantizeWeights(w, 0, Granularity::kPerChannel, MaxWeightLevel(true, bits)));
    EXPECT_LT(SquaredError(w, QuantizeWeightsAsymmetric(w, 0, Granularity::kPerChannel, bits)), symmetric / 2) << bits;
  }
}

TEST(AsymmetricWeightsTest, PerTensorSharesOneScaleAndZeroIsExact) {
  const QuantizedWeights q =
      QuantizeWeightsAsymmetric(Tensor::From<float>({2, 2}, {3, 0, 4, 3.5f}), 0, Granularity::kPerTensor, 8);
  EXPECT_TRUE(q.params.per_tensor());
  EXPECT_EQ(q.params.zero_point(), -128);
  EXPECT_EQ(ir::RealValues(q.values, q.params)[1], 0);
  EXPECT_FLOAT_EQ(ir::RealValues(q.values, q.params)[2], 4);
}

TEST(QuantizeWeightsTest, ReachesTheLargestLevelInEveryChannel) {
  std::mt19937 random(4);
  const Tensor w = testing::RandomTensor(random, {64, 40}, -1, 1);
  for (int level : {127, 63}) {
    const QuantizedWeights q = QuantizeWeights(w, 1, Granularity::kPerChannel, level);
    for (size_t c = 0; c < 40; ++c) {
      int most = 0;
      for (size_t r = 0; r < 64; ++r)
        most = std::max(most, std::abs(static_cast<int>(q.values.As<int8_t>()[r * 40 + c])));
      EXPECT_EQ(most, level);
    }
  }
}

TEST(QuantizeWeightsTest, PerTensorSharesOneScale) {
  const QuantizedWeights q =
      QuantizeWeights(Tensor::From<float>({2, 2}, {1, 0.5f, 4, -2}), 0, Granularity::kPerTensor, 127);
  EXPECT_TRUE(q.params.per_tensor());
  EXPECT_EQ(q.params.scales.size(), 1u);
  EXPECT_FLOAT_EQ(q.params.scale(), 4.0f / 127);
  EXPECT_EQ(q.values.As<int8_t>()[0], 32);
}

TEST(QuantizeWeightsTest, ChannelsOfZerosAndDenormalsGetUsableScales) {
  const QuantizedWeights q =
      QuantizeWeights(Tensor::From<float>({2, 2}, {0, 0, 1e-44f, -1e-44f}), 0, Granularity::kPerChannel, 127);
  EXPECT_EQ(q.params.scales[0], 1.0f);
  EXPECT_GE(q.params.scales[1], std::numeric_limits<float>::min());
  EXPECT_EQ(q.values.As<int8_t>()[0], 0);
}

TEST(QuantizeWeightsTest, ChunksHaveScalesOfTheirOwn) {
  std::mt19937 random(5);
  for (int axis : {0, 1}) {
    const Tensor w = testing::RandomTensor(random, {6, 10, 3, 3}, -2, 2);
    const QuantizedWeights q = QuantizeWeights(w, axis, Granularity::kPerChannel, 127, {4, true});
    const int64_t channels = axis == 0 ? 6 : 10, inputs = axis == 0 ? 10 : 6, chunks = (inputs + 3) / 4;
    EXPECT_EQ(q.params.chunk, 4);
    ASSERT_EQ(q.params.scales.size(), static_cast<size_t>(channels * chunks));
    std::vector<float> largest(q.params.scales.size(), 0.0f);
    const auto scale_of = [&](int64_t i) {
      const int64_t first = i / 90, second = i / 9 % 10;
      return static_cast<size_t>((axis == 0 ? second : first) / 4 * channels + (axis == 0 ? first : second));
    };
    for (int64_t i = 0; i < w.num_elements(); ++i) {
      float& most = largest[scale_of(i)];
      most = std::max(most, std::abs(w.As<float>()[static_cast<size_t>(i)]));
    }
    for (size_t i = 0; i < largest.size(); ++i) EXPECT_FLOAT_EQ(q.params.scales[i], largest[i] / 127);
    const std::vector<float> real = ir::RealValues(q.values, q.params);
    for (int64_t i = 0; i < w.num_elements(); ++i) {
      EXPECT_LE(std::abs(real[static_cast<size_t>(i)] - w.As<float>()[static_cast<size_t>(i)]),
                0.501f * q.params.scales[scale_of(i)]);
    }
  }
}

TEST(QuantizeWeightsTest, ChunksWithoutScalesOfTheirOwnRepeatThoseOfTheWhole) {
  std::mt19937 random(6);
  const Tensor w = testing::RandomTensor(random, {10, 5}, -2, 2);
  for (auto granularity : {Granularity::kPerChannel, Granularity::kPerTensor}) {
    const QuantizedWeights whole = QuantizeWeights(w, 1, granularity, 127);
    const QuantizedWeights cut = QuantizeWeights(w, 1, granularity, 127, {4, false});
    EXPECT_EQ(cut.params.scales.size(), 15u);
    EXPECT_EQ(ir::RealValues(cut.values, cut.params), ir::RealValues(whole.values, whole.params));
  }
}

// Mean squared distance between weights and their levels.
double ErrorOf(const Tensor& w, const QuantizedWeights& q) {
  const std::vector<float> real = ir::RealValues(q.values, q.params);
  double sum = 0;
  for (size_t i = 0; i < real.size(); ++i) sum += std::pow(static_cast<double>(real[i]) - w.As<float>()[i], 2);
  return sum / static_cast<double>(real.size());
}

Tensor GaussianWeights(const Shape& shape) {
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  Tensor w(DataType::kF32, shape);
  for (float& x : w.As<float>()) x = normal(random);
  return w;
}

TEST(QuantizeWeightsTest, FewBitsStayWithinTheirLevelsAndGainSixDecibelsEach) {
  const Tensor w = GaussianWeights({16, 64, 3, 3});
  double coarser = 1e9;
  for (int bits = 2; bits <= 8; ++bits) {
    const int level = MaxWeightLevel(true, bits);
    const QuantizedWeights q = QuantizeWeights(w, 0, Granularity::kPerChannel, level);
    for (int8_t v : q.values.As<int8_t>()) ASSERT_LE(std::abs(static_cast<int>(v)), level);
    const double error = ErrorOf(w, q);
    EXPECT_LT(error, coarser / 2.2) << bits;
    coarser = error;
  }
}

TEST(QuantizeWeightsTest, FewLevelsAreNotSpentOnTheLargestWeights) {
  const Tensor w = GaussianWeights({16, 576});
  for (int axis : {0, 1}) {
    for (auto granularity : {Granularity::kPerChannel, Granularity::kPerTensor}) {
      for (bool own : {false, true}) {
        const QuantizedWeights chosen = QuantizeWeights(w, axis, granularity, 7, {8, own});
        // The same levels over the whole range.
        QuantizedWeights whole = QuantizeWeights(w, axis, granularity, kFullLevels, {8, own});
        for (float& s : whole.params.scales) s *= static_cast<float>(kFullLevels) / 7;
        const auto x = w.As<float>();
        const auto unit =
            ir::RealValues(Tensor::From<int8_t>({16, 576}, std::vector<int8_t>(16 * 576, 1)), whole.params);
        for (size_t i = 0; i < unit.size(); ++i)
          whole.values.As<int8_t>()[i] = static_cast<int8_t>(QuantizeAffine(x[i], unit[i], 0, -7, 7));
        EXPECT_LE(ErrorOf(w, chosen), ErrorOf(w, whole));
      }
    }
  }
  EXPECT_LT(ErrorOf(w, QuantizeWeights(w, 0, Granularity::kPerChannel, 1)),
            0.3);  // ternary of a Gaussian: 0.19 at best
}

TEST(MaxWeightLevelTest, PairsOfProductsFitIntoS16WithoutVnni) {
  EXPECT_EQ(MaxWeightLevel(true), 127);
  EXPECT_EQ(MaxWeightLevel(false, 7), 63);
  EXPECT_EQ(MaxWeightLevel(false, 4), 7);
  EXPECT_LE(255 * MaxWeightLevel(false) * 2, std::numeric_limits<int16_t>::max());
}

}  // namespace
}  // namespace precis::quant
