#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ::testing::ElementsAre;

class FoldPadTest : public PassTest {
 protected:
  ir::ValueId Pad(ir::ValueId x, std::vector<int64_t> pads, float value = 0) {
    return Node(ir::Pad{}, {x, Int64s(pads), Scalar(value)});
  }
  ir::ValueId Pool(ir::PoolKind kind, ir::ValueId x, int64_t pad = 0) {
    ir::Window window;
    window.kernel = {3, 3};
    window.pads_begin = window.pads_end = {pad, pad};
    return Node(ir::Pool{kind, window}, {x});
  }

  const ir::ValueId x_ = Input({1, 3, 6, 6});
  const std::vector<int64_t> pads_ = {0, 0, 1, 2, 0, 0, 0, 1};
};

TEST_F(FoldPadTest, IntoConvThatHasPadsOfItsOwn) {
  Output(Conv(Pad(x_, pads_), 4, 3, 1, true));
  EXPECT_EQ(Run(FoldPad), 1);
  EXPECT_THAT(Ops(), ElementsAre("Conv"));
  const ir::Window& window = OpOf<ir::Conv>(Find("Conv")).window;
  EXPECT_THAT(window.pads_begin, ElementsAre(2, 3));
  EXPECT_THAT(window.pads_end, ElementsAre(1, 2));
}

TEST_F(FoldPadTest, IntoAverageThatThenCountsIt) {
  Output(Pool(ir::PoolKind::kAverage, Pad(x_, pads_)));
  EXPECT_EQ(Run(FoldPad), 1);
  EXPECT_EQ(OpOf<ir::Pool>(Find("AveragePool")).kind, ir::PoolKind::kAverageIncludePad);
}

TEST_F(FoldPadTest, IntoMaximumOfNonNegativeNumbers) {
  Output(Pool(ir::PoolKind::kMax, Pad(Unary(ir::UnaryKind::kRelu, x_), pads_)));
  EXPECT_EQ(Run(FoldPad), 1);
  EXPECT_THAT(Ops(), ElementsAre("Relu", "MaxPool"));
}

TEST_F(FoldPadTest, IntoEachReaderThatTakesIt) {
  const ir::ValueId padded = Pad(x_, pads_);
  Output(Conv(padded, 4, 3, 0, false));
  Output(Unary(ir::UnaryKind::kExp, padded));
  EXPECT_EQ(Run(FoldPad), 1);
  EXPECT_THAT(Ops(), ::testing::UnorderedElementsAre("Pad", "Conv", "Exp"));
}

TEST_F(FoldPadTest, NotPaddingOfOnes) {
  Output(Conv(Pad(x_, pads_, 1), 4, 3, 0, false));
  EXPECT_EQ(Run(FoldPad), 0);
}

TEST_F(FoldPadTest, NotPaddingOfChannelsNorCropping) {
  Output(Conv(Pad(x_, {0, 1, 0, 0, 0, 0, 0, 0}), 4, 3, 0, false));
  Output(Conv(Pad(x_, {0, 0, -1, 0, 0, 0, 0, 0}), 4, 3, 0, false));
  EXPECT_EQ(Run(FoldPad), 0);
}

TEST_F(FoldPadTest, NotIntoMaximumOfNegativeNumbers) {
  Output(Pool(ir::PoolKind::kMax, Pad(x_, pads_)));
  EXPECT_EQ(Run(FoldPad), 0);
}

TEST_F(FoldPadTest, NotIntoAverageThatSkipsItsOwnPadding) {
  Output(Pool(ir::PoolKind::kAverage, Pad(x_, pads_), 1));
  EXPECT_EQ(Run(FoldPad), 0);
}

TEST_F(FoldPadTest, NotReflection) {
  Output(Conv(Node(ir::Pad{ir::PadMode::kReflect}, {x_, Int64s(pads_)}), 4, 3, 0, false));
  EXPECT_EQ(Run(FoldPad), 0);
}

}  // namespace
}  // namespace precis::passes
