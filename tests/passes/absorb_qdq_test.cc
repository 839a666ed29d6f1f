#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ir::UnaryKind;
using ::testing::ElementsAre;

class AbsorbQdqTest : public PassTest {
 protected:
  // u8 tensor that stands for f32 `x`.
  ir::ValueId Quantize(ir::ValueId x, float scale, int32_t zero_point) {
    const ir::ValueId q = graph_.AddValue("q", DataType::kU8, graph_.value(x).shape);
    SetQuant(q, {scale}, {zero_point});
    graph_.AddNode("", ir::Convert{}, {x}, {q});
    return q;
  }
  ir::ValueId Dequantize(ir::ValueId q) {
    const ir::ValueId x = graph_.AddValue("x", DataType::kF32, graph_.value(q).shape);
    graph_.AddNode("", ir::Convert{}, {q}, {x});
    return x;
  }
  // x rounded to u8 and back.
  ir::ValueId Qdq(ir::ValueId x, float scale, int32_t zero_point) { return Dequantize(Quantize(x, scale, zero_point)); }
  ir::ValueId Weights(const Shape& shape, std::vector<float> scales, int axis, DataType dtype = DataType::kS8,
                      int32_t zero_point = 0) {
    const ir::ValueId w = builder_.Constant(testing::RandomTensor(builder_.random(), shape, 1, 100, dtype));
    const std::vector<int32_t> zeros(scales.size(), zero_point);
    SetQuant(w, std::move(scales), zeros, axis);
    return w;
  }
  void SetQuant(ir::ValueId id, std::vector<float> scales, std::vector<int32_t> zeros, int axis = -1) {
    bool symmetric = true;
    for (const int32_t z : zeros) symmetric = symmetric && z == 0;
    graph_.value(id).quant =
        ir::QuantParams{std::move(scales), symmetric ? std::vector<int32_t>{} : std::move(zeros), axis};
  }
  int RunOnce() {
    const int fired = AbsorbQdq(graph_);
    EXPECT_TRUE(graph_.Verify().ok()) << graph_.Verify();
    const std::string once = graph_.ToString();
    EXPECT_EQ(AbsorbQdq(graph_), 0) << once;
    return fired;
  }
  DataType TypeOf(ir::ValueId id) const { return graph_.value(id).dtype; }

  const ir::ValueId image_ = Input({1, 3, 6, 6});
};

TEST_F(AbsorbQdqTest, ConvBetweenConvertsIsAnIntegerConv) {
  const ir::ValueId w = Weights({4, 3, 3, 3}, {0.1f, 0.2f, 0.3f, 0.4f}, 0);
  const ir::ValueId y = Node(ir::Conv{}, {Qdq(image_, 0.1f, 5), Dequantize(w), Random({4})});
  Output(Qdq(y, 0.2f, 3));
  EXPECT_GT(RunOnce(), 0);
  EXPECT_THAT(Ops(), ElementsAre("Convert", "Conv", "Convert"));
  const ir::Node& conv = graph_.node(Find("Conv"));
  EXPECT_EQ(TypeOf(conv.inputs[0]), DataType::kU8);
  EXPECT_EQ(conv.inputs[1], w);
  EXPECT_EQ(TypeOf(conv.inputs[2]), DataType::kF32);
  EXPECT_EQ(TypeOf(conv.outputs[0]), DataType::kU8);
}

TEST_F(AbsorbQdqTest, ResultStaysFloatWhenItsReaderDoes) {
  const ir::ValueId y = Node(ir::Conv{}, {Qdq(image_, 0.1f, 5), Dequantize(Weights({4, 3, 1, 1}, {0.1f}, -1))});
  Output(Node(ir::Softmax{}, {y}));
  RunOnce();
  EXPECT_THAT(Ops(), ElementsAre("Convert", "Conv", "Softmax"));
}

TEST_F(AbsorbQdqTest, ResultStaysFloatWhenSeveralReadIt) {
  const ir::ValueId y = Node(ir::Conv{}, {Qdq(image_, 0.1f, 5), Dequantize(Weights({4, 3, 1, 1}, {0.1f}, -1))});
  Output(Qdq(y, 0.2f, 3));
  Output(y);
  RunOnce();
  EXPECT_EQ(TypeOf(graph_.node(Find("Conv")).outputs[0]), DataType::kF32);
}

TEST_F(AbsorbQdqTest, UnsignedWeightsAround128BecomeSigned) {
  const ir::ValueId w = Weights({4, 3, 1, 1}, {0.1f}, -1, DataType::kU8, 128);
  Output(Node(ir::Conv{}, {Qdq(image_, 0.1f, 5), Dequantize(w)}));
  RunOnce();
  const ir::ValueId weights = graph_.node(Find("Conv")).inputs[1];
  EXPECT_EQ(TypeOf(weights), DataType::kS8);
  EXPECT_TRUE(graph_.value(weights).quant->zero_points.empty());
  EXPECT_EQ(graph_.ConstantOrNull(weights)->As<int8_t>()[0], graph_.ConstantOrNull(w)->As<uint8_t>()[0] - 128);
}

