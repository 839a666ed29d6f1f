// The arena, in-place execution and shared weights. Random graphs compute with the plan and with the reference: a buffer that is overwritten
// while its value is still wanted shows as a wrong number; a shadow of the arena shows it even where the numbers happen to agree.
#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "engine/plan/plan.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/plan/precision.h"
#include "tests/reference/reference.h"
#include "tests/support/graph_builder.h"

namespace precis::testing {
namespace {

using ir::BinaryKind;
using ir::UnaryKind;
using ir::ValueId;
using plan::Memory;
using plan::Plan;
using plan::Storage;

std::shared_ptr<const Plan> Build(const ir::Graph& graph, plan::WeightStore& store) {
  auto plan = plan::BuildPlan(graph, {}, store);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *plan : nullptr;
}

std::shared_ptr<const Plan> Build(const ir::Graph& graph) {
  plan::WeightStore store;
  return Build(graph, store);
}

// A network of images [1,16,6,6] with everything that shares, splits or reuses buffers.
class RandomNetwork {
 public:
  explicit RandomNetwork(uint32_t seed) : b_(seed) {
    for (int i = 0; i < 2; ++i) images_.push_back(b_.Input({1, 16, 6, 6}));
    const int steps = 4 + Below(12);
    for (int i = 0; i < steps; ++i) AddStep();
    const int outputs = 1 + Below(3);
    for (int i = 0; i < outputs; ++i) b_.Output(images_[images_.size() - 1 - static_cast<size_t>(Below(3))]);
    b_.Output(b_.Reshape(Any(), {36, 16}));
  }
  ir::Graph& graph() { return b_.graph(); }
  std::mt19937& random() { return b_.random(); }

 private:
  int Below(int n) { return static_cast<int>(b_.random()() % static_cast<uint32_t>(n)); }
  // Recent values more often: long chains, in-place candidates.
  ValueId Any() {
    return images_[images_.size() - 1 - static_cast<size_t>(Below(std::min(4, static_cast<int>(images_.size()))))];
  }

  void AddStep() {
    const ValueId x = Any();
    ValueId y;
    switch (Below(11)) {
      case 0: y = b_.Unary(UnaryKind::kTanh, x); break;
      case 1: y = b_.Unary(UnaryKind::kErf, x); break;
      case 2: y = b_.Binary(BinaryKind::kAdd, x, Any()); break;
      case 3: y = b_.Binary(BinaryKind::kMul, x, b_.Weights({16, 1, 1})); break;
      case 4: y = b_.Transpose(x, {0, 1, 3, 2}); break;
      case 5: y = b_.Transpose(b_.Reshape(x, {1, 6, 6, 16}), {0, 3, 1, 2}); break;
      case 6: y = b_.Node(ir::Softmax{1 + Below(3)}, {x}); break;
      case 7: y = b_.Conv(x, 16, SquareWindow({3, 3}, 1, 1)); break;
      case 8: y = b_.Unary(UnaryKind::kTanh, b_.Node(ir::MatMul{}, {x, Any()})); break;
      case 9: {
        const auto parts = b_.Nodes(ir::Split{1, 2}, {x}, 2);
        y = b_.Node(ir::Concat{1}, {parts[1], b_.Unary(UnaryKind::kRelu, parts[0])});
        break;
      }
      default: {
        const ValueId r = Any();
        y = b_.Conv(x, 16, SquareWindow({1, 1}));
        b_.Fuse(y, BinaryKind::kAdd, r);
        b_.Fuse(y, ir::Unary{UnaryKind::kTanh});
      }
    }
    images_.push_back(y);
  }

