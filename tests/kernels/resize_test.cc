// Resize against the reference in every combination of mode and coordinates, growing and shrinking.
#include "tests/kernels/kernel_run.h"
#include "tests/support/graph_builder.h"

namespace precis::kernels {
namespace {

using ::testing::ElementsAre;
using testing::RandomTensor;

class ResizeTest : public ::testing::TestWithParam<std::tuple<int, int>> {
 protected:
  void Check(const ir::Resize& op, std::vector<float> scales) {
    std::vector<Tensor> inputs;
    inputs.push_back(RandomTensor(random_, {1, 2, 5, 6}));
    inputs.push_back(Vector<float>({0, 0, 0.2f, -0.3f, 1, 1, 0.8f, 1.3f}));
    inputs.push_back(Vector<float>(scales));
    ExpectMatchesReference(op, inputs, 1e-5);
  }
  std::mt19937 random_{19};
};

TEST_P(ResizeTest, MatchesTheReference) {
  ir::Resize op;
  op.mode = static_cast<ir::ResizeMode>(std::get<0>(GetParam()));
  op.coordinates = static_cast<ir::ResizeCoordinates>(std::get<1>(GetParam()));
  op.extrapolation_value = 7;
  for (const auto& scales : std::vector<std::vector<float>>{{1, 1, 2, 3}, {1, 1, 0.6f, 0.5f}, {1, 1, 1.7f, 1}}) {
    Check(op, scales);
    if (op.mode == ir::ResizeMode::kNearest) {
      for (auto rule : {ir::ResizeNearest::kRoundPreferCeil, ir::ResizeNearest::kFloor, ir::ResizeNearest::kCeil}) {
        op.nearest = rule;
        Check(op, scales);
      }
    } else {
      for (bool antialias : {false, true}) {
        op.antialias = antialias;
        op.exclude_outside = !antialias;
        Check(op, scales);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(ModesAndCoordinates, ResizeTest,
                         ::testing::Combine(::testing::Range(0, 3), ::testing::Range(0, 6)));

TEST(ResizeKernelTest, NearestMovesAnyType) {
  ir::Resize op;
  op.coordinates = ir::ResizeCoordinates::kAsymmetric;
  op.nearest = ir::ResizeNearest::kFloor;
  const Tensor x = Tensor::From<uint8_t>({1, 1, 1, 2}, {3, 9}), scales = Vector<float>({1, 1, 2, 2});
  const ir::QuantParams quant{{0.1f}, {3}, -1};
  EXPECT_THAT(Elements<uint8_t>(RunOne(op, {{x, quant}, {}, scales}, {std::nullopt, quant})),
              ElementsAre(3, 3, 9, 9, 3, 3, 9, 9));
}

TEST(ResizeKernelTest, SameSizeCopies) {
  EXPECT_THAT(Elements<float>(RunOne(ir::Resize{}, {Vector<float>({1, 2}), {}, Vector<float>({1})})),
              ElementsAre(1, 2));
}

}  // namespace
}  // namespace precis::kernels
