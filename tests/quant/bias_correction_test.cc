#include "engine/quant/bias_correction.h"

#include <random>

#include "gtest/gtest.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

using testing::GraphBuilder;

// Mean over many inputs of (Wq - W) x, computed the long way.
TEST(MeanShiftTest, IsTheMeanErrorOfTheOutput) {
  std::mt19937 random(9);
  const Tensor w = testing::RandomTensor(random, {6, 4}, -1, 1);
  const QuantizedWeights q = QuantizeWeights(w, 0, Granularity::kPerChannel, 7);  // coarse, so that errors are large
  const std::vector<double> mean = {0.5, -1.0, 2.0, 0.25};
  const std::vector<double> shift = MeanShift(w, q, /*transposed=*/false, 1, mean);
  for (size_t o = 0; o < 6; ++o) {
    double want = 0;
    for (size_t i = 0; i < 4; ++i) {
      want += (static_cast<double>(q.params.scales[o] * q.values.As<int8_t>()[o * 4 + i]) -
               static_cast<double>(w.As<float>()[o * 4 + i])) *
              mean[i];
    }
    EXPECT_NEAR(shift[o], want, 1e-6);
  }
}

TEST(MeanShiftTest, TransposedWeightsGiveTheSame) {
  std::mt19937 random(10);
  const Tensor w = testing::RandomTensor(random, {6, 4}, -1, 1);
  Tensor t(DataType::kF32, {4, 6});
  for (size_t o = 0; o < 6; ++o) {
    for (size_t i = 0; i < 4; ++i) t.As<float>()[i * 6 + o] = w.As<float>()[o * 4 + i];
  }
  const std::vector<double> mean = {0.5, -1.0, 2.0, 0.25};
  const auto a = MeanShift(w, QuantizeWeights(w, 0, Granularity::kPerChannel, 7), false, 1, mean);
  const auto b = MeanShift(t, QuantizeWeights(t, 1, Granularity::kPerChannel, 7), true, 1, mean);
  for (size_t o = 0; o < 6; ++o) EXPECT_NEAR(a[o], b[o], 1e-9);
}

TEST(MeanShiftTest, GroupsReadTheirOwnChannels) {
  // Two groups of one input channel: output o sees channel o / 2 only.
  const Tensor w = Tensor::From<float>({4, 1}, {0.9f, 1.0f, 0.4f, 1.0f});
  QuantizedWeights q{Tensor::From<int8_t>({4, 1}, {1, 1, 0, 1}), {}};
  q.params.scales = {1.0f};
  const auto shift = MeanShift(w, q, false, 2, {10, 100});
  EXPECT_NEAR(shift[0], 0.1 * 10, 1e-5);
  EXPECT_NEAR(shift[2], -0.4 * 100, 1e-4);
}

TEST(SubtractFromBiasTest, MakesABiasWhereThereIsNone) {
  GraphBuilder b;
  const auto x = b.Input({2, 3});
  const auto y = b.Node(ir::MatMul{}, {x, b.Weights({3, 2})});
  b.Output(y);
  const ir::NodeId id = b.graph().producer(y);
  ASSERT_TRUE(SubtractFromBias(b.graph(), id, {1, -2}));
  const Tensor* bias = b.graph().ConstantOrNull(b.graph().Input(id, 2));
  ASSERT_NE(bias, nullptr);
  EXPECT_EQ(bias->As<float>()[0], -1);
  EXPECT_EQ(bias->As<float>()[1], 2);
  EXPECT_TRUE(b.graph().Verify().ok());
}

TEST(SubtractFromBiasTest, LeavesABiasThatIsComputedAlone) {
  GraphBuilder b;
  const auto x = b.Input({2, 3}), bias = b.Input({2});
  const auto y = b.Node(ir::MatMul{}, {x, b.Weights({3, 2}), bias});
  b.Output(y);
  EXPECT_FALSE(SubtractFromBias(b.graph(), b.graph().producer(y), {1, -2}));
  EXPECT_EQ(b.graph().Input(b.graph().producer(y), 2), bias);
}

TEST(SubtractFromBiasTest, LeavesABiasPerRowAlone) {
  GraphBuilder b;
  const auto x = b.Input({2, 3});
  const auto y = b.Node(ir::MatMul{}, {x, b.Weights({3, 2}), b.Weights({2, 1})});
  b.Output(y);
  EXPECT_FALSE(SubtractFromBias(b.graph(), b.graph().producer(y), {1, -2}));
}

}  // namespace
}  // namespace precis::quant
