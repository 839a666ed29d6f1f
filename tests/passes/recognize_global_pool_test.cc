#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ::testing::ElementsAre;

class RecognizeGlobalPoolTest : public PassTest {
 protected:
  const ir::ValueId x_ = Input({2, 3, 4, 5});
};

TEST_F(RecognizeGlobalPoolTest, SpatialMean) {
  Output(Node(ir::Reduce{ir::ReduceKind::kMean}, {x_, Int64s({-1, 2})}));
  EXPECT_EQ(Run(RecognizeGlobalPool), 1);
  EXPECT_THAT(Ops(), ElementsAre("GlobalAveragePool"));
}

TEST_F(RecognizeGlobalPoolTest, SpatialMaximumThatDropsDimensions) {
  Output(Node(ir::Reduce{ir::ReduceKind::kMax, false}, {x_, Int64s({2, 3})}));
  EXPECT_EQ(Run(RecognizeGlobalPool), 1);
  EXPECT_THAT(Ops(), ElementsAre("GlobalMaxPool", "Reshape"));
}

TEST_F(RecognizeGlobalPoolTest, PoolOfTheWholeImage) {
  ir::Window window;
  window.kernel = {4, 5};
  Output(Node(ir::Pool{ir::PoolKind::kAverage, window}, {x_}));
  EXPECT_EQ(Run(RecognizeGlobalPool), 1);
  EXPECT_THAT(Ops(), ElementsAre("GlobalAveragePool"));
}

TEST_F(RecognizeGlobalPoolTest, NotAMeanOverChannels) {
  Output(Node(ir::Reduce{ir::ReduceKind::kMean}, {x_, Int64s({1, 2})}));
  EXPECT_EQ(Run(RecognizeGlobalPool), 0);
}

TEST_F(RecognizeGlobalPoolTest, NotASumNorAMeanOverOneDimension) {
  Output(Node(ir::Reduce{ir::ReduceKind::kSum}, {x_, Int64s({2, 3})}));
  Output(Node(ir::Reduce{ir::ReduceKind::kMean}, {x_, Int64s({3})}));
  EXPECT_EQ(Run(RecognizeGlobalPool), 0);
}

TEST_F(RecognizeGlobalPoolTest, NotAPoolOfASmallerWindow) {
  ir::Window window;
  window.kernel = {4, 4};
  Output(Node(ir::Pool{ir::PoolKind::kAverage, window}, {x_}));
  EXPECT_EQ(Run(RecognizeGlobalPool), 0);
}

}  // namespace
}  // namespace precis::passes
