#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ir::BinaryKind;
using ir::UnaryKind;
using ::testing::ElementsAre;

int Fuse(ir::Graph& graph) {
  SimplifyScalarArithmetic(graph);  // the pass reads epsilon in its canonical spelling
  return FuseLayerNorm(graph);
}

class FuseLayerNormTest : public PassTest {
 protected:
  ir::ValueId Mean(ir::ValueId x, std::vector<int64_t> axes = {-1}) {
    return Node(ir::Reduce{ir::ReduceKind::kMean}, {x, Int64s(axes)});
  }
  ir::ValueId Centred(ir::ValueId x, std::vector<int64_t> axes = {-1}) {
    return Binary(BinaryKind::kSub, x, Mean(x, axes));
  }
  ir::ValueId Deviation(ir::ValueId square, std::vector<int64_t> axes = {-1}) {
    return Unary(UnaryKind::kSqrt, Binary(BinaryKind::kAdd, Mean(square, axes), Scalar(1e-3f)));
  }
  ir::ValueId Square(ir::ValueId x) { return Binary(BinaryKind::kPow, x, Scalar(2)); }
  ir::ValueId Affine(ir::ValueId x) {
    return Binary(BinaryKind::kAdd, Binary(BinaryKind::kMul, x, Random({8})), Random({8}));
  }

  const ir::ValueId x_ = Input({2, 4, 8});
};

TEST_F(FuseLayerNormTest, AsPyTorchExportsIt) {
  const ir::ValueId d = Centred(x_);
  Output(Affine(Binary(BinaryKind::kDiv, d, Deviation(Square(d)))));
  EXPECT_EQ(Run(Fuse), 1);
  EXPECT_THAT(Ops(), ElementsAre("LayerNorm"));
  EXPECT_FLOAT_EQ(OpOf<ir::LayerNorm>(Find("LayerNorm")).epsilon, 1e-3f);
}

TEST_F(FuseLayerNormTest, WithTwoSubtractionsAndReciprocal) {
  const ir::ValueId again = Centred(x_);
  const ir::ValueId inverse = Unary(UnaryKind::kReciprocal, Deviation(Binary(BinaryKind::kMul, again, again)));
  Output(Affine(Binary(BinaryKind::kMul, inverse, Centred(x_))));
  EXPECT_EQ(Run(Fuse), 1);
  EXPECT_THAT(Ops(), ElementsAre("LayerNorm"));
}

TEST_F(FuseLayerNormTest, OverTwoDimensionsWithoutParameters) {
  const ir::ValueId d = Centred(x_, {1, 2});
  Output(Binary(BinaryKind::kDiv, d, Deviation(Square(d), {1, 2})));
  EXPECT_EQ(Run(Fuse), 1);
  EXPECT_THAT(Ops(), ElementsAre("LayerNorm"));
  EXPECT_EQ(OpOf<ir::LayerNorm>(Find("LayerNorm")).axis, 1);
}

TEST_F(FuseLayerNormTest, LeavesParametersOfAnotherShapeBehind) {
  const ir::ValueId d = Centred(x_);
  Output(Binary(BinaryKind::kMul, Binary(BinaryKind::kDiv, d, Deviation(Square(d))), Random({4, 1})));
  EXPECT_EQ(Run(Fuse), 1);
  EXPECT_THAT(Ops(), ElementsAre("LayerNorm", "Mul"));
}

TEST_F(FuseLayerNormTest, NotOverALeadingDimension) {
  const ir::ValueId d = Centred(x_, {1});
  Output(Binary(BinaryKind::kDiv, d, Deviation(Square(d), {1})));
  EXPECT_EQ(Run(Fuse), 0);
}

TEST_F(FuseLayerNormTest, NotWhenTheVarianceIsOfAnotherValue) {
  Output(Binary(BinaryKind::kDiv, Centred(x_), Deviation(Square(Centred(Input({2, 4, 8}))))));
  EXPECT_EQ(Run(Fuse), 0);
}

TEST_F(FuseLayerNormTest, NotWhenMeansAreOverOtherAxes) {
  const ir::ValueId d = Centred(x_);
  Output(Binary(BinaryKind::kDiv, d, Deviation(Square(d), {1, 2})));
  EXPECT_EQ(Run(Fuse), 0);
}

TEST_F(FuseLayerNormTest, StopsAtAGraphOutput) {
  const ir::ValueId d = Centred(x_);
  const ir::ValueId normalized = Binary(BinaryKind::kDiv, d, Deviation(Square(d)));
  Output(normalized);
  Output(Affine(normalized));
  EXPECT_EQ(Run(Fuse), 1);
  EXPECT_THAT(Ops(), ElementsAre("LayerNorm", "Mul", "Add"));
}

}  // namespace
}  // namespace precis::passes
