#include "engine/quant/narrow_float.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/quant/quantized_graphs.h"
#include "tests/quant/reference_runner.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

using ir::ValueId;
using testing::GraphBuilder;
using ::testing::HasSubstr;
using testing::SquareWindow;

ir::Graph Narrowed(const ir::Graph& graph, DataType type) {
  ir::Graph g = graph;
  const absl::Status status = ApplyNarrowFloat(g, type, [](ir::NodeId) { return true; });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(g.Verify().ok()) << g.Verify();
  return g;
}

class NarrowFloatTest : public ::testing::TestWithParam<DataType> {};
INSTANTIATE_TEST_SUITE_P(Types, NarrowFloatTest, ::testing::Values(DataType::kBF16, DataType::kF16));

TEST_P(NarrowFloatTest, IntegerLayersWriteNarrowValuesForNarrowReaders) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 8, 8, 8}), y = b.Conv(x, 8, SquareWindow({3, 3}), 1, false);
  b.Output(b.Conv(y, 4, SquareWindow({1, 1})));
  // The first layer is an integer one, as QDQ files and mixed policies have them.
  ir::Graph& g = b.graph();
  const ValueId weights = g.AddConstant("levels", Tensor(DataType::kS8, {8, 8, 3, 3}));
  g.value(weights).quant = ir::QuantParams{{0.1f}, {}, -1};
  g.SetInput(g.producer(y), 1, weights);
  g.value(x).dtype = DataType::kU8;
  g.value(x).quant = ir::QuantParams{{0.1f}, {}, -1};
  const ir::Graph narrow = Narrowed(g, GetParam());
  EXPECT_EQ(narrow.value(y).dtype, GetParam());
  EXPECT_EQ(CountConverts(narrow), 0);
}

TEST_P(NarrowFloatTest, ConvolutionsPassNarrowValuesAndWriteTheOutputInF32) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 3, 8, 8}), y = b.Conv(x, 4, SquareWindow({3, 3}));
  const ValueId p = b.Node(ir::Pool{ir::PoolKind::kMax, SquareWindow({2, 2}, 2), false}, {y}),
                z = b.Conv(p, 4, SquareWindow({1, 1}));
  b.Output(z);
  const ir::Graph g = Narrowed(b.graph(), GetParam());
  EXPECT_EQ(g.value(x).dtype, DataType::kF32);
  EXPECT_EQ(g.value(y).dtype, GetParam());
  EXPECT_EQ(g.value(p).dtype, GetParam());
  EXPECT_EQ(g.value(z).dtype, DataType::kF32);
  EXPECT_EQ(CountConverts(g), 1);
  EXPECT_EQ(g.value(g.Input(g.producer(z), 1)).dtype, GetParam());      // weights
  EXPECT_EQ(g.value(g.Input(g.producer(z), 2)).dtype, DataType::kF32);  // bias
  EXPECT_GT(SqnrDb(b.graph(), g), GetParam() == DataType::kBF16 ? 35 : 55);
}

TEST_P(NarrowFloatTest, ResizeTakesNarrowDataAndFloatScales) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 3, 8, 8}), y = b.Conv(x, 4, SquareWindow({1, 1}));
  const ValueId scales = b.Constant(Tensor::From<float>({4}, {1, 1, 2, 2}));
  const ValueId r = b.Node(ir::Resize{}, {y, ir::kNoValue, scales});
  b.Output(b.Conv(r, 4, SquareWindow({1, 1})));
  const ir::Graph g = Narrowed(b.graph(), GetParam());
  EXPECT_EQ(g.value(y).dtype, GetParam());
  EXPECT_EQ(g.value(r).dtype, GetParam());
  EXPECT_EQ(g.value(g.Input(g.producer(r), 2)).dtype, DataType::kF32);
}

