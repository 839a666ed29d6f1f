// INTEGER_ONLY and SIMULATED give the same integers: every layer by itself on equal levels, then whole networks.
#include "engine/quant/simulate.h"

#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/quant/quantize.h"
#include "gtest/gtest.h"
#include "tests/plan/precision.h"
#include "tests/quant/reference_runner.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

using ir::ValueId;
using testing::GraphBuilder;
using testing::RunPlan;
using testing::SquareWindow;

// Convolutions of all kinds, residuals, pools, a concatenation, arithmetic on levels, products with constants.
ir::Graph ImageNetwork(uint32_t seed) {
  GraphBuilder b(seed);
  const ValueId x = b.Input({2, 8, 16, 16});
  const ValueId stem = b.Conv(x, 32, SquareWindow({3, 3}, 1, 1));
  b.Fuse(stem, ir::Unary{ir::UnaryKind::kRelu});
  const ValueId depthwise = b.Conv(stem, 32, SquareWindow({3, 3}, 1, 1), 32);
  b.Fuse(depthwise, ir::Unary{ir::UnaryKind::kClip, 0.0f, 6.0f});
  const ValueId sum = b.Conv(depthwise, 32, SquareWindow({1, 1}));
  b.Fuse(sum, ir::BinaryKind::kAdd, stem);
  const ValueId pooled = b.Node(ir::Pool{ir::PoolKind::kMax, SquareWindow({2, 2}, 2)}, {sum});
  const ValueId left = b.Conv(pooled, 16, SquareWindow({1, 1})), right = b.Conv(pooled, 16, SquareWindow({3, 3}, 1, 1));
  b.Fuse(left, ir::Unary{ir::UnaryKind::kRelu});
  b.Fuse(right, ir::Unary{ir::UnaryKind::kHardSwish});
  const ValueId joined = b.Node(ir::Concat{1}, {left, right});
  const ValueId more = b.Conv(joined, 64, SquareWindow({3, 3}, 2, 1));
  const ValueId other = b.Conv(joined, 64, SquareWindow({1, 1}, 2));
  const ValueId added = b.Binary(ir::BinaryKind::kAdd, more, other);
  const ValueId last = b.Conv(b.Unary(ir::UnaryKind::kRelu, added), 64, SquareWindow({1, 1}));
  const ValueId flat = b.Node(ir::Flatten{1}, {b.Node(ir::GlobalPool{}, {last})});
  const ValueId hidden = b.Node(ir::MatMul{}, {flat, b.Weights({64, 48}), b.Weights({48})});
  b.Fuse(hidden, ir::Unary{ir::UnaryKind::kGeluErf});
  b.Output(b.Node(ir::MatMul{false, true}, {hidden, b.Weights({10, 48}), b.Weights({10})}));
  return std::move(b.graph());
}

// One attention block.
ir::Graph TokenNetwork(uint32_t seed) {
  GraphBuilder b(seed);
  const ValueId x = b.Input({2, 12, 64});
  const auto project = [&] { return b.Node(ir::MatMul{}, {x, b.Weights({64, 64}, -0.2f, 0.2f), b.Weights({64})}); };
  const auto heads = [&](ValueId v) { return b.Transpose(b.Reshape(v, {2, 12, 4, 16}), {0, 2, 1, 3}); };
  const ValueId q = heads(project()), k = heads(project()), v = heads(project());
  const ValueId scores = b.Node(ir::MatMul{false, true, 0.25f}, {q, k});
  const ValueId mixed = b.Node(ir::MatMul{}, {b.Node(ir::Softmax{-1}, {scores}), v});
  const ValueId back = b.Reshape(b.Transpose(mixed, {0, 2, 1, 3}), {2, 12, 64});
  const ValueId out = b.Node(ir::MatMul{}, {back, b.Weights({64, 64}, -0.2f, 0.2f)});
  b.Fuse(out, ir::BinaryKind::kAdd, x);
  b.Output(out);
  return std::move(b.graph());
}

