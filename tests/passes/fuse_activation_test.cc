#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ir::UnaryKind;
using ::testing::ElementsAre;

class FuseActivationTest : public PassTest {
 protected:
  const ir::ValueId image_ = Input({1, 3, 5, 5});
};

TEST_F(FuseActivationTest, BehindEachKindOfNode) {
  Output(Unary(UnaryKind::kClip, Conv(image_, 4, 3, 1, true), 0, 6));
  Output(Unary(UnaryKind::kSilu, Node(ir::ConvTranspose{}, {image_, Random({3, 2, 2, 2})})));
  Output(Unary(UnaryKind::kGeluErf, MatMul(Input({2, 3}), 4, true)));
  Output(Unary(UnaryKind::kRelu, Binary(ir::BinaryKind::kAdd, image_, image_)));
  EXPECT_EQ(Run(FuseActivation), 4);
  EXPECT_THAT(Ops(), ElementsAre("Conv+Clip", "ConvTranspose+Silu", "MatMul+Gelu", "Add+Relu"));
}

TEST_F(FuseActivationTest, ChainKeepsItsOrderAndTheHeavyNodeItsName) {
  const ir::ValueId y = Conv(image_, 4, 3, 1, true);
  const std::string name = graph_.node(graph_.producer(y)).name;
  Output(Unary(UnaryKind::kLinear, Unary(UnaryKind::kTanh, y), 2, 1));
  EXPECT_EQ(Run(FuseActivation), 2);
  EXPECT_THAT(Ops(), ElementsAre("Conv+Tanh+Linear"));
  EXPECT_EQ(graph_.node(Find("Conv")).name, name);
}

TEST_F(FuseActivationTest, NotWhenOthersReadTheSum) {
  const ir::ValueId y = Conv(image_, 4, 3, 1, true);
  Output(Unary(UnaryKind::kRelu, y));
  Output(Unary(UnaryKind::kExp, y));
  EXPECT_EQ(Run(FuseActivation), 0);
}

TEST_F(FuseActivationTest, NotAcrossAGraphOutput) {
  const ir::ValueId y = Conv(image_, 4, 3, 1, true);
  Output(y);
  Output(Unary(UnaryKind::kRelu, y));
  EXPECT_EQ(Run(FuseActivation), 0);
}

TEST_F(FuseActivationTest, NotBehindMovementNorOtherFunctions) {
  Output(Unary(UnaryKind::kRelu, Node(ir::Transpose{{0, 2, 3, 1}}, {image_})));
  Output(Unary(UnaryKind::kSin, Conv(image_, 4, 3, 1, true)));
  EXPECT_EQ(Run(FuseActivation), 0);
}

}  // namespace
}  // namespace precis::passes
