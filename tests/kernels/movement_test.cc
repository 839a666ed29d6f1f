// Data movement by element size: numbers are positions, so that a wrong one says where it came from.
#include <numeric>

#include "tests/kernels/kernel_run.h"

namespace precis::kernels {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

// 0, 1, 2, … in the given shape.
template <typename T = int64_t>
Tensor Iota(const Shape& shape) {
  Tensor tensor(DataTypeOf<T>(), shape);
  std::iota(tensor.As<T>().begin(), tensor.As<T>().end(), T{0});
  return tensor;
}

// Every permutation of four dimensions, with sizes that exercise tiles and their edges.
template <typename T>
void CheckTransposes() {
  const Shape shape = {3, 17, 2, 19};
  const Tensor x = Iota<T>(shape);
  ir::Ints perm = {0, 1, 2, 3};
  do {
    const Tensor y = RunOne(ir::Transpose{perm}, {x});
    const std::vector<int64_t> strides = RowMajorStrides(shape);
    for (int64_t i = 0; i < y.num_elements(); ++i) {
      int64_t from = 0, rest = i;
      for (size_t d = 4; d-- > 0; rest /= y.shape()[d])
        from += rest % y.shape()[d] * strides[static_cast<size_t>(perm[d])];
      ASSERT_EQ(y.As<T>()[static_cast<size_t>(i)], static_cast<T>(from)) << ShapeToString(perm) << " at " << i;
    }
  } while (std::next_permutation(perm.begin(), perm.end()));
}

TEST(MovementTest, TransposesOfEveryElementSize) {
  CheckTransposes<uint8_t>();
  CheckTransposes<uint16_t>();
  CheckTransposes<float>();
  CheckTransposes<int64_t>();
}

TEST(MovementTest, ConcatAndSplitAreInverse) {
  const Tensor x = Iota({2, 5, 3});
  auto parts = RunAll(ir::Split{1}, {x, S64({1, 0, 4})}, 3);
  EXPECT_EQ(parts[1].shape(), (Shape{2, 0, 3}));
  EXPECT_THAT(Elements<int64_t>(parts[0]), ElementsAre(0, 1, 2, 15, 16, 17));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Concat{1}, {parts[0], parts[1], parts[2]})),
              ElementsAreArray(Elements<int64_t>(x)));
}

TEST(MovementTest, SliceWalksEitherWay) {
  const Tensor x = Iota({3, 4});
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Slice{}, {x, S64({1, 0}), S64({3, 4}), S64({0, 1}), S64({1, 2})})),
              ElementsAre(4, 6, 8, 10));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Slice{}, {x, S64({-1}), S64({-4}), S64({0}), S64({-2})})),
              ElementsAre(8, 9, 10, 11, 0, 1, 2, 3));
  EXPECT_EQ(RunOne(ir::Slice{}, {x, S64({5}), S64({9})}).num_elements(), 0);
}

TEST(MovementTest, ExpandAndTileRepeat) {
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Expand{}, {Iota({2, 1}), S64({2, 2, 2})})),
              ElementsAre(0, 0, 1, 1, 0, 0, 1, 1));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Tile{}, {Iota({2, 2}), S64({1, 2})})), ElementsAre(0, 1, 0, 1, 2, 3, 2, 3));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Tile{}, {Iota({2}), S64({2})})), ElementsAre(0, 1, 0, 1));
}

TEST(MovementTest, BlocksToSpaceAndBack) {
  const Tensor x = Iota({1, 8, 1, 1});
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::DepthToSpace{2}, {x})), ElementsAre(0, 2, 4, 6, 1, 3, 5, 7));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::DepthToSpace{2, true}, {x})), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::SpaceToDepth{2}, {RunOne(ir::DepthToSpace{2}, {x})})),
              ElementsAreArray(Elements<int64_t>(x)));
}

TEST(MovementTest, ReshapesKeepTheBytes) {
  const Tensor x = Iota({2, 3});
  for (const Tensor& y :
       {RunOne(ir::Reshape{}, {x, S64({3, 2})}), RunOne(ir::Flatten{}, {x}), RunOne(ir::Unsqueeze{}, {x, S64({0})}),
        RunOne(ir::Squeeze{}, {x}), RunOne(ir::Identity{}, {x})}) {
    EXPECT_THAT(Elements<int64_t>(y), ElementsAre(0, 1, 2, 3, 4, 5));
  }
}

