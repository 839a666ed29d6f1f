#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ::testing::ElementsAre;

class ConvertQdqTest : public PassTest {
 protected:
  ir::ValueId Zero(uint8_t zero_point) { return builder_.Constant(Tensor::From<uint8_t>({}, {zero_point})); }
  ir::ValueId Quantize(ir::ValueId x, float scale, uint8_t zero_point) {
    return Node(ir::Quantize{}, {x, Scalar(scale), Zero(zero_point)});
  }
  ir::ValueId Dequantize(ir::ValueId q, float scale, uint8_t zero_point) {
    return Node(ir::Dequantize{}, {q, Scalar(scale), Zero(zero_point)});
  }
  // The pass changes the spelling alone; what it means is tested with absorb_qdq.
  int RunOnce() {
    const int fired = ConvertQdq(graph_);
    EXPECT_TRUE(graph_.Verify().ok()) << graph_.Verify();
    EXPECT_EQ(ConvertQdq(graph_), 0);
    return fired;
  }
};

TEST_F(ConvertQdqTest, PairGivesTheValueItsParameters) {
  const ir::ValueId q = Quantize(Input({2, 3}), 0.5f, 7);
  Output(Dequantize(q, 0.5f, 7));
  EXPECT_EQ(RunOnce(), 2);
  EXPECT_THAT(Ops(), ElementsAre("Convert", "Convert"));
  EXPECT_EQ(*graph_.value(q).quant, (ir::QuantParams{{0.5f}, {7}, -1}));
  EXPECT_EQ(graph_.value(q).dtype, DataType::kU8);
}

TEST_F(ConvertQdqTest, ZeroPointOfZeroIsNone) {
  const ir::ValueId q = Quantize(Input({2, 3}), 0.5f, 0);
  Output(Dequantize(q, 0.5f, 0));
  EXPECT_EQ(RunOnce(), 2);
  EXPECT_TRUE(graph_.value(q).quant->zero_points.empty());
}

TEST_F(ConvertQdqTest, WeightsKeepTheirChannelAxis) {
  const ir::ValueId w = builder_.Constant(Tensor::From<int8_t>({2, 1, 1, 1}, {3, -4}));
  Output(Node(ir::Dequantize{-4}, {w, Constant({2}, {0.5f, 0.25f})}));
  EXPECT_EQ(RunOnce(), 1);
  EXPECT_EQ(*graph_.value(w).quant, (ir::QuantParams{{0.5f, 0.25f}, {}, 0}));
}

TEST_F(ConvertQdqTest, BiasBecomesFloat) {
  const ir::ValueId bias = builder_.Constant(Tensor::From<int32_t>({2}, {10, -20}));
  const ir::ValueId x = Node(ir::Dequantize{0}, {bias, Scalar(0.5f)});
  Output(Binary(ir::BinaryKind::kAdd, Input({2}), x));
  EXPECT_EQ(RunOnce(), 1);
  ASSERT_TRUE(graph_.IsConstant(x));
  EXPECT_THAT(graph_.ConstantOrNull(x)->As<float>(), ElementsAre(5.0f, -10.0f));
}

TEST_F(ConvertQdqTest, NotWithComputedParameters) {
  Output(Node(ir::Quantize{}, {Input({2, 3}), Input({}), Zero(0)}));
  EXPECT_EQ(RunOnce(), 0);
}

TEST_F(ConvertQdqTest, NotPerChannelOnActivations) {
  const ir::ValueId zeros = builder_.Constant(Tensor::From<uint8_t>({3}, {0, 0, 0}));
  Output(Node(ir::Quantize{1}, {Input({2, 3}), Constant({3}, {1, 2, 3}), zeros}));
  EXPECT_EQ(RunOnce(), 0);
}

TEST_F(ConvertQdqTest, ReaderThatReinterpretsTheIntegersStays) {
  Output(Dequantize(Quantize(Input({2, 3}), 0.5f, 7), 0.25f, 7));
  EXPECT_EQ(RunOnce(), 1);
  EXPECT_THAT(Ops(), ElementsAre("Convert", "Dequantize"));
}

}  // namespace
}  // namespace precis::passes
