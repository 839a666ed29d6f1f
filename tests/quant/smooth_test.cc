#include "engine/quant/smooth.h"

#include <algorithm>
#include <cmath>

#include "engine/quant/calibration_table.h"
#include "engine/quant/quantize.h"
#include "gtest/gtest.h"
#include "tests/quant/quantized_graphs.h"
#include "tests/quant/reference_runner.h"
#include "tests/reference/reference.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

using ir::ValueId;
using testing::GraphBuilder;

// As in a transformer behind its LayerNorm: x, one channel of which is fifty times wider than the others, goes into a product with GELU behind it,
// then another one, onto which x is added.
struct FeedForward {
  explicit FeedForward(bool transpose = false) {
    const ValueId in = b.Input({1, 8, 32});
    Tensor gamma = testing::RandomTensor(b.random(), {32}, 0.5f, 1.0f);
    gamma.As<float>()[5] = 50;
    x = b.Node(ir::LayerNorm{}, {in, b.Constant(std::move(gamma)), b.Weights({32})});
    h = b.Node(ir::MatMul{false, transpose}, {x, b.Weights(transpose ? Shape{64, 32} : Shape{32, 64})});
    b.Fuse(h, ir::Unary{ir::UnaryKind::kGeluErf});
    y = b.Node(ir::MatMul{}, {h, b.Weights({64, 32})});
    b.Fuse(y, ir::BinaryKind::kAdd, x);
    b.Output(y);
  }
  Assignment Assigned() { return AssignAll(b.graph()); }
  GraphBuilder b{3};
  ValueId x, h, y;
};

TEST(SmoothTest, FindsCopiesThatOnlyProductsRead) {
  FeedForward net;
  const Assignment a = net.Assigned();
  EXPECT_TRUE(IsSmoothable(net.b.graph(), a, net.x, kInt8));
  EXPECT_FALSE(IsSmoothable(net.b.graph(), a, net.h, kInt8));  // levels from its producer
  EXPECT_FALSE(IsSmoothable(net.b.graph(), a, net.y, kInt8));
}

TEST(SmoothTest, LeavesOtherMethodsConvolutionsAndSharedLevelsAlone) {
  FeedForward net;
  Policy policy = kInt8;
  policy.calibration.method = CalibrationMethod::kEntropy;
  EXPECT_FALSE(IsSmoothable(net.b.graph(), net.Assigned(), net.x, policy));
  policy = kInt8;
  policy.weights.bits = 4;
  EXPECT_FALSE(IsSmoothable(net.b.graph(), net.Assigned(), net.x, policy));

  GraphBuilder b;
  const ValueId x = b.Input({1, 3, 4, 4}), y = b.Conv(x, 4, testing::SquareWindow({1, 1}));
  b.Output(b.Conv(y, 4, testing::SquareWindow({1, 1})));
  const Assignment conv = AssignAll(b.graph());
  EXPECT_FALSE(IsSmoothable(b.graph(), conv, x, kInt8));
  EXPECT_FALSE(IsSmoothable(b.graph(), conv, y, kInt8));

  GraphBuilder moved;
  const ValueId p = moved.Node(ir::MatMul{}, {moved.Input({2, 4, 8}), moved.Weights({8, 8})});
  moved.Output(moved.Node(ir::MatMul{}, {moved.Reshape(p, {8, 8}), moved.Weights({8, 8})}));
  const Assignment shared = AssignAll(moved.graph());
  EXPECT_FALSE(IsSmoothable(moved.graph(), shared, p, kInt8));
}

TEST(SmoothTest, DivisorsBalanceActivationsAndWeights) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 3});
  Tensor w(DataType::kF32, {3, 2});
  const std::vector<float> values = {1, -16, 0, 0, 0.25f, 0.0625f};
  std::copy(values.begin(), values.end(), w.As<float>().begin());
  b.Output(b.Node(ir::MatMul{}, {x, b.Constant(std::move(w))}));
  const Assignment a = AssignAll(b.graph());
  const std::vector<float> s = SmoothingDivisors(b.graph(), a, x, {16, 1, 1});
  ASSERT_EQ(s.size(), 3u);
  // Equation 4: sqrt(16 / 16) and sqrt(1 / 0.25), whatever unit both are in. The channel that no weight reads takes the middle.
  EXPECT_FLOAT_EQ(s[0] / s[2], 0.5f);
  EXPECT_FLOAT_EQ(s[1], 1);
}

TEST(SmoothTest, AProductThatAddsItsOwnInputIsScaledOnce) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 3}), w = b.Weights({3, 3}), y = b.Node(ir::MatMul{}, {x, w});
  b.Fuse(y, ir::BinaryKind::kAdd, x);
  b.Output(y);
  const Assignment a = AssignAll(b.graph());
  ASSERT_TRUE(IsSmoothable(b.graph(), a, x, kInt8));
  const Tensor before = b.graph().value(w).constant->Clone();
  SmoothWeights(b.graph(), a, x, {2, 2, 2});
  const ValueId after = b.graph().node(b.graph().producer(y)).inputs[1];
  for (size_t i = 0; i < 9; ++i) EXPECT_EQ(b.graph().value(after).constant->As<float>()[i], 2 * before.As<float>()[i]);
}

TEST(SmoothTest, ChangesNoOutputInFloat) {
  for (bool transpose : {false, true}) {
    FeedForward net(transpose);
    const ir::Graph before = net.b.graph();
    ir::Graph& g = net.b.graph();
    const Assignment a = net.Assigned();
    std::vector<float> divisors(32);
    for (size_t j = 0; j < divisors.size(); ++j) divisors[j] = 0.5f + 0.1f * static_cast<float>(j);
    SmoothWeights(g, a, net.x, divisors);
    const ValueId divided = g.AddValue("divided", DataType::kF32, g.value(net.x).shape);
    const ir::NodeId first = g.producer(net.h);
    g.SetInput(first, 0, divided);
    g.AddNode("", ir::Binary{ir::BinaryKind::kMul}, {net.x, AddReciprocals(g, net.x, divisors)}, {divided});
    for (const auto& inputs : RandomSamples(before, 3).samples) {
      const auto want = reference::Run(before, inputs), got = reference::Run(g, inputs);
      ASSERT_TRUE(want.ok() && got.ok()) << got.status();
      for (size_t i = 0; i < want->front().As<float>().size(); ++i)
        EXPECT_NEAR(want->front().As<float>()[i], got->front().As<float>()[i], 1e-3);
    }
  }
}

TEST(SmoothTest, MakesInt8MoreExactAndTheNetworkNoLonger) {
  for (bool transpose : {false, true}) {
    FeedForward net(transpose);
    Policy plain = kInt8;
    plain.calibration.method = CalibrationMethod::kMse;
    ir::Graph smoothed = net.b.graph(), direct = net.b.graph();
    ASSERT_TRUE(ApplyPolicy(smoothed, kInt8, CalibrateRandomly(net.b.graph(), kInt8).get(), {}).ok());
    ASSERT_TRUE(ApplyPolicy(direct, plain, CalibrateRandomly(net.b.graph(), plain).get(), {}).ok());
    ASSERT_TRUE(smoothed.Verify().ok()) << smoothed.Verify();
    EXPECT_EQ(smoothed.TopologicalOrder()->size(), direct.TopologicalOrder()->size());
    EXPECT_GT(SqnrDb(net.b.graph(), smoothed), SqnrDb(net.b.graph(), direct) + 3);
  }
}

}  // namespace
}  // namespace precis::quant
