#include "engine/exec/context.h"

#include <map>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/reference/reference.h"
#include "tests/support/graph_builder.h"

namespace precis::exec {
namespace {

using ir::ValueId;
using precis::testing::GraphBuilder;
using precis::testing::RandomInputs;
using precis::testing::SquareWindow;

// Image, residual block, pooling, product, softmax.
struct Network {
  GraphBuilder b{11};
  ValueId first, block, pooled;
  Network() {
    const ValueId x = b.Input({1, 3, 16, 16});
    first = b.Conv(x, 32, SquareWindow({3, 3}, 1, 1));
    b.Fuse(first, ir::Unary{ir::UnaryKind::kRelu});
    block = b.Conv(b.Conv(first, 32, SquareWindow({3, 3}, 1, 1)), 32, SquareWindow({1, 1}));
    b.Fuse(block, ir::BinaryKind::kAdd, first);
    pooled = b.Node(ir::GlobalPool{}, {block});
    b.Output(b.Node(ir::Softmax{-1}, {b.Node(ir::MatMul{}, {b.Node(ir::Flatten{1}, {pooled}), b.Weights({32, 10})})}));
  }
};

std::shared_ptr<const plan::Plan> Build(const ir::Graph& graph, plan::PlanOptions options = {}) {
  plan::WeightStore store;
  auto plan = plan::BuildPlan(graph, options, store);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *plan;
}

std::vector<float> RunOnce(Context& context, const std::vector<Tensor>& inputs) {
  const void* in[] = {inputs[0].data()};
  std::vector<float> result(10);
  void* out[] = {result.data()};
  EXPECT_TRUE(context.Run(in, out).ok());
  return result;
}

TEST(ContextTest, RunsAgainAndAgainAlike) {
  Network network;
  const auto inputs = RandomInputs(network.b.graph(), network.b.random());
  const auto others = RandomInputs(network.b.graph(), network.b.random());
  Context context(Build(network.b.graph()));
  const auto first = RunOnce(context, inputs);
  const auto other = RunOnce(context, others);
  EXPECT_NE(first, other);
  EXPECT_EQ(RunOnce(context, inputs), first);
  const auto want = reference::Run(network.b.graph(), inputs);
  ASSERT_TRUE(want.ok()) << want.status();
  EXPECT_THAT(first, ::testing::Pointwise(::testing::FloatNear(1e-5f), (*want)[0].As<float>()));
}

TEST(ContextTest, ThreadsWithContextsOfOnePlanAgree) {
  Network network;
  const auto plan = Build(network.b.graph());
  const auto inputs = RandomInputs(network.b.graph(), network.b.random());
  Context reference_context(plan);
  const auto want = RunOnce(reference_context, inputs);
  std::vector<std::vector<float>> results(4);
  {
    std::vector<std::jthread> threads;
    for (auto& result : results) {
      threads.emplace_back([&] {
        Context context(plan);
        for (int i = 0; i < 20; ++i) result = RunOnce(context, inputs);
      });
    }
  }
  for (const auto& result : results) EXPECT_EQ(result, want);
}

TEST(ContextTest, TwoThreadsComputeTheSame) {
  Network network;
  const auto inputs = RandomInputs(network.b.graph(), network.b.random());
  Context one(Build(network.b.graph())), two(Build(network.b.graph(), {.threads = 2, .observed = {}}));
  EXPECT_THAT(RunOnce(two, inputs), ::testing::Pointwise(::testing::FloatNear(1e-5f), RunOnce(one, inputs)));
}

TEST(ContextTest, KeepsThePlanAlive) {
  Network network;
  const auto inputs = RandomInputs(network.b.graph(), network.b.random());
  auto plan = Build(network.b.graph());
  const std::weak_ptr<const plan::Plan> watched = plan;
  auto context = std::make_unique<Context>(std::move(plan));
  network.b.graph() = ir::Graph();
  EXPECT_FALSE(watched.expired());
  EXPECT_EQ(RunOnce(*context, inputs), RunOnce(*context, inputs));
  context.reset();
  EXPECT_TRUE(watched.expired());
}

TEST(ContextTest, ShowsObservedValues) {
  Network network;
  const ir::Graph& graph = network.b.graph();
  const std::vector<ValueId> watched = {graph.inputs[0].value, network.first, network.block, network.pooled};
  const auto inputs = RandomInputs(network.b.graph(), network.b.random());
  const auto want = reference::RunTo(graph, inputs, watched);
  ASSERT_TRUE(want.ok()) << want.status();
  Context context(Build(graph, {.threads = 1, .observed = watched}));
  std::vector<ValueId> seen;
  const void* in[] = {inputs[0].data()};
  std::vector<float> result(10);
  void* out[] = {result.data()};
  const auto status = context.RunObserved(in, out, [&](const ObservedValue& v) {
    const size_t index = static_cast<size_t>(std::find(watched.begin(), watched.end(), v.value) - watched.begin());
    ASSERT_LT(index, watched.size());
    seen.push_back(v.value);
    const Tensor& w = (*want)[index];
    ASSERT_EQ(v.shape, w.shape());
    ASSERT_EQ(v.strides.size(), v.shape.size());
    const auto row_major = RowMajorStrides(w.shape());
    for (int64_t i = 0; i < w.num_elements(); ++i) {
      int64_t at = 0;
      for (size_t d = 0; d < row_major.size(); ++d) at += i / row_major[d] % v.shape[d] * v.strides[d];
      ASSERT_NEAR(v.data[at], w.As<float>()[static_cast<size_t>(i)], 1e-4f) << "element " << i;
    }
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen, watched);  // in execution order
  EXPECT_EQ(result, RunOnce(context, inputs));
}

TEST(ContextTest, TimesEveryStep) {
  Network network;
  const auto inputs = RandomInputs(network.b.graph(), network.b.random());
  Context context(Build(network.b.graph()));
  const void* in[] = {inputs[0].data()};
  std::vector<float> result(10);
  void* out[] = {result.data()};
  std::vector<double> step_us;
  ASSERT_TRUE(context.RunTimed(in, out, step_us).ok());
  ASSERT_EQ(step_us.size(), context.plan().steps.size());
  for (double us : step_us) EXPECT_GT(us, 0.0);
  const auto once = step_us;
  ASSERT_TRUE(context.RunTimed(in, out, step_us).ok());
  for (size_t i = 0; i < once.size(); ++i) EXPECT_GT(step_us[i], once[i]);  // adds to what is there
  for (size_t i = 0; i < once.size(); ++i) {
    const auto alone = context.TimeStepAlone(i, 3);
    ASSERT_TRUE(alone.ok()) << alone.status();
    EXPECT_GT(*alone, 0.0);
  }
}

}  // namespace
}  // namespace precis::exec
