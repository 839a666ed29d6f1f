#include <cmath>
#include <limits>

#include "engine/base/affine.h"
#include "tests/kernels/kernel_run.h"

namespace precis::kernels {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(AffineTest, RoundsTiesToEvenAndSaturates) {
  EXPECT_EQ(QuantizeAffine(0.5f, 1, 0, -128, 127), 0);
  EXPECT_EQ(QuantizeAffine(1.5f, 1, 0, -128, 127), 2);
  EXPECT_EQ(QuantizeAffine(-2.5f, 1, 10, 0, 255), 8);
  EXPECT_EQ(QuantizeAffine(1e30f, 1, 10, 0, 255), 255);
  EXPECT_EQ(QuantizeAffine(-1e30f, 1, 10, 0, 255), 0);
  EXPECT_EQ(QuantizeAffine(kNan, 1, 10, 0, 255), 10);
  EXPECT_EQ(DequantizeAffine(12, 0.5f, 10), 1.0f);
}

TEST(QuantizeTest, PerTensorPerAxisAndPerBlock) {
  const Tensor x = Tensor::From<float>({2, 3}, {0, 1, 300, -1, 2, 3});
  EXPECT_THAT(
      Elements<uint8_t>(RunOne(ir::Quantize{}, {x, Tensor::From<float>({}, {1}), Tensor::From<uint8_t>({}, {1})})),
      ElementsAre(1, 2, 255, 0, 3, 4));
  EXPECT_THAT(Elements<int8_t>(RunOne(ir::Quantize{0}, {x, Vector<float>({1, 0.5f}), Vector<int8_t>({0, 1})})),
              ElementsAre(0, 1, 127, -1, 5, 7));
  EXPECT_THAT(Elements<uint8_t>(RunOne(ir::Quantize{1, 2}, {x, Tensor::From<float>({2, 2}, {1, 100, 1, 1})})),
              ElementsAre(0, 1, 3, 0, 2, 3));
  EXPECT_THAT(Elements<int16_t>(RunOne(ir::Quantize{1, 0, DataType::kS16}, {x, Tensor::From<float>({}, {0.01f})})),
              ElementsAre(0, 100, 30000, -100, 200, 300));
}

TEST(DequantizeTest, PerTensorAndPerAxis) {
  const Tensor q = Tensor::From<uint8_t>({2, 2}, {0, 10, 20, 30});
  EXPECT_THAT(
      Elements<float>(RunOne(ir::Dequantize{}, {q, Tensor::From<float>({}, {0.5f}), Tensor::From<uint8_t>({}, {10})})),
      ElementsAre(-5, 0, 5, 10));
  EXPECT_THAT(Elements<float>(RunOne(ir::Dequantize{1}, {q, Vector<float>({1, 2})})), ElementsAre(0, 20, 20, 60));
  EXPECT_THAT(Elements<float>(RunOne(ir::Dequantize{}, {Vector<int32_t>({-7}), Tensor::From<float>({}, {0.5f})})),
              ElementsAre(-3.5f));
}

TEST(DynamicQuantizeTest, CoversZeroAndTheRange) {
  const auto y = RunAll(ir::DynamicQuantize{}, {Vector<float>({0, 2, -3, -2.5f, 1.34f, 0.5f})}, 3);
  EXPECT_THAT(Elements<uint8_t>(y[0]), ElementsAre(153, 255, 0, 26, 221, 179));
  EXPECT_THAT(Elements<float>(y[1]), ElementsAre(FloatEq(0.0196078438f)));
  EXPECT_THAT(Elements<uint8_t>(y[2]), ElementsAre(153));
  const auto zeros = RunAll(ir::DynamicQuantize{}, {Vector<float>({0, 0})}, 3);
  EXPECT_THAT(Elements<uint8_t>(zeros[0]), ElementsAre(0, 0));
}

TEST(ConvertTest, GoesWhereTheOutputSays) {
  const ir::QuantParams coarse{{1.0f}, {100}, -1}, fine{{0.5f}, {}, -1}, columns{{1.0f, 2.0f}, {}, 1};
  const Tensor x = Tensor::From<float>({1, 2}, {-3, 4});
  EXPECT_THAT(Elements<uint8_t>(RunOne(ir::Convert{}, {x}, {DataType::kU8, coarse})), ElementsAre(97, 104));
  EXPECT_THAT(Elements<int8_t>(RunOne(ir::Convert{}, {x}, {DataType::kS8, columns})), ElementsAre(-3, 2));
  const Tensor q = Tensor::From<uint8_t>({1, 2}, {97, 104});
  EXPECT_THAT(Elements<float>(RunOne(ir::Convert{}, {{q, coarse}}, {DataType::kF32, std::nullopt})),
              ElementsAre(-3, 4));
  EXPECT_THAT(Elements<int8_t>(RunOne(ir::Convert{}, {{q, coarse}}, {DataType::kS8, fine})), ElementsAre(-6, 8));
  EXPECT_THAT(ToFloat(RunOne(ir::Convert{}, {{q, coarse}}, {DataType::kBF16, std::nullopt}).view()),
              ElementsAre(-3, 4));
  EXPECT_THAT(ToFloat(RunOne(ir::Convert{}, {x}, {DataType::kF16, std::nullopt}).view()), ElementsAre(-3, 4));
}

TEST(QuantizedUnaryTest, TableAgreesWithTheFunction) {
  const ir::QuantParams in{{0.05f}, {120}, -1}, out{{1.0f / 256}, {0}, -1};
  std::vector<uint8_t> levels(256);
  for (size_t i = 0; i < 256; ++i) levels[i] = static_cast<uint8_t>(i);
  const Tensor y = RunOne(ir::Unary{ir::UnaryKind::kSigmoid}, {{Vector<uint8_t>(levels), in}}, {DataType::kU8, out});
  for (size_t i = 0; i < 256; ++i) {
    const float real = 0.05f * (static_cast<float>(i) - 120);
    ASSERT_EQ(y.As<uint8_t>()[i], QuantizeAffine(1 / (1 + std::exp(-real)), 1.0f / 256, 0, 0, 255)) << i;
  }
}

TEST(QuantizedTest, ArithmeticOnLevelsIsRefused) {
  const ir::QuantParams quant{{0.1f}, {0}, -1};
  const Tensor q = Vector<uint8_t>({1});
  const auto sum = TryRun(ir::Binary{}, {{q, quant}, {q, quant}}, 1, {DataType::kU8, quant});
  EXPECT_EQ(sum.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(sum.status().message(), "no plain kernel for Add of u8 (quantized), u8 (quantized) to u8 (quantized)");
}

}  // namespace
}  // namespace precis::kernels
