#include "engine/quant/layer_inputs.h"

#include <cmath>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/quant/reference_runner.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using testing::GraphBuilder;
using ::testing::Gt;
using testing::SquareWindow;

Policy Int8(CalibrationMethod method) {
  Policy policy;
  policy.precision = Precision::kInt8;
  policy.calibration.method = method;
  return policy;
}

// A graph calibrated on inputs in [-1, 1) and quantized.
struct Calibrated {
  Calibrated(ir::Graph f32, const Policy& policy) : graph(std::move(f32)), quantized(graph) {
    const auto table = CalibrateRandomly(graph, policy);
    const auto status = ApplyPolicy(quantized, policy, table.get(), Target{});
    EXPECT_TRUE(status.ok()) << status;
    inputs = LayerInputs(graph, quantized, *table, policy);
  }
  // Counts over samples whose inputs are in [-scale, scale).
  std::vector<LayerInputCounts> Count(float scale) {
    std::vector<LayerInputCounts> counts(inputs.size());
    std::vector<ir::ValueId> watched;
    for (const LayerInput& input : inputs) watched.push_back(input.value);
    for (const auto& sample : RandomSamples(graph, 20, -scale, scale).samples) {
      ReferenceRunner runner(graph);
      EXPECT_TRUE(runner
                      .Run(sample, watched,
                           [&](const Observation& o) {
                             for (size_t i = 0; i < inputs.size(); ++i) {
                               if (inputs[i].value != o.value) continue;
                               const LayerInputCounts one = CountLayerInput(inputs[i], o);
                               counts[i].elements += one.elements;
                               counts[i].clipped += one.clipped;
                               counts[i].shares.resize(one.shares.size());
                               for (size_t k = 0; k < one.shares.size(); ++k) counts[i].shares[k] += one.shares[k] / 20;
                             }
                           })
                      .ok());
    }
    return counts;
  }

  ir::Graph graph, quantized;
  std::vector<LayerInput> inputs;
};

// x -> convolution, ReLU -> two convolutions that share its result.
ir::Graph Branches() {
  GraphBuilder b;
  const ir::ValueId x = b.Input({1, 3, 8, 8});
  const ir::ValueId v = b.Conv(x, 8, SquareWindow({3, 3}, 1, 1));
  b.Fuse(v, ir::Unary{ir::UnaryKind::kRelu});
  b.Output(b.Conv(v, 4, SquareWindow({1, 1})));
  b.Output(b.Conv(v, 4, SquareWindow({3, 3})));
  return b.graph();
}

double Ratio(const LayerInputCounts& counts) { return counts.clipped / counts.elements; }

TEST(LayerInputsTest, NamesEachValueOnceWithWhatItsLevelsCover) {
  const Calibrated net(Branches(), Int8(CalibrationMethod::kMinMax));
  ASSERT_EQ(net.inputs.size(), 2U);
  EXPECT_EQ(net.inputs[0].value, net.graph.inputs[0].value);
  EXPECT_NEAR(net.inputs[0].low, -1, 0.02);
  EXPECT_NEAR(net.inputs[0].high, 1, 0.02);
  EXPECT_NE(net.inputs[0].layer, net.inputs[1].layer);
  EXPECT_NEAR(net.inputs[1].low, 0, 0.02);  // after a ReLU: half a step below zero
  EXPECT_LT(net.inputs[1].low, 0);
}

TEST(LayerInputsTest, IntervalsHoldEqualSharesOfWhatCalibrationSaw) {
  Calibrated net(Branches(), Int8(CalibrationMethod::kMinMax));
  for (const LayerInput& input : net.inputs) {
    EXPECT_EQ(input.expected.size(), input.edges.size() + 1);
    EXPECT_TRUE(std::is_sorted(input.edges.begin(), input.edges.end()));
    EXPECT_NEAR(std::accumulate(input.expected.begin(), input.expected.end(), 0.0), 1, 1e-9);
    EXPECT_THAT(input.expected, Each(Gt(0.0)));
  }
  EXPECT_EQ(net.inputs[0].expected.size(), 10U);  // uniform numbers: deciles
  const std::vector<LayerInputCounts> counts = net.Count(1);
  for (size_t k = 0; k < 10; ++k) EXPECT_NEAR(counts[0].shares[k], net.inputs[0].expected[k], 0.03);
  for (size_t k = 0; k < counts[1].shares.size(); ++k) {
    EXPECT_NEAR(counts[1].shares[k], net.inputs[1].expected[k], 0.05);
  }
}

TEST(LayerInputsTest, CountsWhatLiesBeyondTheLevels) {
  Calibrated net(Branches(), Int8(CalibrationMethod::kMinMax));
  for (const LayerInputCounts& counts : net.Count(1)) EXPECT_LT(Ratio(counts), 0.005);
  const std::vector<LayerInputCounts> wide = net.Count(4);
  EXPECT_NEAR(Ratio(wide[0]), 0.75, 0.03);  // uniform in four times the range
  EXPECT_GT(Ratio(wide[1]), 0.05);
  EXPECT_GT(wide[0].shares.front() + wide[0].shares.back(), 0.7);
}

TEST(LayerInputsTest, ChannelsOfAnEqualizedInputHaveLevelsOfTheirOwn) {
  GraphBuilder b;
  Tensor weights = testing::RandomTensor(b.random(), {8, 4, 1, 1});
  for (size_t i = 0; i < 32; ++i) weights.As<float>()[i] *= i / 4 % 2 == 0 ? 1.0f : 0.02f;
  const ir::ValueId x = b.Input({1, 4, 6, 6});
  const ir::ValueId v = b.Node(ir::Conv{SquareWindow({1, 1}), 1}, {x, b.Constant(std::move(weights))});
  b.Fuse(v, ir::Unary{ir::UnaryKind::kRelu});
  b.Output(b.Conv(v, 8, SquareWindow({3, 3}, 1, 1), 8));
  Calibrated net(b.graph(), Int8(CalibrationMethod::kDefault));
  ASSERT_EQ(net.inputs.size(), 2U);
  ASSERT_EQ(net.inputs[1].channel_high.size(), 8U);
  EXPECT_GT(net.inputs[1].channel_high[0], 10 * net.inputs[1].channel_high[1]);
  EXPECT_LT(Ratio(net.Count(1)[1]), 0.01);
  EXPECT_GT(Ratio(net.Count(4)[1]), 0.1);
}

TEST(LayerInputsTest, FloatLayersHaveNone) {
  Policy policy;
  policy.precision = Precision::kBF16;
  const ir::Graph f32 = Branches();
  ir::Graph narrow = f32;
  ASSERT_TRUE(ApplyPolicy(narrow, policy, nullptr, Target{}).ok());
  EXPECT_TRUE(LayerInputs(f32, narrow, CalibrationTable(), policy).empty());
}

}  // namespace
}  // namespace precis::quant
