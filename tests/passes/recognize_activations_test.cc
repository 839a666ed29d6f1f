#include <cmath>

#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ir::BinaryKind;
using ir::UnaryKind;
using ::testing::ElementsAre;

// The pass reads scalar arithmetic in its canonical spelling.
int Recognize(ir::Graph& graph) {
  SimplifyScalarArithmetic(graph);
  return RecognizeActivations(graph);
}

class RecognizeActivationsTest : public PassTest {
 protected:
  ir::ValueId Mul(ir::ValueId a, ir::ValueId b) { return Binary(BinaryKind::kMul, a, b); }
  ir::ValueId OnePlus(ir::ValueId x) { return Binary(BinaryKind::kAdd, x, Scalar(1)); }
  ir::ValueId ErfGate(ir::ValueId x) {
    return OnePlus(Unary(UnaryKind::kErf, Binary(BinaryKind::kDiv, x, Scalar(std::sqrt(2.0f)))));
  }
  void ExpectOnly(const std::string& name) {
    EXPECT_EQ(Run(Recognize), 1);
    EXPECT_THAT(Ops(), ElementsAre(name));
  }

  const ir::ValueId x_ = Input({2, 3});
};

TEST_F(RecognizeActivationsTest, GeluErfHalfLast) {
  Output(Mul(Mul(x_, ErfGate(x_)), Scalar(0.5f)));
  ExpectOnly("Gelu");
}

TEST_F(RecognizeActivationsTest, GeluErfHalfFirst) {
  Output(Mul(ErfGate(x_), Mul(Scalar(0.5f), x_)));
  ExpectOnly("Gelu");
}

TEST_F(RecognizeActivationsTest, GeluErfHalfOnTheGate) {
  Output(Mul(x_, Binary(BinaryKind::kDiv, ErfGate(x_), Scalar(2))));
  ExpectOnly("Gelu");
}

TEST_F(RecognizeActivationsTest, GeluErfOfProduct) {
  const ir::ValueId gate = OnePlus(Unary(UnaryKind::kErf, Mul(Scalar(0.70710678f), x_)));
  Output(Mul(Mul(gate, x_), Scalar(0.5f)));
  ExpectOnly("Gelu");
}

TEST_F(RecognizeActivationsTest, GeluTanhWithPow) {
  const ir::ValueId cubic = Mul(Scalar(0.044715f), Binary(BinaryKind::kPow, x_, Scalar(3)));
  const ir::ValueId inner = Mul(Scalar(0.7978845834732056f), Binary(BinaryKind::kAdd, x_, cubic));
  Output(Mul(Mul(Scalar(0.5f), x_), OnePlus(Unary(UnaryKind::kTanh, inner))));
  ExpectOnly("GeluTanh");
}

TEST_F(RecognizeActivationsTest, GeluTanhFactoredByHand) {
  // x * 0.7978845608 * (1 + 0.044715 * x * x)
  const ir::ValueId square = Mul(Mul(Scalar(0.044715f), x_), x_);
  const ir::ValueId inner = Mul(Mul(x_, Scalar(0.7978845608f)), OnePlus(square));
  Output(Mul(Mul(x_, OnePlus(Unary(UnaryKind::kTanh, inner))), Scalar(0.5f)));
  ExpectOnly("GeluTanh");
}

TEST_F(RecognizeActivationsTest, Silu) {
  Output(Mul(Unary(UnaryKind::kSigmoid, x_), x_));
  ExpectOnly("Silu");
}

TEST_F(RecognizeActivationsTest, HardSwishWithHardSigmoid) {
  Output(Mul(x_, Unary(UnaryKind::kHardSigmoid, x_, 1.0f / 6, 0.5f)));
  ExpectOnly("HardSwish");
}

TEST_F(RecognizeActivationsTest, HardSwishWithClip) {
  const ir::ValueId clipped = Unary(UnaryKind::kClip, Binary(BinaryKind::kAdd, x_, Scalar(3)), 0, 6);
  Output(Binary(BinaryKind::kDiv, Mul(x_, clipped), Scalar(6)));
  ExpectOnly("HardSwish");
}

TEST_F(RecognizeActivationsTest, InputOfActivationMayBeArithmeticItself) {
  const ir::ValueId sum = Binary(BinaryKind::kAdd, x_, Input({2, 3}));
  Output(Mul(sum, Unary(UnaryKind::kSigmoid, sum)));
  EXPECT_EQ(Run(Recognize), 1);
  EXPECT_THAT(Ops(), ElementsAre("Add", "Silu"));
}

TEST_F(RecognizeActivationsTest, NotWithAnotherDivisor) {
  const ir::ValueId gate = OnePlus(Unary(UnaryKind::kErf, Binary(BinaryKind::kDiv, x_, Scalar(1.5f))));
  Output(Mul(Mul(x_, gate), Scalar(0.5f)));
  EXPECT_EQ(Run(Recognize), 0);
}

TEST_F(RecognizeActivationsTest, NotWhenAnotherValueIsGated) {
  Output(Mul(Input({2, 3}), Unary(UnaryKind::kSigmoid, x_)));
  EXPECT_EQ(Run(Recognize), 0);
}

TEST_F(RecognizeActivationsTest, NotWhenTheGateIsReadElsewhere) {
  const ir::ValueId gate = Unary(UnaryKind::kSigmoid, x_);
  Output(Mul(x_, gate));
  Output(gate);
  EXPECT_EQ(Run(Recognize), 0);
}

TEST_F(RecognizeActivationsTest, NotWhenBroadcast) {
  const ir::ValueId small = Input({1, 3});
  const ir::ValueId wide = Binary(BinaryKind::kAdd, Mul(small, Unary(UnaryKind::kSigmoid, small)), x_);
  Output(wide);
  EXPECT_EQ(Run(Recognize), 1);  // the product itself
  EXPECT_THAT(Ops(), ElementsAre("Silu", "Add"));
}

}  // namespace
}  // namespace precis::passes
