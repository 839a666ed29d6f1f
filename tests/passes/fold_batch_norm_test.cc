#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ::testing::ElementsAre;

class FoldBatchNormTest : public PassTest {
 protected:
  ir::ValueId BatchNorm(ir::ValueId x) {
    const int64_t channels = graph_.value(x).shape[1];
    const std::vector<float> variance(static_cast<size_t>(channels), 0.7f);
    return Node(ir::BatchNorm{},
                {x, Random({channels}), Random({channels}), Random({channels}), Constant({channels}, variance)});
  }
};

TEST_F(FoldBatchNormTest, MovesIntoConvWithAndWithoutBias) {
  Output(BatchNorm(Conv(BatchNorm(Conv(Input({1, 3, 5, 5}), 4, 3, 1, false)), 6, 1, 0, true)));
  EXPECT_EQ(Run(FoldBatchNorm), 2);
  EXPECT_THAT(Ops(), ElementsAre("Conv", "Conv"));
}

TEST_F(FoldBatchNormTest, MovesIntoGroupedConv) {
  Output(BatchNorm(Conv(Input({1, 4, 5, 5}), 8, 3, 1, false, 4)));
  EXPECT_EQ(Run(FoldBatchNorm), 1);
  EXPECT_THAT(Ops(), ElementsAre("Conv"));
}

TEST_F(FoldBatchNormTest, MovesIntoGroupedConvTranspose) {
  ir::ConvTranspose op;
  op.groups = 2;
  Output(BatchNorm(Node(op, {Input({1, 4, 3, 3}), Random({4, 3, 2, 2})})));
  EXPECT_EQ(Run(FoldBatchNorm), 1);
  EXPECT_THAT(Ops(), ElementsAre("ConvTranspose"));
}

TEST_F(FoldBatchNormTest, MovesIntoMatMul) {
  Output(BatchNorm(MatMul(Input({5, 3}), 4, true)));
  EXPECT_EQ(Run(FoldBatchNorm), 1);
  EXPECT_THAT(Ops(), ElementsAre("MatMul"));
}

TEST_F(FoldBatchNormTest, LeavesWeightsThatOthersReadAlone) {
  const ir::ValueId x = Input({1, 3, 5, 5}), weights = Random({3, 3, 1, 1});
  Output(BatchNorm(Node(ir::Conv{}, {x, weights})));
  Output(Node(ir::Conv{}, {x, weights}));
  EXPECT_EQ(Run(FoldBatchNorm), 1);
  EXPECT_THAT(Ops(), ElementsAre("Conv", "Conv"));
}

TEST_F(FoldBatchNormTest, SpelledOutWhenConvOutputHasTwoConsumers) {
  const ir::ValueId y = Conv(Input({1, 3, 5, 5}), 4, 3, 1, false);
  Output(BatchNorm(y));
  Output(Unary(ir::UnaryKind::kRelu, y));
  EXPECT_EQ(Run(FoldBatchNorm), 1);
  EXPECT_THAT(Ops(), ::testing::UnorderedElementsAre("Conv", "Relu", "Mul", "Add"));
}

TEST_F(FoldBatchNormTest, SpelledOutWhenConvOutputIsAGraphOutput) {
  const ir::ValueId y = Conv(Input({1, 3, 5, 5}), 4, 3, 1, false);
  Output(y);
  Output(BatchNorm(y));
  EXPECT_EQ(Run(FoldBatchNorm), 1);
  EXPECT_THAT(Ops(), ElementsAre("Conv", "Mul", "Add"));
}

TEST_F(FoldBatchNormTest, SpelledOutBehindMatMulOfHigherRank) {
  Output(BatchNorm(MatMul(Input({2, 5, 3}), 4, false)));  // channels are dimension 1, columns are dimension 2
  EXPECT_EQ(Run(FoldBatchNorm), 1);
  EXPECT_THAT(Ops(), ElementsAre("MatMul", "Mul", "Add"));
}

TEST_F(FoldBatchNormTest, KeptWhenStatisticsAreComputed) {
  const ir::ValueId x = Input({1, 3, 5, 5});
  Output(Node(ir::BatchNorm{}, {x, Input({3}), Random({3}), Random({3}), Constant({3}, {1, 2, 3})}));
  EXPECT_EQ(Run(FoldBatchNorm), 0);
}

TEST_F(FoldBatchNormTest, StepsInFrontOfTransposeWhenThatLetsTwoMeet) {
  const ir::ValueId x = Unary(ir::UnaryKind::kExp, Input({2, 4, 3}));
  const ir::ValueId y = BatchNorm(Node(ir::Transpose{{0, 2, 1}}, {x}));
  Output(Unary(ir::UnaryKind::kTanh, Node(ir::Transpose{{0, 2, 1}}, {y})));
  EXPECT_EQ(Run(FoldBatchNorm), 1);
  EXPECT_THAT(Ops(), ElementsAre("Exp", "Mul", "Add", "Transpose", "Transpose", "Tanh"));
  RemoveNoOps(graph_);
  EXPECT_THAT(Ops(), ElementsAre("Exp", "Mul", "Add", "Tanh"));
}

}  // namespace
}  // namespace precis::passes
