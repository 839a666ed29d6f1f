#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ir::BinaryKind;
using ::testing::ElementsAre;

class RecognizeGroupNormTest : public PassTest {
 protected:
  // InstanceNorm over `groups` of x's channels, seen again as `result`.
  ir::ValueId Normalized(ir::ValueId x, int64_t batch, int64_t groups, const std::vector<int64_t>& result,
                         std::vector<float> scale = {}, std::vector<float> shift = {}) {
    if (scale.empty()) scale.assign(static_cast<size_t>(groups), 1.0f);
    if (shift.empty()) shift.assign(static_cast<size_t>(groups), 0.0f);
    const ir::ValueId grouped = Node(ir::Reshape{}, {x, Int64s({batch, groups, -1})});
    const ir::ValueId norm =
        Node(ir::InstanceNorm{1e-3f}, {grouped, Constant({groups}, scale), Constant({groups}, shift)});
    return Node(ir::Reshape{}, {norm, Int64s(result)});
  }
  ir::ValueId Affine(ir::ValueId x, const Shape& shape) {
    return Binary(BinaryKind::kAdd, Binary(BinaryKind::kMul, x, Random(shape)), Random(shape));
  }

  const ir::ValueId x_ = Input({2, 6, 4, 5});
};

TEST_F(RecognizeGroupNormTest, AsPyTorchExportsIt) {
  Output(Affine(Normalized(x_, 2, 3, {2, 6, 4, 5}), {6, 1, 1}));
  EXPECT_EQ(Run(RecognizeGroupNorm), 1);
  EXPECT_THAT(Ops(), ElementsAre("GroupNorm"));
  EXPECT_EQ(OpOf<ir::GroupNorm>(Find("GroupNorm")).groups, 3);
  EXPECT_FLOAT_EQ(OpOf<ir::GroupNorm>(Find("GroupNorm")).epsilon, 1e-3f);
}

TEST_F(RecognizeGroupNormTest, WithNumbersPerGroupAndWithoutParameters) {
  Output(Normalized(x_, 2, 2, {2, 6, 4, 5}, {2, -3}, {0.5f, 1}));
  EXPECT_EQ(Run(RecognizeGroupNorm), 1);
  EXPECT_THAT(Ops(), ElementsAre("GroupNorm"));
}

TEST_F(RecognizeGroupNormTest, OneGroupOfASequence) {
  Output(Affine(Normalized(Input({1, 8, 30}), 1, 1, {1, 8, 30}), {8, 1}));
  EXPECT_EQ(Run(RecognizeGroupNorm), 1);
  EXPECT_THAT(Ops(), ElementsAre("GroupNorm"));
}

TEST_F(RecognizeGroupNormTest, LeavesParametersOfAnotherShapeBehind) {
  Output(Binary(BinaryKind::kMul, Normalized(x_, 2, 3, {2, 6, 4, 5}), Random({4, 1})));
  EXPECT_EQ(Run(RecognizeGroupNorm), 1);
  EXPECT_THAT(Ops(), ElementsAre("GroupNorm", "Mul"));
}

TEST_F(RecognizeGroupNormTest, ConstantsThatOthersReadStayAsTheyAre) {
  const ir::ValueId ones = Constant({3}, {1, 2, 3});
  const auto norm = [&](const std::vector<int64_t>& result) {
    const ir::ValueId grouped = Node(ir::Reshape{}, {x_, Int64s({2, 3, -1})});
    return Node(ir::Reshape{}, {Node(ir::InstanceNorm{1e-3f}, {grouped, ones, ones}), Int64s(result)});
  };
  Output(Affine(norm({2, 6, 4, 5}), {6, 1, 1}));
  Output(norm({2, 6, 20}));
  EXPECT_EQ(Run(RecognizeGroupNorm), 1);
}

TEST_F(RecognizeGroupNormTest, ParametersBehindAnOutputStayOutside) {
  const ir::ValueId norm = Normalized(x_, 2, 3, {2, 6, 4, 5});
  Output(norm);
  Output(Affine(norm, {6, 1, 1}));
  EXPECT_EQ(Run(RecognizeGroupNorm), 1);
  EXPECT_THAT(Ops(), ElementsAre("GroupNorm", "Mul", "Add"));
}

TEST_F(RecognizeGroupNormTest, NotAboveTheRankThatAGroupNormHasAKernelFor) {
  Output(Normalized(Input({1, 4, 2, 2, 2, 2}), 1, 2, {1, 4, 2, 2, 2, 2}));
  EXPECT_EQ(Run(RecognizeGroupNorm), 0);
}

TEST_F(RecognizeGroupNormTest, NotWhenGroupsCutAChannel) {
  Output(Normalized(x_, 2, 4, {2, 6, 4, 5}));
  EXPECT_EQ(Run(RecognizeGroupNorm), 0);
}

TEST_F(RecognizeGroupNormTest, NotWhenTheBatchIsRegrouped) {
  Output(Normalized(x_, 4, 3, {2, 6, 4, 5}));
  EXPECT_EQ(Run(RecognizeGroupNorm), 0);
}

TEST_F(RecognizeGroupNormTest, NotWhenTheResultHasAnotherShape) {
  Output(Normalized(x_, 2, 3, {2, 6, 20}));
  EXPECT_EQ(Run(RecognizeGroupNorm), 0);
}

}  // namespace
}  // namespace precis::passes
