#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ::testing::ElementsAre;

class SimplifyScalarArithmeticTest : public PassTest {
 protected:
  const ir::Unary& UnaryAt(const std::string& name) { return OpOf<ir::Unary>(Find(name)); }
};

TEST_F(SimplifyScalarArithmeticTest, ChainBecomesOneLinear) {
  ir::ValueId x = Binary(ir::BinaryKind::kSub, Input({4}), Scalar(0.5f));
  x = Binary(ir::BinaryKind::kDiv, x, Scalar(4));
  x = Binary(ir::BinaryKind::kSub, Scalar(1), x);
  Output(Binary(ir::BinaryKind::kMul, x, Scalar(2)));
  Run(SimplifyScalarArithmetic);
  EXPECT_THAT(Ops(), ElementsAre("Linear"));
  EXPECT_FLOAT_EQ(UnaryAt("Linear").alpha, -0.5f);
  EXPECT_FLOAT_EQ(UnaryAt("Linear").beta, 2.25f);
}

TEST_F(SimplifyScalarArithmeticTest, AttentionMaskStaysExact) {
  Output(Binary(ir::BinaryKind::kMul, Binary(ir::BinaryKind::kSub, Scalar(1), Input({4})), Scalar(-3.4028235e38f)));
  Run(SimplifyScalarArithmetic, 0.0);
  EXPECT_EQ(UnaryAt("Linear").alpha, 3.4028235e38f);
  EXPECT_EQ(UnaryAt("Linear").beta, -3.4028235e38f);
}

TEST_F(SimplifyScalarArithmeticTest, MaxAndMinBecomeReluAndClip) {
  const ir::ValueId x = Input({4});
  Output(Binary(ir::BinaryKind::kMax, Scalar(0), x));
  Output(Binary(ir::BinaryKind::kMin, Binary(ir::BinaryKind::kMax, x, Scalar(-1)), Scalar(1)));
  Output(Binary(ir::BinaryKind::kPrelu, x, Scalar(0.1f)));
  Run(SimplifyScalarArithmetic);
  EXPECT_THAT(Ops(), ElementsAre("Relu", "Clip", "LeakyRelu"));
  EXPECT_EQ(UnaryAt("Clip").alpha, -1.0f);
  EXPECT_EQ(UnaryAt("Clip").beta, 1.0f);
}

TEST_F(SimplifyScalarArithmeticTest, PowersBecomeWhatTheyAre) {
  const ir::ValueId x = Unary(ir::UnaryKind::kExp, Input({4}));
  for (const float exponent : {2.0f, 0.5f, -1.0f, 3.0f}) Output(Binary(ir::BinaryKind::kPow, x, Scalar(exponent)));
  Output(Binary(ir::BinaryKind::kPow, Scalar(2), x));
  EXPECT_EQ(Run(SimplifyScalarArithmetic), 3);
  EXPECT_THAT(Ops(), ElementsAre("Exp", "Mul", "Sqrt", "Reciprocal", "Pow", "Pow"));
}

TEST_F(SimplifyScalarArithmeticTest, ClipAtZeroAloneIsRelu) {
  Output(Unary(ir::UnaryKind::kClip, Input({4}), 0, 3.4028235e38f));
  EXPECT_EQ(Run(SimplifyScalarArithmetic), 1);
  EXPECT_THAT(Ops(), ElementsAre("Relu"));
}

TEST_F(SimplifyScalarArithmeticTest, NeutralArithmeticVanishes) {
  const ir::ValueId x = Unary(ir::UnaryKind::kExp, Input({4}));
  Output(Unary(ir::UnaryKind::kTanh,
               Binary(ir::BinaryKind::kMul, Binary(ir::BinaryKind::kMul, x, Scalar(4)), Scalar(0.25f))));
  Run(SimplifyScalarArithmetic);
  EXPECT_THAT(Ops(), ElementsAre("Exp", "Tanh"));
}

TEST_F(SimplifyScalarArithmeticTest, KeepsConstantsThatVary) {
  Output(Binary(ir::BinaryKind::kMul, Input({2, 3}), Constant({3}, {1, 2, 3})));
  EXPECT_EQ(Run(SimplifyScalarArithmetic), 0);
}

TEST_F(SimplifyScalarArithmeticTest, KeepsIntegersAndInverses) {
  const ir::ValueId n = Input({3}, DataType::kS64);
  Output(Binary(ir::BinaryKind::kAdd, n, Int64s({1})));
  Output(Binary(ir::BinaryKind::kDiv, Scalar(2), Input({3})));
  EXPECT_EQ(Run(SimplifyScalarArithmetic), 0);
}

TEST_F(SimplifyScalarArithmeticTest, KeepsFirstOfTwoWhenOthersReadIt) {
  const ir::ValueId first = Binary(ir::BinaryKind::kMul, Input({3}), Scalar(2));
  Output(first);
  Output(Binary(ir::BinaryKind::kAdd, first, Scalar(1)));
  EXPECT_EQ(Run(SimplifyScalarArithmetic), 2);  // respelled, not merged
  EXPECT_THAT(Ops(), ElementsAre("Linear", "Linear"));
}

}  // namespace
}  // namespace precis::passes
