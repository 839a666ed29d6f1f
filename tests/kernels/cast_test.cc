#include <limits>

#include "engine/base/float16.h"
#include "tests/kernels/kernel_run.h"

namespace precis::kernels {
namespace {

using ::testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

TEST(CastTest, FloatsTruncateAndSaturate) {
  const Tensor x = Vector<float>({1.9f, -1.9f, 300, -300, kInfinity, -kInfinity, kNan});
  EXPECT_THAT(Elements<int8_t>(RunOne(ir::Cast{DataType::kS8}, {x})), ElementsAre(1, -1, 127, -128, 127, -128, 0));
  EXPECT_THAT(Elements<uint8_t>(RunOne(ir::Cast{DataType::kU8}, {x})), ElementsAre(1, 0, 255, 0, 255, 0, 0));
  const Tensor large = Vector<float>({9.3e18f, 2147483648.0f});
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Cast{DataType::kS64}, {large})), ElementsAre(INT64_MAX, 2147483648));
  EXPECT_THAT(Elements<int32_t>(RunOne(ir::Cast{DataType::kS32}, {large})), ElementsAre(INT32_MAX, INT32_MAX));
}

TEST(CastTest, IntegersWrap) {
  EXPECT_THAT(Elements<uint8_t>(RunOne(ir::Cast{DataType::kU8}, {S64({257, -1})})), ElementsAre(1, 255));
  EXPECT_THAT(Elements<double>(RunOne(ir::Cast{DataType::kF64}, {S64({1 << 30})})), ElementsAre(1 << 30));
}

TEST(CastTest, WhateverIsNotZeroIsTrue) {
  EXPECT_THAT(Elements<bool>(RunOne(ir::Cast{DataType::kBool}, {Vector<float>({0, 0.1f, -0.0f, kNan})})),
              ElementsAre(false, true, false, true));
  EXPECT_THAT(Elements<int32_t>(RunOne(ir::Cast{DataType::kS32}, {Vector<bool>({true, false})})), ElementsAre(1, 0));
}

TEST(CastTest, HalvesRoundToNearestEven) {
  const Tensor x = Vector<float>({1.0f + 0x1p-11f, 1.0f + 3 * 0x1p-11f, 70000.0f});
  const Tensor half = RunOne(ir::Cast{DataType::kF16}, {x});
  EXPECT_THAT(ToFloat(half.view()), ElementsAre(1.0f, 1.0f + 0x1p-9f, kInfinity));
  const Tensor bfloat = RunOne(ir::Cast{DataType::kBF16}, {half});
  EXPECT_THAT(ToFloat(bfloat.view()), ElementsAre(1.0f, 1.0f, kInfinity));
  EXPECT_THAT(Elements<int32_t>(RunOne(ir::Cast{DataType::kS32}, {half})), ElementsAre(1, 1, INT32_MAX));
}

}  // namespace
}  // namespace precis::kernels