ir::Graph Quantized(const ir::Graph& graph, const Policy& policy) {
  ir::Graph g = graph;
  EXPECT_TRUE(ApplyPolicy(g, policy, CalibrateRandomly(graph, policy).get(), {}).ok());
  EXPECT_TRUE(g.Verify().ok()) << g.Verify();
  return g;
}

// Values of levels that are computed at run time.
std::vector<ValueId> LevelsIn(const ir::Graph& g) {
  std::vector<ValueId> levels;
  for (ValueId v = 0; v < g.num_values(); ++v) {
    if (g.value(v).quant && !g.IsConstant(v) && g.producer(v) != ir::kNoNode) levels.push_back(v);
  }
  return levels;
}

std::vector<Tensor> RunFor(ir::Graph graph, const std::vector<Tensor>& inputs, const std::vector<ValueId>& wanted) {
  graph.outputs.clear();
  for (ValueId v : wanted) graph.outputs.push_back(ir::Port{v, {}});
  auto result = RunPlan(graph, inputs);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : std::vector<Tensor>();
}

struct Difference {
  int64_t elements = 0, one = 0, more = 0;
  int64_t unexplained = 0;  // one level apart, though the exact number is not in the middle of two
};

class SimulateTest : public ::testing::TestWithParam<bool> {
 protected:
  static Policy PolicyOf(Execution execution, int chunk_size, WeightScheme scheme = WeightScheme::kAffine) {
    Policy policy;
    policy.precision = Precision::kInt8;
    policy.execution = execution;
    policy.weights.scheme = scheme;
    policy.weights.bits = BitsOf(scheme).usual;
    policy.accumulation = {chunk_size, chunk_size != 0};
    return policy;
  }
  static ir::Graph Network(uint32_t seed) { return GetParam() ? TokenNetwork(seed) : ImageNetwork(seed); }
};

// Every layer of the simulation reads the levels that the integer network gave, so that no layer inherits a difference.
TEST_P(SimulateTest, EveryLayerGivesTheSameIntegers) {
  Difference all;
  const std::pair<uint32_t, WeightScheme> cases[] = {
      {1, WeightScheme::kAffine},   {2, WeightScheme::kAffine},  {3, WeightScheme::kAffine}, {1, WeightScheme::kLog2},
      {2, WeightScheme::kCodebook}, {3, WeightScheme::kTernary}, {1, WeightScheme::kBinary}};
  for (const auto& [seed, scheme] : cases) {
    for (int chunk_size : {0, 32}) {
      SCOPED_TRACE(absl::StrCat("seed ", seed, " chunks of ", chunk_size, " weights ", SchemeName(scheme)));
      const ir::Graph f32 = Network(seed);
      const ir::Graph integer = Quantized(f32, PolicyOf(Execution::kIntegerOnly, chunk_size, scheme));
      ir::Graph simulated = Quantized(f32, PolicyOf(Execution::kSimulated, chunk_size, scheme));
      const std::vector<ValueId> levels = LevelsIn(integer);
      ASSERT_GE(levels.size(), 4u);
      std::mt19937 random(seed);
      std::vector<Tensor> inputs = testing::RandomInputs(f32, random);
      const std::vector<Tensor> want = RunFor(integer, inputs, levels);
      ASSERT_EQ(want.size(), levels.size());
      std::vector<ValueId> wanted;
      for (size_t i = 0; i < levels.size(); ++i) {
        const ValueId v = levels[i];  // the simulation was made from the same graph: ids agree
        ASSERT_EQ(simulated.value(v).name, integer.value(v).name);
        ASSERT_EQ(*simulated.value(v).quant, *integer.value(v).quant);
        wanted.push_back(v);
        const std::vector<ir::NodeId> readers = simulated.consumers(v);
        if (readers.empty()) continue;
        const ValueId given = simulated.AddValue("given", simulated.value(v).dtype, simulated.value(v).shape);
        simulated.value(given).quant = simulated.value(v).quant;
        for (ir::NodeId id : readers) simulated.SetInput(id, 0, given);
        simulated.inputs.push_back(ir::Port{given, {}});
        inputs.push_back(want[i].Clone());
      }
      for (ValueId v : levels) wanted.push_back(simulated.node(simulated.producer(v)).inputs[0]);  // before rounding
      const std::vector<Tensor> got = RunFor(simulated, inputs, wanted);
      ASSERT_EQ(got.size(), wanted.size());
      for (size_t i = 0; i < levels.size(); ++i) {
        const ir::QuantParams& q = *integer.value(levels[i]).quant;
        const std::vector<float> exact = ToFloat(got[levels.size() + i].view());
        const auto w = ToInt64(want[i].view()), g = ToInt64(got[i].view());
        for (size_t e = 0; e < w.size(); ++e) {
          ++all.elements;
          if (w[e] == g[e]) continue;
          ++(std::abs(w[e] - g[e]) == 1 ? all.one : all.more);
          const double level = static_cast<double>(exact[e]) / static_cast<double>(q.scale());
          const bool is_tie = std::abs(level - std::floor(level) - 0.5) < 1e-3;
          all.unexplained += !is_tie;
          if (!is_tie)
            ADD_FAILURE() << integer.value(levels[i]).name << ": " << w[e] << " and " << g[e] << " of " << level;
        }
      }
    }
  }
  RecordProperty("elements", absl::StrCat(all.elements));
  RecordProperty("one_level_apart", absl::StrCat(all.one));
  std::printf("%ld of %ld levels are one apart, all of them ties\n", static_cast<long>(all.one),
              static_cast<long>(all.elements));
  EXPECT_EQ(all.more, 0);
  EXPECT_EQ(all.unexplained, 0);
  EXPECT_LT(all.one, all.elements / 1000);
}