TEST_F(AbsorbQdqTest, WeightsThatFitNoIntegerLayerBecomeFloat) {
  const ir::ValueId x = Qdq(image_, 0.1f, 5);
  Output(Node(ir::Conv{},
              {x, Dequantize(Weights({3, 3, 1, 1}, {0.1f, 0.2f, 0.3f}, 1))}));  // scales along the input channels
  Output(Node(ir::Conv{}, {x, Dequantize(Weights({3, 3, 1, 1}, {0.1f}, -1, DataType::kU8, 100))}));
  RunOnce();
  EXPECT_THAT(Ops(), ElementsAre("Convert", "Convert", "Conv", "Conv"));
  EXPECT_EQ(TypeOf(graph_.node(Find("Conv")).inputs[0]), DataType::kF32);
  EXPECT_TRUE(graph_.IsConstant(graph_.node(Find("Conv")).inputs[1]));
}

TEST_F(AbsorbQdqTest, MatMulTakesScalesAlongItsColumns) {
  const ir::ValueId x = Qdq(Input({5, 3}), 0.1f, 5);
  const ir::ValueId w = Weights({2, 3}, {0.1f, 0.2f}, 0);
  Output(Node(ir::MatMul{false, true}, {x, Dequantize(w)}));
  RunOnce();
  EXPECT_EQ(graph_.node(Find("MatMul")).inputs[1], w);
}

TEST_F(AbsorbQdqTest, ProductOfTwoActivationsTakesTheSecondSigned) {
  const ir::ValueId a = Qdq(Input({2, 3, 4}), 0.1f, 5), b = Qdq(Input({2, 4, 3}), 0.1f, 130);
  Output(Qdq(Node(ir::MatMul{}, {a, b}), 0.5f, 9));
  RunOnce();
  const ir::Node& matmul = graph_.node(Find("MatMul"));
  EXPECT_EQ(TypeOf(matmul.inputs[0]), DataType::kU8);
  EXPECT_EQ(TypeOf(matmul.inputs[1]), DataType::kS8);
  EXPECT_EQ(graph_.value(matmul.inputs[1]).quant->zero_point(), 2);
  EXPECT_EQ(TypeOf(matmul.outputs[0]), DataType::kU8);
}

TEST_F(AbsorbQdqTest, ReluGoesWhereTheIntegersEndAtZero) {
  const ir::ValueId x = Qdq(image_, 0.1f, 5), w = Dequantize(Weights({4, 3, 1, 1}, {0.1f}, -1));
  Output(Qdq(Unary(UnaryKind::kRelu, Node(ir::Conv{}, {x, w})), 0.2f, 0));
  FuseActivation(graph_);
  RunOnce();
  EXPECT_THAT(Ops(), ElementsAre("Convert", "Conv", "Convert"));
}

TEST_F(AbsorbQdqTest, ClipStaysWhereTheIntegersGoFurther) {
  const ir::ValueId x = Qdq(image_, 0.1f, 5), w = Dequantize(Weights({4, 3, 1, 1}, {0.1f}, -1));
  Output(Qdq(Unary(UnaryKind::kClip, Node(ir::Conv{}, {x, w}), 0, 6), 6.5f / 255, 0));
  FuseActivation(graph_);
  RunOnce();
  EXPECT_THAT(Ops(), ElementsAre("Convert", "Conv+Clip", "Convert"));
}

TEST_F(AbsorbQdqTest, ResidualOfAConvIsReadAsIntegers) {
  const ir::ValueId x = Qdq(image_, 0.1f, 5), w = Dequantize(Weights({3, 3, 1, 1}, {0.1f}, -1));
  Output(Qdq(Binary(ir::BinaryKind::kAdd, Node(ir::Conv{}, {x, w}), x), 0.2f, 7));
  FuseResidualAdd(graph_);
  RunOnce();
  EXPECT_THAT(Ops(), ElementsAre("Convert", "Conv+Add", "Convert"));
  for (const ir::ValueId input : graph_.node(Find("Conv")).inputs) {
    EXPECT_TRUE(input == ir::kNoValue || IsInt8(TypeOf(input)));  // it has no bias
  }
}

TEST_F(AbsorbQdqTest, SumOfTwoQuantizedValues) {
  const ir::ValueId a = Qdq(image_, 0.1f, 5), b = Qdq(Unary(UnaryKind::kTanh, image_), 0.01f, 128);
  Output(Qdq(Binary(ir::BinaryKind::kAdd, a, b), 0.2f, 7));
  RunOnce();
  for (const ir::ValueId input : graph_.node(Find("Add")).inputs) EXPECT_EQ(TypeOf(input), DataType::kU8);
  EXPECT_EQ(TypeOf(graph_.node(Find("Add")).outputs[0]), DataType::kU8);
}

