#include "engine/accumulate/layer_dots.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/kernels/kernel.h"
#include "tests/support/graph_builder.h"

namespace precis::accumulate {
namespace {

using testing::GraphBuilder;
using testing::SquareWindow;

// Draws so many dot products that every output must be among them, and holds them against the plain kernel's outputs.
void ExpectDotsAreTheOutputs(GraphBuilder& b, ir::ValueId y) {
  ir::Graph& graph = b.graph();
  const ir::NodeId id = graph.producer(y);
  for (const ir::ValueId v : graph.node(id).inputs) {
    if (!graph.IsConstant(v)) graph.MakeConstant(v, testing::RandomTensor(b.random(), graph.value(v).shape));
  }
  const auto outputs = kernels::Evaluate(graph, id);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  std::vector<float> wanted = ToFloat(outputs->at(0).view());

  Dots dots;
  std::mt19937 random(1);
  const auto operand = [&](size_t i) { return graph.ConstantOrNull(graph.node(id).inputs[i])->view(); };
  const int64_t count = 20 * static_cast<int64_t>(wanted.size());
  ASSERT_TRUE(AddLayerDots(graph, id, operand(0), operand(1), count, random, dots).ok());
  ASSERT_EQ(dots.count, count);
  ASSERT_EQ(static_cast<int64_t>(dots.a.size()), count * dots.k);
  std::vector<bool> seen(wanted.size());
  for (int64_t i = 0; i < count; ++i) {
    double sum = 0;
    for (int64_t j = i * dots.k; j < (i + 1) * dots.k; ++j) {
      sum += static_cast<double>(dots.a[static_cast<size_t>(j)]) * dots.b[static_cast<size_t>(j)];
    }
    const auto nearest = std::min_element(wanted.begin(), wanted.end(), [&](float left, float right) {
      return std::abs(left - sum) < std::abs(right - sum);
    });
    ASSERT_NEAR(*nearest, sum, 1e-5);
    seen[static_cast<size_t>(nearest - wanted.begin())] = true;
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), false), 0);
}

TEST(LayerDotsTest, ConvolutionWithGroupsStridesDilationAndPadding) {
  GraphBuilder b;
  const ir::ValueId x = b.Input({2, 4, 7, 5});
  ExpectDotsAreTheOutputs(b, b.Conv(x, 6, SquareWindow({3, 2}, 2, 1, 2), 2, false));
}

TEST(LayerDotsTest, DepthwiseAndOneDimensionalConvolution) {
  GraphBuilder b;
  ExpectDotsAreTheOutputs(b, b.Conv(b.Input({1, 4, 6, 6}), 4, SquareWindow({3, 3}, 1, 1), 4, false));
  GraphBuilder line;
  ExpectDotsAreTheOutputs(line, line.Conv(line.Input({1, 3, 9}), 4, SquareWindow({4}, 3, 2), 1, false));
}

TEST(LayerDotsTest, TransposedConvolution) {
  GraphBuilder b;
  ir::ConvTranspose op;
  op.window = SquareWindow({3, 2}, 2, 1);
  op.groups = 2;
  const ir::ValueId x = b.Input({1, 4, 4, 3});
  ExpectDotsAreTheOutputs(b, b.Node(op, {x, b.Weights({4, 3, 3, 2})}));
}

TEST(LayerDotsTest, MatrixProductsOfEveryArrangement) {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      GraphBuilder b;
      ir::MatMul op;
      op.transpose_a = transpose_a;
      op.transpose_b = transpose_b;
      const ir::ValueId x = b.Input(transpose_a ? Shape{2, 1, 5, 3} : Shape{2, 1, 3, 5});
      ExpectDotsAreTheOutputs(b, b.Node(op, {x, b.Weights(transpose_b ? Shape{4, 2, 5} : Shape{4, 5, 2})}));
    }
  }
  GraphBuilder vectors;
  ExpectDotsAreTheOutputs(vectors, vectors.Node(ir::MatMul(), {vectors.Input({5}), vectors.Weights({3, 5, 4})}));
  GraphBuilder column;
  ExpectDotsAreTheOutputs(column, column.Node(ir::MatMul(), {column.Input({2, 3, 5}), column.Weights({5})}));
}

TEST(LayerDotsTest, OtherOperatorsAreRefused) {
  GraphBuilder b;
  const ir::ValueId y = b.Unary(ir::UnaryKind::kRelu, b.Input({1, 2}));
  b.Output(y);
  std::mt19937 random(1);
  Dots dots;
  const Tensor x = testing::RandomTensor(random, {1, 2});
  const ir::NodeId id = b.graph().producer(y);
  EXPECT_FALSE(HasDots(b.graph().node(id).op));
  EXPECT_EQ(AddLayerDots(b.graph(), id, x.view(), x.view(), 1, random, dots).code(), absl::StatusCode::kUnimplemented);
}

TEST(LayerDotsTest, ProductsOfAnotherLengthDoNotMix) {
  GraphBuilder b;
  const ir::ValueId x = b.Input({2, 3}), w = b.Weights({3, 2});
  const ir::NodeId id = b.graph().producer(b.Node(ir::MatMul(), {x, w}));
  std::mt19937 random(1);
  Dots dots{1, 4, {1, 1, 1, 1}, {1, 1, 1, 1}};
  const Tensor a = testing::RandomTensor(random, {2, 3});
  EXPECT_EQ(AddLayerDots(b.graph(), id, a.view(), b.graph().ConstantOrNull(w)->view(), 1, random, dots).code(),
            absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace precis::accumulate
