#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ir::BinaryKind;
using ::testing::ElementsAre;

class FoldInputScaleTest : public PassTest {
 protected:
  ir::ValueId Affine(ir::ValueId x, Shape shape) {
    return Binary(BinaryKind::kAdd, Binary(BinaryKind::kMul, x, Random(shape)), Random(shape));
  }

  const ir::ValueId image_ = Input({1, 4, 5, 5});
  const ir::ValueId tokens_ = Input({2, 4, 3});
};

TEST_F(FoldInputScaleTest, IntoEveryProjectionThatReadsIt) {
  const ir::ValueId x = Affine(tokens_, {3});
  Output(MatMul(x, 6, true));
  Output(MatMul(x, 5, false));
  Output(Node(ir::MatMul{false, true, 0.5f}, {x, Random({2, 3})}));
  EXPECT_EQ(Run(FoldInputScale), 2);
  EXPECT_THAT(Ops(), ElementsAre("MatMul", "MatMul", "MatMul"));
}

TEST_F(FoldInputScaleTest, IntoConvWithoutPadding) {
  Output(Conv(Affine(image_, {4, 1, 1}), 6, 3, 0, true, 2));
  EXPECT_EQ(Run(FoldInputScale), 2);
  EXPECT_THAT(Ops(), ElementsAre("Conv"));
}

TEST_F(FoldInputScaleTest, ScaleAloneIntoPaddedConvAndConvTranspose) {
  Output(Conv(Binary(BinaryKind::kDiv, image_, Constant({1, 4, 1, 1}, {1, 2, 3, 4})), 6, 3, 1, false));
  Output(Node(ir::ConvTranspose{}, {Unary(ir::UnaryKind::kLinear, image_, 3.0f), Random({4, 2, 2, 2})}));
  EXPECT_EQ(Run(FoldInputScale), 2);
  EXPECT_THAT(Ops(), ElementsAre("Conv", "ConvTranspose"));
}

TEST_F(FoldInputScaleTest, ShiftStaysInFrontOfPadding) {
  Output(Conv(Affine(image_, {4, 1, 1}), 6, 3, 1, true));
  EXPECT_EQ(Run(FoldInputScale), 0);
}

TEST_F(FoldInputScaleTest, NotWhenOneReaderCannotTakeIt) {
  const ir::ValueId x = Affine(tokens_, {3});
  Output(MatMul(x, 6, true));
  Output(Unary(ir::UnaryKind::kRelu, x));
  EXPECT_EQ(Run(FoldInputScale), 0);
}

TEST_F(FoldInputScaleTest, NotAcrossAGraphOutput) {
  const ir::ValueId x = Affine(tokens_, {3});
  Output(x);
  Output(MatMul(x, 6, true));
  EXPECT_EQ(Run(FoldInputScale), 0);
}

TEST_F(FoldInputScaleTest, NotAlongTokens) {
  Output(MatMul(Binary(BinaryKind::kMul, tokens_, Random({4, 1})), 6, true));
  EXPECT_EQ(Run(FoldInputScale), 0);
}

TEST_F(FoldInputScaleTest, NotIntoComputedWeights) {
  Output(Node(ir::MatMul{}, {Unary(ir::UnaryKind::kLinear, tokens_, 2.0f), Input({3, 2})}));
  EXPECT_EQ(Run(FoldInputScale), 0);
}

}  // namespace
}  // namespace precis::passes
