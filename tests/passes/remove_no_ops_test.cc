#include <limits>

#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ::testing::ElementsAre;

class RemoveNoOpsTest : public PassTest {};

TEST_F(RemoveNoOpsTest, RemovesEveryNodeWhoseOutputEqualsItsInput) {
  ir::ValueId x = Unary(ir::UnaryKind::kExp, Input({2, 3}));
  x = Node(ir::Identity{}, {x});
  x = Node(ir::Cast{DataType::kF32}, {x});
  x = Node(ir::Reshape{}, {x, Int64s({2, 3})});
  x = Node(ir::Transpose{{0, 1}}, {x});
  x = Node(ir::Pad{}, {x, Int64s({0, 0, 0, 0})});
  x = Node(ir::Slice{}, {x, Int64s({0}), Int64s({3}), Int64s({1})});
  x = Node(ir::Expand{}, {x, Int64s({2, 1})});
  x = Node(ir::Tile{}, {x, Int64s({1, 1})});
  x = Node(ir::Concat{0}, {x});
  x = Binary(ir::BinaryKind::kAdd, x, Scalar(0));
  x = Binary(ir::BinaryKind::kMul, Scalar(1), x);
  x = Binary(ir::BinaryKind::kDiv, x, Constant({3}, {1, 1, 1}));
  x = Unary(ir::UnaryKind::kClip, x, -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity());
  Output(Unary(ir::UnaryKind::kTanh, x));
  Run(RemoveNoOps);
  EXPECT_THAT(Ops(), ElementsAre("Exp", "Tanh"));
}

TEST_F(RemoveNoOpsTest, KeepsNodesThatLookNeutralButAreNot) {
  const ir::ValueId x = Input({2, 3});
  Output(Binary(ir::BinaryKind::kSub, Scalar(0), x));                                     // negates
  Output(Binary(ir::BinaryKind::kDiv, Scalar(1), x));                                     // inverts
  Output(Binary(ir::BinaryKind::kAdd, x, Constant({2, 1, 1}, {0, 0})));                   // broadcasts
  Output(Node(ir::Slice{}, {x, Int64s({-1}), Int64s({-4}), Int64s({1}), Int64s({-1})}));  // reverses
  Output(Node(ir::Pad{}, {x, Int64s({1, 0, -1, 0})}));                                    // shifts
  Output(Node(ir::Transpose{{1, 0}}, {x}));
  EXPECT_EQ(Run(RemoveNoOps), 0);
}

TEST_F(RemoveNoOpsTest, KeepsIdentityBetweenInputAndOutput) {
  Output(Node(ir::Identity{}, {Input({2})}));
  EXPECT_EQ(Run(RemoveNoOps), 0);
}

TEST_F(RemoveNoOpsTest, OutputNameSurvivesWhenItsNodeGoes) {
  Output(Node(ir::Identity{}, {Unary(ir::UnaryKind::kRelu, Input({2}))}));  // Run checks the name
  EXPECT_EQ(Run(RemoveNoOps), 1);
  EXPECT_THAT(Ops(), ElementsAre("Relu"));
}

TEST_F(RemoveNoOpsTest, MergesTransposes) {
  const ir::ValueId x = Node(ir::Transpose{{2, 0, 1}}, {Input({2, 3, 4})});
  Output(Node(ir::Transpose{{1, 0, 2}}, {x}));
  Run(RemoveNoOps);
  EXPECT_THAT(Ops(), ElementsAre("Transpose"));
  EXPECT_THAT(OpOf<ir::Transpose>(Find("Transpose")).perm, ElementsAre(0, 2, 1));
}

TEST_F(RemoveNoOpsTest, OppositeTransposesVanish) {
  ir::ValueId x = Unary(ir::UnaryKind::kExp, Input({2, 3, 4}));
  x = Node(ir::Transpose{{0, 2, 1}}, {Node(ir::Transpose{{0, 2, 1}}, {x})});
  Output(Unary(ir::UnaryKind::kTanh, x));
  Run(RemoveNoOps);
  EXPECT_THAT(Ops(), ElementsAre("Exp", "Tanh"));
}

TEST_F(RemoveNoOpsTest, MergesReshapesAcrossTransposeOfUnitDimensions) {
  ir::ValueId x = Node(ir::Reshape{}, {Input({2, 3}), Int64s({2, 1, 3})});
  x = Node(ir::Transpose{{1, 0, 2}}, {x});
  Output(Node(ir::Reshape{}, {x, Int64s({6})}));
  Run(RemoveNoOps);
  EXPECT_THAT(Ops(), ElementsAre("Reshape"));
}

TEST_F(RemoveNoOpsTest, ArithmeticBroadcastsInsteadOfReadingAnExpand) {
  const ir::ValueId small = Unary(ir::UnaryKind::kExp, Input({2, 1}));
  Output(Binary(ir::BinaryKind::kDiv, Input({2, 3}), Node(ir::Expand{}, {small, Int64s({2, 3})})));
  EXPECT_EQ(Run(RemoveNoOps), 1);
  EXPECT_THAT(Ops(), ElementsAre("Exp", "Div"));
}

TEST_F(RemoveNoOpsTest, KeepsExpandThatGivesTheShape) {
  const ir::ValueId expanded = Node(ir::Expand{}, {Input({2, 1}), Int64s({2, 3})});
  Output(Binary(ir::BinaryKind::kDiv, expanded, Input({2, 1})));
  EXPECT_EQ(Run(RemoveNoOps), 0);
}

}  // namespace
}  // namespace precis::passes