  GraphBuilder b_;
  std::vector<ValueId> images_;
};

int64_t BytesOf(const Memory& m) {
  return m.desc ? static_cast<int64_t>(m.desc.get_size())
                : NumElements(m.shape) * static_cast<int64_t>(SizeOf(m.dtype));
}

// Replays the plan's reads and writes of arena bytes: what a step reads must have come whole from one write.
void ExpectNoOverlap(const Plan& plan) {
  std::vector<int> writer(static_cast<size_t>(plan.arena_bytes), -1);
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    std::vector<int> reads, writes;
    for (const plan::Argument& a : plan.steps[s].arguments) {
      const bool written = a.dnnl_arg == DNNL_ARG_DST || a.dnnl_arg == DNNL_ARG_SCRATCHPAD;
      (written ? writes : reads).push_back(a.memory);
    }
    for (int m : plan.steps[s].inputs) reads.push_back(m);
    for (int m : plan.steps[s].outputs) writes.push_back(m);
    const auto range = [&](int m) {
      const Memory& memory = plan.memories[static_cast<size_t>(m)];
      EXPECT_LE(memory.offset + BytesOf(memory), plan.arena_bytes);
      return std::pair(writer.begin() + memory.offset, writer.begin() + memory.offset + BytesOf(memory));
    };
    const auto in_arena = [&](int m) {
      return m >= 0 && plan.memories[static_cast<size_t>(m)].storage == Storage::kArena;
    };
    for (int m : reads) {
      if (!in_arena(m) || BytesOf(plan.memories[static_cast<size_t>(m)]) == 0) continue;
      const auto [begin, end] = range(m);
      EXPECT_GE(*begin, 0) << "step " << s << " reads memory " << m << " that nothing wrote";
      EXPECT_TRUE(std::all_of(begin, end, [&](int w) { return w == *begin; }))
          << "step " << s << " (" << plan.layers[static_cast<size_t>(plan.steps[s].layer)].name << ") reads memory "
          << m << " that another step wrote over";
    }
    for (int m : writes) {
      if (!in_arena(m)) continue;
      const auto [begin, end] = range(m);
      std::fill(begin, end, static_cast<int>(s));
    }
  }
}

TEST(MemoryPlanTest, RandomNetworksMatchTheReference) {
  for (uint32_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomNetwork network(seed);
    const auto inputs = RandomInputs(network.graph(), network.random());
    const auto want = reference::Run(network.graph(), inputs);
    ASSERT_TRUE(want.ok()) << want.status();
    const auto got = RunPlan(network.graph(), inputs);
    ASSERT_TRUE(got.ok()) << got.status();
    for (size_t i = 0; i < want->size(); ++i) {
      const auto g = (*got)[i].As<float>(), w = (*want)[i].As<float>();
      const float largest =
          std::abs(*std::max_element(w.begin(), w.end(), [](float a, float b) { return std::abs(a) < std::abs(b); }));
      EXPECT_THAT(g, ::testing::Pointwise(::testing::FloatNear(1e-4f * std::max(1.0f, largest)), w))
          << network.graph().ToString();
    }
  }
}

TEST(MemoryPlanTest, NoReadMeetsForeignBytes) {
  for (const Precision precision : {Precision::kF32, Precision::kBF16, Precision::kF16, Precision::kU8}) {
    for (uint32_t seed = 1; seed <= 40; ++seed) {
      SCOPED_TRACE(absl::StrCat(NameOf(precision), ", seed ", seed));
      RandomNetwork network(seed);
      const auto inputs = RandomInputs(network.graph(), network.random());
      const auto lowered = ToPrecision(network.graph(), precision, inputs);
      ASSERT_TRUE(lowered.ok()) << lowered.status();
      const auto plan = Build(lowered->graph);
      ASSERT_NE(plan, nullptr);
      ExpectNoOverlap(*plan);
    }
  }
}

TEST(MemoryPlanTest, LongChainReusesItsBuffers) {
  GraphBuilder b;
  ValueId x = b.Input({1, 16, 16, 16});
  for (int i = 0; i < 12; ++i) x = b.Conv(x, 16, SquareWindow({3, 3}, 1, 1));
  b.Output(x);
  const auto plan = Build(b.graph());
  ASSERT_NE(plan, nullptr);
  const int64_t activation = 16 * 16 * 16 * 4;
  EXPECT_LE(plan->arena_bytes, 4 * activation);  // source, result, a reordered copy at the ends, scratch
}

TEST(MemoryPlanTest, ElementwiseChainRunsInPlace) {
  GraphBuilder b;
  ValueId x = b.Input({64, 64});
  for (int i = 0; i < 6; ++i) x = b.Unary(i % 2 == 0 ? UnaryKind::kTanh : UnaryKind::kErf, x);
  b.Output(b.Reshape(b.Node(ir::Softmax{-1}, {x}), {4096}));
  const auto plan = Build(b.graph());
  ASSERT_NE(plan, nullptr);
  EXPECT_LT(plan->arena_bytes, 2 * 64 * 64 * 4);
}

// Whether some step adds a residual by accumulating onto it, and whether some step reads an extra operand.
struct Residual {
  bool sum = false, binary = false;
};
Residual HowAdded(const Plan& plan) {
  Residual how;
  for (const plan::Step& step : plan.steps) {
    for (const plan::Argument& a : step.arguments)
      how.binary |= (a.dnnl_arg & DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE) != 0;
  }
  std::set<int64_t> written;
  for (const plan::Step& step : plan.steps) {
    if (step.kernel) continue;
    for (const plan::Argument& a : step.arguments) {
      const Memory& m = plan.memories[static_cast<size_t>(a.memory)];
      const bool conv = plan.layers[static_cast<size_t>(step.layer)].op == "Conv+Add";
      if (a.dnnl_arg != DNNL_ARG_DST || m.storage != Storage::kArena) continue;
      how.sum |= conv && !how.binary && written.contains(m.offset);
      written.insert(m.offset);
    }
  }
  return how;
}

TEST(MemoryPlanTest, ResidualThatDiesIsAccumulatedOnto) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 16, 8, 8});
  const ValueId r = b.Conv(x, 16, SquareWindow({3, 3}, 1, 1)), y = b.Conv(x, 16, SquareWindow({1, 1}));
  b.Fuse(y, BinaryKind::kAdd, r);
  b.Output(b.Conv(y, 16, SquareWindow({1, 1})));
  const auto plan = Build(b.graph());
  ASSERT_NE(plan, nullptr);
  EXPECT_TRUE(HowAdded(*plan).sum);
  EXPECT_FALSE(HowAdded(*plan).binary);
}

