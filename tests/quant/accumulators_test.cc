#include "engine/quant/accumulators.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/quant/quantized_graphs.h"
#include "tests/quant/reference_runner.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

using ir::Accumulator;
using testing::GraphBuilder;
using ::testing::HasSubstr;
using testing::SquareWindow;

// Two convolutions, the second in two groups, and a product.
ir::Graph Network() {
  GraphBuilder b;
  const ir::ValueId first =
      b.Unary(ir::UnaryKind::kRelu, b.Conv(b.Input({1, 8, 6, 6}), 16, SquareWindow({3, 3}, 1, 1)));
  const ir::ValueId second = b.Conv(first, 8, SquareWindow({3, 3}, 1, 1), 2);
  b.Output(b.Node(ir::MatMul{}, {b.Reshape(second, {1, 288}), b.Weights({288, 10})}));
  ir::Graph graph = std::move(b.graph());
  const char* names[] = {"first", "second", "head"};
  int layer = 0;
  for (ir::NodeId id = 0; id < graph.num_node_slots(); ++id) {
    const ir::Op& op = graph.node(id).op;
    if (std::holds_alternative<ir::Conv>(op) || std::holds_alternative<ir::MatMul>(op))
      graph.node(id).name = names[layer++];
  }
  return graph;
}

Policy Of(Precision precision, Accumulator accumulator, int chunk = 0, bool own_scales = false) {
  Policy policy;
  policy.precision = precision;
  policy.accumulation = {chunk, own_scales, accumulator, false};
  return policy;
}

// The named node after the policy.
ir::Node Applied(const Policy& policy, const std::string& name) {
  const ir::Graph f32 = Network();
  ir::Graph graph = f32;
  const auto table = NeedsCalibration(policy) ? CalibrateRandomly(f32, policy) : nullptr;
  const absl::Status status = ApplyPolicy(graph, policy, table.get(), {});
  EXPECT_TRUE(status.ok()) << status;
  for (ir::NodeId id = 0; id < graph.num_node_slots(); ++id) {
    if (graph.alive(id) && graph.node(id).name == name) return graph.node(id);
  }
  ADD_FAILURE() << "no node " << name;
  return {};
}

TEST(AccumulatorsTest, FloatsSumTheLayersOfEachFloatPrecision) {
  for (const Precision precision : {Precision::kF32, Precision::kBF16, Precision::kF16}) {
    for (const char* name : {"first", "second", "head"}) {
      const ir::Node node = Applied(Of(precision, Accumulator::kF16, 64), name);
      ASSERT_TRUE(node.accumulation.has_value()) << name;
      EXPECT_EQ(*node.accumulation, (ir::Accumulation{Accumulator::kF16, 64, false}));
    }
    EXPECT_THAT(Applied(Of(precision, Accumulator::kF16, 64), "first").precision_note,
                HasSubstr("emulated: f16 sums of 64, f32 across 2 chunks"));
    EXPECT_THAT(Applied(Of(precision, Accumulator::kF16, 100), "second").precision_note,
                HasSubstr("emulated: f16 sums of all 72"));
  }
}

TEST(AccumulatorsTest, S16SumsIntegerLayers) {
  for (const char* name : {"first", "second", "head"}) {
    const ir::Node node = Applied(Of(Precision::kInt8, Accumulator::kS16, 50), name);
    ASSERT_TRUE(node.accumulation.has_value()) << name << ": " << node.precision_note;
    EXPECT_EQ(*node.accumulation, (ir::Accumulation{Accumulator::kS16, 50, false}));
  }
}

TEST(AccumulatorsTest, ChunksWithScalesOfTheirOwnAreCutWhereScalesChange) {
  const Policy policy = Of(Precision::kInt8, Accumulator::kS16, 40, /*own_scales=*/true);
  const ir::Node first = Applied(policy, "first");
  ASSERT_TRUE(first.accumulation.has_value());
  EXPECT_EQ(first.accumulation->chunk, 36);  // four channels of 3x3
  EXPECT_THAT(first.precision_note, HasSubstr("s16 sums of 36, f32 across 2 chunks with scales of their own"));
  EXPECT_EQ(Applied(policy, "second").accumulation->chunk, 40);  // grouped: one scale
}

TEST(AccumulatorsTest, SimulatedLayersMultiplyRealNumbers) {
  Policy policy = Of(Precision::kInt8, Accumulator::kBF16);
  policy.execution = Execution::kSimulated;
  EXPECT_EQ(Applied(policy, "first").accumulation, (ir::Accumulation{Accumulator::kBF16, 0, false}));
}

TEST(AccumulatorsTest, LayersThatItDoesNotFitSayWhyTheySumAsBefore) {
  Policy integers = Of(Precision::kInt8, Accumulator::kS16);
  integers.overrides.push_back({"head", Precision::kF32, std::nullopt, std::nullopt});
  const ir::Node head = Applied(integers, "head");
  EXPECT_FALSE(head.accumulation.has_value());
  EXPECT_THAT(head.precision_note, HasSubstr("sums in f32: s16 sums products of 8-bit levels"));

  Policy floats = Of(Precision::kF32, Accumulator::kF16);
  floats.overrides.push_back({"first", Precision::kInt8, std::nullopt, std::nullopt});
  const ir::Node first = Applied(floats, "first");
  EXPECT_FALSE(first.accumulation.has_value());
  EXPECT_THAT(first.precision_note, HasSubstr("sums in s32: f16 sums products of real numbers"));
  EXPECT_TRUE(Applied(floats, "head").accumulation.has_value());
}

TEST(AccumulatorsTest, OverridesNarrowSingleLayers) {
  Policy policy;
  policy.overrides.push_back(
      {"head", std::nullopt, std::nullopt, AccumulationPolicy{7, false, Accumulator::kF16, true}});
  EXPECT_FALSE(Applied(policy, "first").accumulation.has_value());
  EXPECT_EQ(Applied(policy, "head").accumulation, (ir::Accumulation{Accumulator::kF16, 7, true}));
}

}  // namespace
}  // namespace precis::quant
