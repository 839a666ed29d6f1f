#include <limits>

#include "tests/kernels/kernel_run.h"
#include "tests/support/graph_builder.h"

namespace precis::kernels {
namespace {

using ir::ReduceKind;
using ::testing::ElementsAre;
using testing::RandomTensor;

constexpr uint32_t kSeed = 11;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class ReduceTest : public ::testing::TestWithParam<int> {};

TEST_P(ReduceTest, MatchesTheReferenceOverAnyAxes) {
  const auto kind = static_cast<ReduceKind>(GetParam());
  std::mt19937 random(kSeed);
  for (const std::vector<int64_t>& axes :
       std::vector<std::vector<int64_t>>{{}, {0}, {1}, {2}, {3}, {0, 2}, {1, 3}, {2, 3}, {0, 1, 2, 3}}) {
    std::vector<Tensor> inputs;
    inputs.push_back(RandomTensor(random, {2, 3, 5, 131}, 0.5f, 1.5f));
    inputs.push_back(S64(axes));
    ExpectMatchesReference(ir::Reduce{kind}, inputs, 1e-5);
    ExpectMatchesReference(ir::Reduce{kind, false, true}, inputs, 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, ReduceTest, ::testing::Range(0, static_cast<int>(ReduceKind::kLogSumExp) + 1));

float Empty(ReduceKind kind) { return RunOne(ir::Reduce{kind}, {Tensor(DataType::kF32, {0})}).As<float>()[0]; }

TEST(ReduceKernelTest, EmptyReductionIsTheNeutralElement) {
  EXPECT_EQ(Empty(ReduceKind::kSum), 0);
  EXPECT_EQ(Empty(ReduceKind::kProd), 1);
  EXPECT_EQ(Empty(ReduceKind::kMax), -kInfinity);
  EXPECT_EQ(Empty(ReduceKind::kMin), kInfinity);
  EXPECT_EQ(Empty(ReduceKind::kLogSum), -kInfinity);
}

TEST(ReduceKernelTest, IntegersAndBools) {
  const Tensor x = Tensor::From<int32_t>({2, 2}, {-3, 4, 5, 7});
  EXPECT_THAT(Elements<int32_t>(RunOne(ir::Reduce{ReduceKind::kMean}, {x, S64({1})})), ElementsAre(0, 6));
  EXPECT_THAT(Elements<int32_t>(RunOne(ir::Reduce{ReduceKind::kL1}, {x, S64({0})})), ElementsAre(8, 11));
  EXPECT_THAT(Elements<uint8_t>(RunOne(ir::Reduce{ReduceKind::kMax}, {Vector<uint8_t>({3, 250})})), ElementsAre(250));
  EXPECT_THAT(Elements<bool>(RunOne(ir::Reduce{ReduceKind::kMin}, {Vector<bool>({true, false})})), ElementsAre(false));
}

TEST(ReduceKernelTest, LogSumExpDoesNotOverflow) {
  EXPECT_THAT(Elements<float>(RunOne(ir::Reduce{ReduceKind::kLogSumExp}, {Vector<float>({1000, 1000})})),
              ElementsAre(::testing::FloatEq(1000.6931f)));
}

TEST(ReduceKernelTest, LongSumsStayExact) {
  Tensor x(DataType::kF32, {1 << 20});
  for (float& value : x.As<float>()) value = 1.1f;
  EXPECT_NEAR(RunOne(ir::Reduce{}, {x}).As<float>()[0], 1.1f * (1 << 20), 0.1);
}

}  // namespace
}  // namespace precis::kernels