TEST_P(NarrowFloatTest, NormalisationAndSoftmaxJoinBetweenProducts) {
  GraphBuilder b;
  const ValueId x = b.Input({2, 4, 8}), y = b.Node(ir::MatMul{}, {x, b.Weights({8, 8})});
  const ValueId n = b.Node(ir::LayerNorm{-1, 1e-5f}, {y, b.Weights({8}), b.Weights({8})});
  const ValueId s = b.Node(ir::Softmax{-1}, {b.Node(ir::MatMul{false, true}, {n, n})});
  b.Output(b.Node(ir::MatMul{}, {s, n}));
  const ir::Graph g = Narrowed(b.graph(), GetParam());
  EXPECT_EQ(g.value(y).dtype, GetParam());
  EXPECT_EQ(g.value(n).dtype, GetParam());
  EXPECT_EQ(g.value(s).dtype, GetParam());
  EXPECT_EQ(g.value(g.Input(g.producer(n), 1)).dtype, DataType::kF32);  // its scale
}

TEST_P(NarrowFloatTest, SteepFunctionsStayF32AndSayWhy) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 3, 8, 8}), y = b.Conv(x, 4, SquareWindow({1, 1})), e = b.Unary(ir::UnaryKind::kExp, y);
  b.Output(e);
  const ir::Graph g = Narrowed(b.graph(), GetParam());
  EXPECT_EQ(g.value(y).dtype, DataType::kF32);
  EXPECT_THAT(g.node(g.producer(e)).precision_note, HasSubstr("f32"));
}

TEST_P(NarrowFloatTest, AValueWithBothKindsOfReadersStaysF32WithOneConvert) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 3, 8, 8}), y = b.Conv(x, 4, SquareWindow({1, 1}));
  b.Output(b.Unary(ir::UnaryKind::kExp, y));
  b.Output(b.Conv(y, 4, SquareWindow({1, 1})));
  b.Output(b.Conv(y, 2, SquareWindow({1, 1})));
  const ir::Graph g = Narrowed(b.graph(), GetParam());
  EXPECT_EQ(g.value(y).dtype, DataType::kF32);
  EXPECT_EQ(CountConverts(g), 2);  // of the input and of y
}

TEST_P(NarrowFloatTest, WhatHoldsNumbersBeyondTheTypeStaysF32) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 4, 8}), mask = b.Input({1, 4, 4});
  const ValueId hidden = b.Binary(ir::BinaryKind::kMul, mask, b.Constant(Tensor::From<float>({1}, {-3.402823466e38f})));
  const ValueId q = b.Node(ir::MatMul{}, {x, b.Weights({8, 8})}), scores = b.Node(ir::MatMul{false, true}, {q, q});
  b.Fuse(scores, ir::BinaryKind::kAdd, hidden);
  const ValueId s = b.Node(ir::Softmax{-1}, {scores});
  b.Output(b.Node(ir::MatMul{}, {s, q}));
  const ir::Graph g = Narrowed(b.graph(), GetParam());
  EXPECT_EQ(g.value(hidden).dtype, DataType::kF32);
  EXPECT_EQ(g.value(scores).dtype, DataType::kF32);
  EXPECT_EQ(g.value(s).dtype, GetParam());
  EXPECT_EQ(g.value(q).dtype, GetParam());
}

TEST_P(NarrowFloatTest, IntegerArithmeticIsLeftAlone) {
  GraphBuilder b;
  const ValueId x = b.Input({4}, DataType::kS64);
  const ValueId y = b.Binary(ir::BinaryKind::kAdd, x, b.Ints({1, 2, 3, 4}));
  b.Output(y);
  const ir::Graph g = Narrowed(b.graph(), GetParam());
  EXPECT_EQ(g.value(y).dtype, DataType::kS64);
  EXPECT_EQ(CountConverts(g), 0);
}

TEST(NarrowFloatTest, ConstantsRoundToNearest) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 1});
  b.Output(b.Node(ir::MatMul{}, {x, b.Constant(Tensor::From<float>({1, 1}, {1.0f / 3}))}));
  const ir::Graph g = Narrowed(b.graph(), DataType::kBF16);
  const ir::Node& n = g.node(0);
  EXPECT_EQ(*static_cast<const uint16_t*>(g.value(n.inputs[1]).constant->data()), 0x3eab);
}

}  // namespace
}  // namespace precis::quant
