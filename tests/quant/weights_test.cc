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

TEST(MaxWeightLevelTest, PairsOfProductsFitIntoS16WithoutVnni) {
  EXPECT_EQ(MaxWeightLevel(true), 127);
  EXPECT_LE(255 * MaxWeightLevel(false) * 2, std::numeric_limits<int16_t>::max());
}

}  // namespace
}  // namespace precis::quant
