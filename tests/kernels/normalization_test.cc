#include "tests/kernels/kernel_run.h"
#include "tests/support/graph_builder.h"

namespace precis::kernels {
namespace {

using testing::RandomTensor;

class NormalizationTest : public ::testing::Test {
 protected:
  void Check(const ir::Op& op, const std::vector<Shape>& shapes) {
    std::vector<Tensor> inputs;
    for (const Shape& shape : shapes) inputs.push_back(RandomTensor(random_, shape, 0.1f, 2.0f));
    ExpectMatchesReference(op, inputs, 1e-5);
  }
  std::mt19937 random_{13};
};

TEST_F(NormalizationTest, BatchNorm) { Check(ir::BatchNorm{1e-3f}, {{2, 3, 4, 5}, {3}, {3}, {3}, {3}}); }
TEST_F(NormalizationTest, InstanceNorm) { Check(ir::InstanceNorm{1e-3f}, {{2, 3, 4, 5}, {3}, {3}}); }
TEST_F(NormalizationTest, GroupNorm) { Check(ir::GroupNorm{2, 1e-3f}, {{2, 6, 4}, {6}, {6}}); }

TEST_F(NormalizationTest, LayerNormOverSeveralDimensionsWithBroadcastParameters) {
  Check(ir::LayerNorm{-1, 1e-3f}, {{2, 3, 7}, {7}, {7}});
  Check(ir::LayerNorm{1, 1e-3f}, {{2, 3, 7}, {3, 1}, {7}});
  Check(ir::LayerNorm{0, 1e-3f}, {{2, 3}});
}

TEST_F(NormalizationTest, LayerNormReportsItsStatistics) {
  const Tensor x = Tensor::From<float>({1, 2}, {1, 3});
  const auto outputs = RunAll(ir::LayerNorm{-1, 0.0f}, {x}, 3);
  EXPECT_FLOAT_EQ(outputs[1].As<float>()[0], 2);
  EXPECT_FLOAT_EQ(outputs[2].As<float>()[0], 1);
}

TEST_F(NormalizationTest, Lrn) {
  Check(ir::Lrn{3, 0.5f, 0.75f, 1.5f}, {{2, 5, 3, 2}});
  Check(ir::Lrn{4, 0.5f, 0.75f, 1.5f}, {{2, 5, 3}});
}

TEST_F(NormalizationTest, LpNorm) {
  Check(ir::LpNorm{0, 1}, {{3, 4}});
  Check(ir::LpNorm{-1, 2}, {{3, 4}});
  EXPECT_EQ(RunOne(ir::LpNorm{}, {Vector<float>({0, 0})}).As<float>()[0], 0);
}

TEST_F(NormalizationTest, Softmax) {
  Check(ir::Softmax{1}, {{2, 5, 3}});
  Check(ir::Softmax{-1, true}, {{2, 5, 3}});
  EXPECT_FLOAT_EQ(RunOne(ir::Softmax{}, {Vector<float>({1000, 1000})}).As<float>()[1], 0.5f);
  EXPECT_FLOAT_EQ(RunOne(ir::Softmax{}, {Tensor::From<float>({}, {3})}).As<float>()[0], 1);
}

}  // namespace
}  // namespace precis::kernels