TEST(PadTest, EveryMode) {
  const Tensor x = Iota({2, 3}), pads = S64({0, 2, 1, 1}), nine = Tensor::From<int64_t>({}, {9});
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Pad{}, {x, pads, nine})),
              ElementsAre(9, 9, 0, 1, 2, 9, 9, 9, 3, 4, 5, 9, 9, 9, 9, 9, 9, 9));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Pad{ir::PadMode::kEdge}, {x, pads})),
              ElementsAre(0, 0, 0, 1, 2, 2, 3, 3, 3, 4, 5, 5, 3, 3, 3, 4, 5, 5));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Pad{ir::PadMode::kReflect}, {x, pads})),
              ElementsAre(2, 1, 0, 1, 2, 1, 5, 4, 3, 4, 5, 4, 2, 1, 0, 1, 2, 1));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Pad{ir::PadMode::kWrap}, {x, pads})),
              ElementsAre(1, 2, 0, 1, 2, 0, 4, 5, 3, 4, 5, 3, 1, 2, 0, 1, 2, 0));
}

TEST(PadTest, NegativePadsCrop) {
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Pad{}, {Iota({4}), S64({-1, -2})})), ElementsAre(1));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Pad{ir::PadMode::kEdge}, {Iota({4}), S64({-1, 2})})),
              ElementsAre(1, 2, 3, 3, 3));
}

TEST(PadTest, ValueOfAQuantizedTensorIsReal) {
  const Tensor x = Vector<uint8_t>({1, 2}), value = Tensor::From<float>({}, {-0.9f});
  const ir::QuantParams quant{{0.5f}, {10}, -1};
  EXPECT_THAT(Elements<uint8_t>(RunOne(ir::Pad{}, {{x, quant}, S64({1, 0}), value}, {std::nullopt, quant})),
              ElementsAre(8, 1, 2));
  EXPECT_THAT(Elements<uint8_t>(RunOne(ir::Pad{}, {{x, quant}, S64({0, 1})}, {std::nullopt, quant})),
              ElementsAre(1, 2, 10));
}

TEST(GenerateTest, ShapesRangesAndDiagonals) {
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::ShapeOf{1}, {Iota({2, 3, 4})})), ElementsAre(3, 4));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::SizeOf{}, {Iota({2, 3, 4})})), ElementsAre(24));
  const Tensor start = Tensor::From<float>({}, {1}), limit = Tensor::From<float>({}, {0}),
               delta = Tensor::From<float>({}, {-0.4f});
  EXPECT_THAT(Elements<float>(RunOne(ir::Range{}, {start, limit, delta})),
              ::testing::Pointwise(::testing::FloatEq(), {1.0f, 0.6f, 0.2f}));
  EXPECT_THAT(Elements<bool>(RunOne(ir::EyeLike{1, DataType::kBool}, {Iota({2, 3})})),
              ElementsAre(false, true, false, false, false, true));
  const std::vector<std::byte> value(2, std::byte{1});
  EXPECT_THAT(Elements<uint16_t>(RunOne(ir::ConstantOfShape{value, DataType::kU16}, {S64({2})})),
              ElementsAre(257, 257));
}

TEST(GenerateTest, TrianglesOfEveryDiagonal) {
  const Tensor x = Tensor::From<int64_t>({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto triangle = [&](bool upper, int64_t k) {
    return Elements<int64_t>(RunOne(ir::Trilu{upper}, {x, Tensor::From<int64_t>({}, {k})}));
  };
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Trilu{}, {x})), ElementsAre(1, 2, 3, 0, 5, 6));
  EXPECT_THAT(triangle(true, 1), ElementsAre(0, 2, 3, 0, 0, 6));
  EXPECT_THAT(triangle(true, -9), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(triangle(true, INT64_MAX), ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_THAT(triangle(false, 0), ElementsAre(1, 0, 0, 4, 5, 0));
  EXPECT_THAT(triangle(false, INT64_MIN), ElementsAre(0, 0, 0, 0, 0, 0));
}

TEST(GenerateTest, OneHotIgnoresIndicesOutOfRange) {
  const Tensor values = Vector<int32_t>({0, 7}), depth = Tensor::From<int64_t>({}, {3});
  EXPECT_THAT(Elements<int32_t>(RunOne(ir::OneHot{}, {S64({-1, 5}), depth, values})), ElementsAre(0, 0, 7, 0, 0, 0));
  EXPECT_THAT(Elements<int32_t>(RunOne(ir::OneHot{0}, {S64({1, 0}), depth, values})), ElementsAre(0, 7, 7, 0, 0, 0));
}

}  // namespace
}  // namespace precis::kernels