TEST(MemoryPlanTest, ResidualThatIsReadLaterIsNotTouched) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 16, 8, 8});
  const ValueId r = b.Conv(x, 16, SquareWindow({3, 3}, 1, 1)), y = b.Conv(x, 16, SquareWindow({1, 1}));
  b.Fuse(y, BinaryKind::kAdd, r);
  b.Output(b.Conv(y, 16, SquareWindow({1, 1})));
  b.Output(b.Conv(r, 16, SquareWindow({1, 1})));
  const auto plan = Build(b.graph());
  ASSERT_NE(plan, nullptr);
  EXPECT_TRUE(HowAdded(*plan).binary);
}

TEST(MemoryPlanTest, PlansAreDeterministic) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    RandomNetwork network(seed);
    const auto a = Build(network.graph()), b = Build(network.graph());
    ASSERT_NE(a, nullptr);
    EXPECT_EQ(a->arena_bytes, b->arena_bytes);
    EXPECT_EQ(a->weight_bytes, b->weight_bytes);
    ASSERT_EQ(a->steps.size(), b->steps.size());
    ASSERT_EQ(a->memories.size(), b->memories.size());
    for (size_t i = 0; i < a->memories.size(); ++i) {
      EXPECT_EQ(a->memories[i].offset, b->memories[i].offset);
      EXPECT_EQ(a->memories[i].storage, b->memories[i].storage);
      EXPECT_TRUE(a->memories[i].desc == b->memories[i].desc);
    }
    ASSERT_EQ(a->layers.size(), b->layers.size());
    for (size_t i = 0; i < a->layers.size(); ++i) EXPECT_EQ(a->layers[i].implementation, b->layers[i].implementation);
  }
}

// A convolution and a product over images of the given size; the same weights whatever the batch.
ir::Graph Classifier(int64_t batch) {
  GraphBuilder b(7);
  const ValueId y = b.Conv(b.Input({batch, 16, 8, 8}), 32, SquareWindow({3, 3}, 1, 1));
  b.Output(b.Node(ir::MatMul{}, {b.Node(ir::Flatten{1}, {b.Node(ir::GlobalPool{}, {y})}), b.Weights({32, 64})}));
  return std::move(b.graph());
}

std::set<const void*> PackedWeights(const Plan& plan) {
  std::set<const void*> blocks;
  for (const plan::Step& step : plan.steps) {
    for (const plan::Argument& a : step.arguments) {
      if (a.dnnl_arg == DNNL_ARG_WEIGHTS) blocks.insert(plan.memories[static_cast<size_t>(a.memory)].constant);
    }
  }
  return blocks;
}

TEST(MemoryPlanTest, PlansOfTwoShapesShareTheirWeights) {
  plan::WeightStore store;
  const auto one = Build(Classifier(1), store);
  const auto two = Build(Classifier(2), store);
  ASSERT_NE(one, nullptr);
  ASSERT_NE(two, nullptr);
  const auto a = PackedWeights(*one), b = PackedWeights(*two);
  EXPECT_EQ(a.size(), 2u);
  std::vector<const void*> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  // The same layout may not suit both shapes; the convolution's does.
  EXPECT_GE(both.size(), 1u);
}

TEST(MemoryPlanTest, PlanKeepsNoFloatWeightsOncePacked) {
  GraphBuilder b;
  b.Output(b.Conv(b.Input({1, 64, 8, 8}), 64, SquareWindow({3, 3}, 1, 1), 1, false));
  ir::Graph graph = std::move(b.graph());
  const ValueId weights = graph.node(0).inputs[1];
  const std::weak_ptr<const Tensor> original = graph.value(weights).constant;
  const auto plan = Build(graph);
  ASSERT_NE(plan, nullptr);
  const int64_t packed = plan->weight_bytes;
  graph = ir::Graph();
  EXPECT_TRUE(original.expired());
  EXPECT_GE(packed, 64 * 64 * 9 * 4);
  EXPECT_LE(packed, 72 * 64 * 9 * 4);  // some kernels pad output channels to a multiple of 24
}

}  // namespace
}  // namespace precis::testing
