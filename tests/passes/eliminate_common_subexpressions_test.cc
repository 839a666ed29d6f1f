#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ::testing::ElementsAre;

class EliminateCommonSubexpressionsTest : public PassTest {};

TEST_F(EliminateCommonSubexpressionsTest, MergesChainsThatStartAtOneValue) {
  const ir::ValueId x = Input({2, 3});
  const auto chain = [&] { return Binary(ir::BinaryKind::kPow, Unary(ir::UnaryKind::kExp, x), Scalar(2)); };
  const ir::ValueId a = chain(), b = chain();  // the constants differ by name alone
  Output(Binary(ir::BinaryKind::kAdd, Unary(ir::UnaryKind::kTanh, a), b));
  EXPECT_EQ(Run(EliminateCommonSubexpressions), 2);
  EXPECT_THAT(Ops(), ElementsAre("Exp", "Pow", "Tanh", "Add"));
}

TEST_F(EliminateCommonSubexpressionsTest, KeepsNodesOfOtherAttributes) {
  const ir::ValueId x = Input({2, 2, 2});
  Output(Node(ir::Transpose{{0, 2, 1}}, {x}));
  Output(Node(ir::Transpose{{1, 0, 2}}, {x}));
  Output(Unary(ir::UnaryKind::kLeakyRelu, x, 0.1f));
  Output(Unary(ir::UnaryKind::kLeakyRelu, x, 0.2f));
  EXPECT_EQ(Run(EliminateCommonSubexpressions), 0);
}

TEST_F(EliminateCommonSubexpressionsTest, KeepsNodesOfOtherConstants) {
  const ir::ValueId x = Input({3});
  Output(Binary(ir::BinaryKind::kAdd, Binary(ir::BinaryKind::kMul, x, Scalar(2)),
                Binary(ir::BinaryKind::kMul, x, Scalar(3))));
  EXPECT_EQ(Run(EliminateCommonSubexpressions), 0);
}

TEST_F(EliminateCommonSubexpressionsTest, KeepsTwoOutputsThatAreEqual) {
  const ir::ValueId x = Input({3});
  Output(Unary(ir::UnaryKind::kExp, x));
  Output(Unary(ir::UnaryKind::kExp, x));
  EXPECT_EQ(Run(EliminateCommonSubexpressions), 0);
}

TEST_F(EliminateCommonSubexpressionsTest, KeepsOutputsNameWhenItsTwinIsInternal) {
  const ir::ValueId x = Input({3});
  const ir::ValueId inner = Unary(ir::UnaryKind::kExp, x);
  Output(Unary(ir::UnaryKind::kExp, x));
  Output(Unary(ir::UnaryKind::kTanh, inner));
  EXPECT_EQ(Run(EliminateCommonSubexpressions), 1);
  EXPECT_THAT(Ops(), ElementsAre("Exp", "Tanh"));
}

}  // namespace
}  // namespace precis::passes
