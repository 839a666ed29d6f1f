#include "engine/quant/equalize.h"

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"
#include "tests/quant/quantized_graphs.h"
#include "tests/quant/reference_runner.h"
#include "tests/reference/reference.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

using ir::ValueId;
using testing::GraphBuilder;
using testing::SquareWindow;

// Pointwise convolution with an activation, then a depthwise one; channels of the value between differ by a factor of 50.
struct Depthwise {
  explicit Depthwise(ir::Unary activation) {
    x = b.Input({1, 4, 6, 6});
    Tensor w = testing::RandomTensor(b.random(), {8, 4, 1, 1});
    for (size_t i = 0; i < 32; ++i) w.As<float>()[i] *= i / 4 % 2 == 0 ? 1.0f : 0.02f;
    v = b.Node(ir::Conv{SquareWindow({1, 1}), 1}, {x, b.Constant(std::move(w))});
    b.Fuse(v, activation);
    y = b.Conv(v, 8, SquareWindow({3, 3}, 1, 1), 8);
    b.Output(y);
  }
  ValueId Equalizable(const Policy& policy = kInt8) {
    return EqualizableInput(b.graph(), AssignAll(b.graph()), b.graph().producer(y), policy);
  }
  GraphBuilder b;
  ValueId x, v, y;
};

const ir::Unary kRelu{ir::UnaryKind::kRelu};

TEST(EqualizeTest, FindsTheValueAheadOfADepthwiseConvolution) {
  Depthwise relu(kRelu), clip(ir::Unary{ir::UnaryKind::kClip, 0, 6});
  EXPECT_EQ(relu.Equalizable(), relu.v);
  EXPECT_EQ(clip.Equalizable(), clip.v);
}

TEST(EqualizeTest, LeavesOtherActivationsMethodsAndReadersAlone) {
  Depthwise sigmoid(ir::Unary{ir::UnaryKind::kSigmoid}), relu(kRelu), shared(kRelu);
  EXPECT_EQ(sigmoid.Equalizable(), ir::kNoValue);
  Policy policy = kInt8;
  policy.calibration.method = CalibrationMethod::kMinMax;
  EXPECT_EQ(relu.Equalizable(policy), ir::kNoValue);
  policy = kInt8;
  policy.weights.granularity = Granularity::kPerTensor;
  EXPECT_EQ(relu.Equalizable(policy), ir::kNoValue);
  policy = kInt8;
  for (ValueId layer : {relu.v, relu.y}) {  // either layer by itself
    LayerOverride per_tensor;
    per_tensor.pattern = relu.b.graph().node(relu.b.graph().producer(layer)).name;
    per_tensor.weights = WeightPolicy{.bits = 8, .granularity = Granularity::kPerTensor};
    policy.overrides = {per_tensor};
    EXPECT_EQ(relu.Equalizable(policy), ir::kNoValue);
  }
  shared.b.Output(shared.b.Conv(shared.v, 2, SquareWindow({1, 1})));
  EXPECT_EQ(shared.Equalizable(), ir::kNoValue);
}

TEST(EqualizeTest, ChangesNoOutputAndBringsEveryChannelToOne) {
  for (const ir::Unary& activation : {kRelu, ir::Unary{ir::UnaryKind::kClip, 0, 100}}) {
    Depthwise net(activation);
    const ir::Graph before = net.b.graph();
    const auto table = CalibrateRandomly(before, kInt8);
    const auto divisors = Equalize(net.b.graph(), net.v, *table->Find(before.value(net.v).name));
    ASSERT_EQ(divisors.size(), 8u);
    std::vector<float> most(8, 0.0f);
    for (const auto& inputs : RandomSamples(before, 20).samples) {
      const auto want = reference::Run(before, inputs);
      const auto got = reference::RunTo(net.b.graph(), inputs, {net.v, net.y});
      ASSERT_TRUE(want.ok() && got.ok());
      for (size_t i = 0; i < want->front().As<float>().size(); ++i) {
        EXPECT_NEAR(want->front().As<float>()[i], (*got)[1].As<float>()[i], 1e-4);
      }
      for (size_t i = 0; i < (*got)[0].As<float>().size(); ++i)
        most[i / 36] = std::max(most[i / 36], (*got)[0].As<float>()[i]);
    }
    for (float m : most) EXPECT_NEAR(m, 1.0f, 1e-4);
  }
}

TEST(EqualizeTest, MakesInt8MoreExact) {
  Depthwise net(kRelu);
  const auto table = CalibrateRandomly(net.b.graph(), kInt8);
  Policy plain = kInt8;
  plain.calibration.method = CalibrationMethod::kMse;
  ir::Graph equalized = net.b.graph(), direct = net.b.graph();
  ASSERT_TRUE(ApplyPolicy(equalized, kInt8, table.get(), {}).ok());
  ASSERT_TRUE(ApplyPolicy(direct, plain, CalibrateRandomly(net.b.graph(), plain).get(), {}).ok());
  // Narrow channels are a ten-thousandth of the output's energy: compare the output channels that read them.
  const auto error = [&](const ir::Graph& g) { return SqnrDb(net.b.graph(), g); };
  EXPECT_GE(error(equalized), error(direct) - 0.5);
}

}  // namespace
}  // namespace precis::quant