TEST_P(SimulateTest, WholeNetworksAgree) {
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    const ir::Graph f32 = Network(seed);
    const ir::Graph integer = Quantized(f32, PolicyOf(Execution::kIntegerOnly, 0));
    const ir::Graph simulated = Quantized(f32, PolicyOf(Execution::kSimulated, 0));
    std::mt19937 random(seed);
    const std::vector<Tensor> inputs = testing::RandomInputs(f32, random);
    const std::vector<ValueId> levels = LevelsIn(integer);
    const auto want = RunFor(integer, inputs, levels), got = RunFor(simulated, inputs, levels);
    ASSERT_EQ(got.size(), want.size());
    int64_t elements = 0, different = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      const auto w = ToInt64(want[i].view()), g = ToInt64(got[i].view());
      for (size_t e = 0; e < w.size(); ++e) {
        ++elements;
        different += w[e] != g[e];
        EXPECT_LE(std::abs(w[e] - g[e]), 2) << integer.value(levels[i]).name;
      }
    }
    EXPECT_LE(different, elements / 100) << "seed " << seed;  // a tie's difference runs on through what reads it
  }
}

TEST_P(SimulateTest, LayersComputeInF32AndSayThatTheySimulate) {
  const ir::Graph g = Quantized(Network(1), PolicyOf(Execution::kSimulated, 0));
  int simulated = 0;
  for (ir::NodeId id = 0; id < g.num_node_slots(); ++id) {
    if (!g.alive(id) || std::holds_alternative<ir::Convert>(g.node(id).op)) continue;
    for (ValueId v : g.node(id).inputs) EXPECT_TRUE(v == ir::kNoValue || !IsInt8(g.value(v).dtype)) << g.node(id).name;
    for (ValueId v : g.node(id).outputs) EXPECT_FALSE(IsInt8(g.value(v).dtype)) << g.node(id).name;
    simulated += absl::StrContains(g.node(id).precision_note, "simulated");
  }
  EXPECT_GE(simulated, 4);
}

INSTANTIATE_TEST_SUITE_P(Networks, SimulateTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "Tokens" : "Images"; });

}  // namespace
}  // namespace precis::quant
