// Convolution and pooling fallbacks in one, two and three dimensions, and matrix products.
#include "tests/kernels/kernel_run.h"
#include "tests/support/graph_builder.h"

namespace precis::kernels {
namespace {

using ::testing::ElementsAre;
using testing::RandomTensor;

ir::Window MakeWindow(ir::Ints kernel, ir::Ints strides, ir::Ints begin, ir::Ints end, ir::Ints dilations) {
  return {std::move(kernel), std::move(strides), std::move(dilations),
          std::move(begin),  std::move(end),     ir::AutoPad::kExplicit};
}

class WindowTest : public ::testing::Test {
 protected:
  void Check(const ir::Op& op, const std::vector<Shape>& shapes, double tolerance = 1e-5) {
    std::vector<Tensor> inputs;
    for (const Shape& shape : shapes) inputs.push_back(RandomTensor(random_, shape));
    ExpectMatchesReference(op, inputs, tolerance);
  }
  std::mt19937 random_{17};
};

TEST_F(WindowTest, Conv) {
  Check(ir::Conv{MakeWindow({}, {2}, {1}, {2}, {2}), 1}, {{2, 3, 11}, {4, 3, 3}, {4}});
  Check(ir::Conv{MakeWindow({}, {2, 1}, {0, 1}, {1, 0}, {1, 2}), 2}, {{2, 4, 7, 9}, {6, 2, 3, 2}, {6}});
  Check(ir::Conv{MakeWindow({}, {1, 2, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}), 4}, {{1, 4, 3, 5, 4}, {4, 1, 3, 3, 3}});
}

TEST_F(WindowTest, ConvTranspose) {
  Check(ir::ConvTranspose{MakeWindow({}, {2}, {1}, {0}, {1}), 1, {1}, {}}, {{2, 3, 5}, {3, 4, 3}, {4}});
  Check(ir::ConvTranspose{MakeWindow({}, {2, 3}, {1, 0}, {0, 1}, {2, 1}), 2, {}, {}},
        {{2, 4, 3, 4}, {4, 3, 3, 2}, {6}});
}

TEST_F(WindowTest, Pools) {
  for (ir::PoolKind kind : {ir::PoolKind::kMax, ir::PoolKind::kAverage, ir::PoolKind::kAverageIncludePad}) {
    Check(ir::Pool{kind, MakeWindow({3}, {2}, {1}, {1}, {1}), true}, {{2, 3, 10}});
    Check(ir::Pool{kind, MakeWindow({3, 2}, {2, 3}, {1, 0}, {0, 1}, {2, 1}), false}, {{2, 3, 9, 8}});
    Check(ir::Pool{kind, MakeWindow({2, 3, 2}, {2, 2, 2}, {1, 1, 0}, {1, 1, 1}, {1, 1, 1}), true}, {{1, 2, 4, 6, 5}});
  }
  Check(ir::GlobalPool{ir::PoolKind::kAverage}, {{2, 3, 4, 5}});
  Check(ir::GlobalPool{ir::PoolKind::kMax}, {{2, 3, 4}});
}

TEST_F(WindowTest, MaxPoolSaysWhereItFoundTheLargest) {
  const Tensor x = Tensor::From<uint8_t>({1, 2, 2, 2}, {1, 9, 9, 4, 0, 0, 0, 200});
  const auto outputs = RunAll(ir::Pool{ir::PoolKind::kMax, MakeWindow({2, 2}, {}, {}, {}, {})}, {x}, 2);
  EXPECT_THAT(Elements<uint8_t>(outputs[0]), ElementsAre(9, 200));
  EXPECT_THAT(Elements<int64_t>(outputs[1]), ElementsAre(1, 7));
}

TEST_F(WindowTest, MaxPoolTakesQuantizedLevels) {
  const ir::QuantParams quant{{0.1f}, {3}, -1};
  const Tensor x = Tensor::From<int8_t>({1, 1, 3}, {-7, 5, -9});
  const Tensor y =
      RunOne(ir::Pool{ir::PoolKind::kMax, MakeWindow({2}, {}, {}, {}, {})}, {{x, quant}}, {std::nullopt, quant});
  EXPECT_THAT(Elements<int8_t>(y), ElementsAre(5, 5));
}

TEST_F(WindowTest, MatMul) {
  Check(ir::MatMul{}, {{3, 70}, {70, 130}, {130}});
  Check(ir::MatMul{true, true, 0.5f}, {{2, 1, 5, 3}, {4, 7, 5}, {3, 1}});
  Check(ir::MatMul{}, {{5}, {2, 5, 3}});
  Check(ir::MatMul{}, {{2, 3, 5}, {5}});
  Check(ir::MatMul{}, {{5}, {5}});
}

}  // namespace
}  // namespace precis::kernels