TEST_F(AbsorbQdqTest, SumStaysFloatWhenOneSideIs) {
  Output(Qdq(Binary(ir::BinaryKind::kAdd, Qdq(image_, 0.1f, 5), Unary(UnaryKind::kTanh, image_)), 0.2f, 7));
  EXPECT_EQ(RunOnce(), 0);
}

TEST_F(AbsorbQdqTest, MovementAndMaximumWorkOnIntegers) {
  ir::ValueId x = Qdq(image_, 0.1f, 5);
  x = Node(ir::Pool{ir::PoolKind::kMax, testing::SquareWindow({2, 2}, 2)}, {x});
  x = Node(ir::Transpose{{0, 2, 3, 1}}, {x});
  x = Node(ir::Reshape{}, {x, Int64s({9, 3})});
  Output(Node(ir::Softmax{}, {x}));
  EXPECT_EQ(RunOnce(), 3);
  EXPECT_THAT(Ops(), ElementsAre("Convert", "MaxPool", "Transpose", "Reshape", "Convert", "Softmax"));
}

TEST_F(AbsorbQdqTest, QuantizingAgainAlikeIsNothing) {
  const ir::ValueId x = Dequantize(Quantize(Qdq(image_, 0.1f, 5), 0.1f, 5));
  Output(Node(ir::Softmax{}, {x}));
  EXPECT_EQ(RunOnce(), 1);
  EXPECT_THAT(Ops(), ElementsAre("Convert", "Convert", "Softmax"));
}

TEST_F(AbsorbQdqTest, QuantizingAgainOtherwiseIsOneConvert) {
  const ir::ValueId x = Dequantize(Quantize(Qdq(image_, 0.1f, 5), 0.2f, 5));
  Output(Node(ir::Softmax{}, {x}));
  EXPECT_EQ(RunOnce(), 1);
  EXPECT_THAT(Ops(), ElementsAre("Convert", "Convert", "Convert", "Softmax"));
}

TEST_F(AbsorbQdqTest, ConcatOfUnequalParametersTakesThoseOfItsResult) {
  const ir::ValueId a = Qdq(image_, 0.1f, 5), b = Qdq(Unary(UnaryKind::kTanh, image_), 0.2f, 7);
  Output(Qdq(Node(ir::Concat{1}, {a, b}), 0.2f, 7));
  RunOnce();
  const ir::Node& concat = graph_.node(Find("Concat"));
  for (const ir::ValueId input : concat.inputs)
    EXPECT_EQ(graph_.value(input).quant, graph_.value(concat.outputs[0]).quant);
}

TEST_F(AbsorbQdqTest, ConcatOfUnequalParametersStaysFloatWithoutResultOfItsOwn) {
  const ir::ValueId a = Qdq(image_, 0.1f, 5), b = Qdq(Unary(UnaryKind::kTanh, image_), 0.2f, 7);
  Output(Node(ir::Softmax{}, {Node(ir::Concat{1}, {a, b})}));
  EXPECT_EQ(RunOnce(), 0);
}

TEST_F(AbsorbQdqTest, AverageNeedsTheSameParametersOnBothSides) {
  const ir::Pool pool{ir::PoolKind::kAverage, testing::SquareWindow({2, 2}, 2)};
  Output(Qdq(Node(pool, {Qdq(image_, 0.1f, 5)}), 0.1f, 5));
  Output(Qdq(Node(pool, {Qdq(image_, 0.2f, 5)}), 0.1f, 5));
  EXPECT_EQ(RunOnce(), 1);
}

TEST_F(AbsorbQdqTest, CountedPaddingNeedsAZeroPointOfZero) {
  const ir::Pool pool{ir::PoolKind::kAverageIncludePad, testing::SquareWindow({3, 3}, 1, 1)};
  Output(Qdq(Node(pool, {Qdq(image_, 0.1f, 5)}), 0.1f, 5));
  Output(Qdq(Node(pool, {Qdq(image_, 0.1f, 0)}), 0.1f, 0));
  EXPECT_EQ(RunOnce(), 1);
}

TEST_F(AbsorbQdqTest, GlobalAverageTakesAnyParameters) {
  Output(Qdq(Node(ir::GlobalPool{}, {Qdq(image_, 0.1f, 5)}), 0.2f, 7));
  Output(Node(ir::GlobalPool{}, {Qdq(image_, 0.2f, 5)}));
  EXPECT_EQ(RunOnce(), 2);
  EXPECT_THAT(Ops(), ::testing::UnorderedElementsAre("Convert", "GlobalAveragePool", "Convert", "Convert",
                                                     "GlobalAveragePool"));
}

}  // namespace
}  // namespace precis::passes
