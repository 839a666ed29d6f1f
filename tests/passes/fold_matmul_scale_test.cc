#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ir::UnaryKind;
using ::testing::ElementsAre;

class FoldMatMulScaleTest : public PassTest {
 protected:
  ir::ValueId Times(ir::ValueId x, float factor) { return Unary(UnaryKind::kLinear, x, factor); }
  float Alpha() { return OpOf<ir::MatMul>(Find("MatMul")).alpha; }

  const ir::ValueId a_ = Input({2, 4, 3});
  const ir::ValueId b_ = Input({2, 3, 5});
};

TEST_F(FoldMatMulScaleTest, FactorsOfOperandsAndResultBecomeAlpha) {
  Output(Times(Node(ir::MatMul{}, {Times(a_, 2), Times(b_, 3)}), 0.25f));
  EXPECT_EQ(Run(FoldMatMulScale), 3);
  EXPECT_THAT(Ops(), ElementsAre("MatMul"));
  EXPECT_FLOAT_EQ(Alpha(), 1.5f);
}

TEST_F(FoldMatMulScaleTest, AlphaMovesIntoTheQueryProjection) {
  ir::ValueId q = Node(ir::Reshape{}, {MatMul(a_, 6, true), Int64s({2, 4, 2, 3})});
  q = Node(ir::Transpose{{0, 2, 1, 3}}, {q});
  Output(Times(Node(ir::MatMul{}, {q, Input({2, 2, 3, 4})}), 0.125f));
  EXPECT_EQ(Run(FoldMatMulScale), 2);
  EXPECT_THAT(Ops(), ElementsAre("MatMul", "Reshape", "Transpose", "MatMul"));
  EXPECT_FLOAT_EQ(Alpha(), 1.0f);
  EXPECT_FLOAT_EQ(OpOf<ir::MatMul>(graph_.producer(graph_.outputs[0].value)).alpha, 1.0f);
}

TEST_F(FoldMatMulScaleTest, AlphaStaysWhenOthersReadTheQuery) {
  const ir::ValueId q = MatMul(a_, 3, true);
  Output(q);
  Output(Times(Node(ir::MatMul{}, {q, b_}), 0.125f));
  EXPECT_EQ(Run(FoldMatMulScale), 1);
  EXPECT_FLOAT_EQ(OpOf<ir::MatMul>(graph_.producer(graph_.outputs[1].value)).alpha, 0.125f);
}

TEST_F(FoldMatMulScaleTest, NotASum) {
  Output(Unary(UnaryKind::kLinear, Node(ir::MatMul{}, {a_, b_}), 2.0f, 1.0f));
  EXPECT_EQ(Run(FoldMatMulScale), 0);
}

TEST_F(FoldMatMulScaleTest, NotBehindABias) {
  Output(Times(Node(ir::MatMul{}, {a_, b_, Input({5})}), 2));
  EXPECT_EQ(Run(FoldMatMulScale), 0);
}

TEST_F(FoldMatMulScaleTest, NotAnOperandThatOthersRead) {
  const ir::ValueId scaled = Times(a_, 2);
  Output(scaled);
  Output(Node(ir::MatMul{}, {scaled, b_}));
  EXPECT_EQ(Run(FoldMatMulScale), 0);
}

}  // namespace
}  // namespace precis::passes
