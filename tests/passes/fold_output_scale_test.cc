#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ir::BinaryKind;
using ::testing::ElementsAre;

class FoldOutputScaleTest : public PassTest {
 protected:
  const ir::ValueId image_ = Input({1, 3, 5, 5});
  const ir::ValueId tokens_ = Input({2, 4, 3});
};

TEST_F(FoldOutputScaleTest, AddBecomesBias) {
  Output(Binary(BinaryKind::kAdd, Conv(image_, 4, 3, 1, false), Random({1, 4, 1, 1})));
  Output(Binary(BinaryKind::kAdd, Random({6}), MatMul(tokens_, 6, false)));
  EXPECT_EQ(Run(FoldOutputScale), 2);
  EXPECT_THAT(Ops(), ElementsAre("Conv", "MatMul"));
}

TEST_F(FoldOutputScaleTest, WholeChainMovesIntoWeights) {
  ir::ValueId y = Conv(image_, 4, 3, 1, true);
  y = Binary(BinaryKind::kMul, y, Random({4, 1, 1}));
  y = Unary(ir::UnaryKind::kLinear, y, 2.0f, 0.5f);
  y = Binary(BinaryKind::kSub, Random({4, 1, 1}), y);
  Output(Binary(BinaryKind::kDiv, y, Constant({1, 4, 1, 1}, {1, 2, 3, 4})));
  EXPECT_EQ(Run(FoldOutputScale), 4);
  EXPECT_THAT(Ops(), ElementsAre("Conv"));
}

TEST_F(FoldOutputScaleTest, TransposedWeightsScaleByRows) {
  const ir::ValueId y = Node(ir::MatMul{false, true, 0.5f}, {tokens_, Random({6, 3})});
  Output(Binary(BinaryKind::kMul, y, Random({6})));
  EXPECT_EQ(Run(FoldOutputScale), 1);
  EXPECT_THAT(Ops(), ElementsAre("MatMul"));
}

TEST_F(FoldOutputScaleTest, BiasNeedsNoConstantWeights) {
  const ir::ValueId y = Node(ir::MatMul{}, {tokens_, Input({3, 6})});
  Output(Binary(BinaryKind::kAdd, y, Random({6})));
  EXPECT_EQ(Run(FoldOutputScale), 1);
  EXPECT_THAT(Ops(), ElementsAre("MatMul"));
}

TEST_F(FoldOutputScaleTest, ScaleNeedsConstantWeights) {
  const ir::ValueId y = Node(ir::MatMul{}, {tokens_, Input({3, 6})});
  Output(Binary(BinaryKind::kMul, y, Random({6})));
  EXPECT_EQ(Run(FoldOutputScale), 0);
}

TEST_F(FoldOutputScaleTest, NotAlongAnotherDimension) {
  Output(Binary(BinaryKind::kMul, Conv(image_, 5, 3, 1, false), Random({5})));  // along the width
  Output(Binary(BinaryKind::kAdd, MatMul(tokens_, 4, false), Random({4, 1})));
  EXPECT_EQ(Run(FoldOutputScale), 0);
}

TEST_F(FoldOutputScaleTest, NotWhenTheResultGrows) {
  Output(Binary(BinaryKind::kAdd, Conv(image_, 1, 3, 1, false), Random({4, 1, 1})));
  EXPECT_EQ(Run(FoldOutputScale), 0);
}

TEST_F(FoldOutputScaleTest, NotWhenOthersReadTheProduct) {
  const ir::ValueId y = Conv(image_, 4, 3, 1, false);
  Output(Binary(BinaryKind::kAdd, y, Random({4, 1, 1})));
  Output(Unary(ir::UnaryKind::kRelu, y));
  EXPECT_EQ(Run(FoldOutputScale), 0);
}

}  // namespace
}  // namespace precis::passes
