#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ::testing::ElementsAre;

class MergeParallelMatMulsTest : public PassTest {
 protected:
  const ir::ValueId x_ = Input({2, 4, 3});
};

TEST_F(MergeParallelMatMulsTest, ProjectionsWithBias) {
  for (const int64_t columns : {6, 6, 5}) Output(MatMul(x_, columns, true));
  EXPECT_EQ(Run(MergeParallelMatMuls), 1);
  EXPECT_THAT(Ops(), ElementsAre("MatMul", "Split"));
}

TEST_F(MergeParallelMatMulsTest, TransposedWeights) {
  for (const int64_t columns : {6, 2}) Output(Node(ir::MatMul{false, true, 0.5f}, {x_, Random({columns, 3})}));
  EXPECT_EQ(Run(MergeParallelMatMuls), 1);
  EXPECT_THAT(Ops(), ElementsAre("MatMul", "Split"));
}

TEST_F(MergeParallelMatMulsTest, OnlyThoseOfOneForm) {
  Output(MatMul(x_, 6, true));
  Output(MatMul(x_, 6, false));
  Output(Node(ir::MatMul{false, false, 0.5f}, {x_, Random({3, 6})}));
  EXPECT_EQ(Run(MergeParallelMatMuls), 0);
}

TEST_F(MergeParallelMatMulsTest, NotWithComputedWeightsNorPostOps) {
  const ir::ValueId y = MatMul(x_, 6, false);
  builder_.Fuse(y, ir::Unary{ir::UnaryKind::kRelu});
  Output(y);
  Output(MatMul(x_, 6, false));
  Output(Node(ir::MatMul{}, {x_, Input({3, 6})}));
  EXPECT_EQ(Run(MergeParallelMatMuls), 0);
}

TEST_F(MergeParallelMatMulsTest, NotOfDifferentValues) {
  Output(MatMul(x_, 6, false));
  Output(MatMul(Input({2, 4, 3}), 6, false));
  EXPECT_EQ(Run(MergeParallelMatMuls), 0);
}

}  // namespace
}  // namespace precis::passes
