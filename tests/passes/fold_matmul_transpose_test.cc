#include "engine/passes/rewrites.h"
#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ::testing::ElementsAre;

class FoldMatMulTransposeTest : public PassTest {};

TEST_F(FoldMatMulTransposeTest, BothOperands) {
  const ir::ValueId a = Node(ir::Transpose{{0, 2, 1}}, {Input({2, 3, 4})});
  const ir::ValueId b = Node(ir::Transpose{{0, 2, 1}}, {Input({2, 5, 3})});
  Output(Node(ir::MatMul{}, {a, b}));
  EXPECT_EQ(Run(FoldMatMulTranspose), 2);
  EXPECT_THAT(Ops(), ElementsAre("MatMul"));
  EXPECT_TRUE(OpOf<ir::MatMul>(Find("MatMul")).transpose_a);
  EXPECT_TRUE(OpOf<ir::MatMul>(Find("MatMul")).transpose_b);
}

TEST_F(FoldMatMulTransposeTest, CancelsTheFlag) {
  const ir::ValueId b = Node(ir::Transpose{{1, 0}}, {Input({3, 5})});
  Output(Node(ir::MatMul{false, true}, {Input({2, 3}), b}));
  EXPECT_EQ(Run(FoldMatMulTranspose), 1);
  EXPECT_FALSE(OpOf<ir::MatMul>(Find("MatMul")).transpose_b);
}

TEST_F(FoldMatMulTransposeTest, KeepsTransposeForItsOtherReaders) {
  const ir::ValueId b = Node(ir::Transpose{{1, 0}}, {Input({5, 3})});
  Output(b);
  Output(Node(ir::MatMul{}, {Input({2, 3}), b}));
  EXPECT_EQ(Run(FoldMatMulTranspose), 1);
  EXPECT_THAT(Ops(), ::testing::UnorderedElementsAre("Transpose", "MatMul"));
}

TEST_F(FoldMatMulTransposeTest, NotWhenHeadsMoveToo) {
  const ir::ValueId b = Node(ir::Transpose{{0, 2, 3, 1}}, {Input({2, 5, 4, 3})});
  Output(Node(ir::MatMul{}, {Input({2, 4, 6, 3}), b}));
  EXPECT_EQ(Run(FoldMatMulTranspose), 0);
}

TEST_F(FoldMatMulTransposeTest, NotWhenBatchesSwap) {
  const ir::ValueId b = Node(ir::Transpose{{1, 0, 2}}, {Input({3, 2, 4})});
  Output(Node(ir::MatMul{}, {Input({2, 5, 3}), b}));
  EXPECT_EQ(Run(FoldMatMulTranspose), 0);
}

}  // namespace
}  // namespace precis::passes
