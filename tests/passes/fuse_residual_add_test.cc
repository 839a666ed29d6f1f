#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ir::BinaryKind;
using ir::UnaryKind;
using ::testing::ElementsAre;

int FuseBoth(ir::Graph& graph) {
  const int activations = FuseActivation(graph);
  return activations + FuseResidualAdd(graph);
}

class FuseResidualAddTest : public PassTest {
 protected:
  const ir::ValueId image_ = Input({1, 3, 5, 5});
};

TEST_F(FuseResidualAddTest, IntoTheConvolutionOfOneSide) {
  const ir::ValueId x = Unary(UnaryKind::kExp, image_);
  Output(Binary(BinaryKind::kAdd, x, Conv(x, 3, 3, 1, true)));
  EXPECT_EQ(Run(FuseResidualAdd), 1);
  EXPECT_THAT(Ops(), ElementsAre("Exp", "Conv+Add"));
}

TEST_F(FuseResidualAddTest, IntoTheLaterOfTwo) {
  const ir::ValueId early = Conv(image_, 4, 3, 1, true), late = Conv(image_, 4, 1, 0, true);
  Output(Binary(BinaryKind::kAdd, late, early));
  EXPECT_EQ(Run(FuseResidualAdd), 1);
  EXPECT_THAT(Ops(), ElementsAre("Conv", "Conv+Add"));
  EXPECT_EQ(graph_.outputs[0].value, graph_.node(graph_.consumers(early)[0]).outputs[0]);
}

TEST_F(FuseResidualAddTest, ActivationsBeforeAndBehindKeepTheirPlaces) {
  const ir::ValueId x = Unary(UnaryKind::kExp, image_);
  const ir::ValueId y = Unary(UnaryKind::kSigmoid, Conv(x, 3, 3, 1, true));
  Output(Unary(UnaryKind::kRelu, Binary(BinaryKind::kAdd, x, y)));
  EXPECT_EQ(Run(FuseBoth), 3);
  EXPECT_THAT(Ops(), ElementsAre("Exp", "Conv+Sigmoid+Add+Relu"));
}

TEST_F(FuseResidualAddTest, AttentionMaskIntoScores) {
  const ir::ValueId scores = Node(ir::MatMul{}, {Input({2, 3, 4, 5}), Input({2, 3, 5, 4})});
  Output(Node(ir::Softmax{}, {Binary(BinaryKind::kAdd, scores, Input({2, 1, 1, 4}))}));
  EXPECT_EQ(Run(FuseResidualAdd), 1);
  EXPECT_THAT(Ops(), ElementsAre("MatMul+Add", "Softmax"));
}

TEST_F(FuseResidualAddTest, SumsOfSeveral) {
  const ir::ValueId sum = Binary(BinaryKind::kAdd, Conv(image_, 3, 3, 1, true), image_);
  Output(Binary(BinaryKind::kAdd, Input({1, 3, 5, 5}), sum));
  EXPECT_EQ(Run(FuseResidualAdd), 2);
  EXPECT_THAT(Ops(), ElementsAre("Conv+Add+Add"));
}

TEST_F(FuseResidualAddTest, ConstantIntoAProduct) {
  const ir::ValueId scaled = Binary(BinaryKind::kMul, image_, Random({3, 1, 1}));
  Output(Binary(BinaryKind::kAdd, scaled, Random({3, 1, 1})));
  EXPECT_EQ(Run(FuseResidualAdd), 1);
  EXPECT_THAT(Ops(), ElementsAre("Mul+Add"));
}

TEST_F(FuseResidualAddTest, NotWhenOthersReadTheConvolution) {
  const ir::ValueId y = Conv(image_, 3, 3, 1, true);
  Output(Binary(BinaryKind::kAdd, y, image_));
  Output(Unary(UnaryKind::kExp, y));
  EXPECT_EQ(Run(FuseResidualAdd), 0);
}

TEST_F(FuseResidualAddTest, NotWhenTheConvolutionIsTheSmallerSide) {
  Output(Binary(BinaryKind::kAdd, Conv(image_, 1, 3, 1, true), image_));
  EXPECT_EQ(Run(FuseResidualAdd), 0);
}

TEST_F(FuseResidualAddTest, NotADifferenceNorAGate) {
  Output(Binary(BinaryKind::kSub, image_, Conv(image_, 3, 3, 1, true)));
  Output(Binary(BinaryKind::kMul, Conv(image_, 3, 3, 1, true), Input({1, 3, 1, 1})));
  EXPECT_EQ(Run(FuseResidualAdd), 0);
}

}  // namespace
}  // namespace precis::passes
