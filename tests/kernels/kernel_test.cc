// What all kernels have in common: one for every operator, 16-bit floats, constant folding.
#include "engine/kernels/kernel.h"

#include "engine/base/float16.h"
#include "tests/kernels/kernel_run.h"

namespace precis::kernels {
namespace {

using ::testing::ElementsAre;

Tensor Half(const std::vector<float>& values) {
  Tensor tensor(DataType::kF16, {static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) static_cast<uint16_t*>(tensor.data())[i] = F32ToF16(values[i]);
  return tensor;
}

TEST(KernelTest, SixteenBitFloatsAreComputedInF32) {
  const Tensor sum = RunOne(ir::Binary{}, {Half({1, 2}), Half({0.5f, 60000})});
  EXPECT_EQ(sum.dtype(), DataType::kF16);
  EXPECT_THAT(ToFloat(sum.view()), ElementsAre(1.5f, 60000));  // 60002 lies between two f16 numbers
  EXPECT_THAT(Elements<bool>(RunOne(ir::Binary{ir::BinaryKind::kLess}, {Half({1}), Half({2})})), ElementsAre(true));
}

TEST(KernelTest, SixteenBitFloatsMoveUnchanged) {
  EXPECT_THAT(ToFloat(RunOne(ir::Gather{}, {Half({1, 2, 3}), S64({2, 0})}).view()), ElementsAre(3, 1));
}

TEST(KernelTest, EvaluateFillsOnlyOutputsThatExist) {
  ir::Graph graph;
  const ir::ValueId x = graph.AddConstant("x", Vector<float>({1, 2, 3})), y = graph.AddValue("y", DataType::kF32, {1});
  const ir::NodeId split = graph.AddNode("split", ir::Split{0, 3}, {x}, {ir::kNoValue, y, ir::kNoValue});
  const auto outputs = Evaluate(graph, split);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(Elements<float>((*outputs)[1]), ElementsAre(2));
}

}  // namespace
}  // namespace precis::kernels
