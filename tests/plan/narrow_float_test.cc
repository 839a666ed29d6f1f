#include "engine/plan/narrow_float.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "engine/base/float16.h"
#include "gtest/gtest.h"

namespace precis::plan {
namespace {

// Every binary16 and bfloat16 number, the middles between neighbours, and what is special; an odd count, to reach the loops' tails.
std::vector<float> Interesting() {
  std::vector<float> x;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float f16 = F16ToF32(static_cast<uint16_t>(bits));
    x.push_back(f16);
    x.push_back(std::nextafter(f16, 1.0f));
    x.push_back(BF16ToF32(static_cast<uint16_t>(bits)));
    x.push_back(std::bit_cast<float>(bits << 16 | 0x8000u));  // midway between two bfloat16
    x.push_back(std::bit_cast<float>(bits << 16 | 0x1000u));
  }
  std::mt19937 random(1);
  for (int i = 0; i < 10'003; ++i) x.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
  return x;
}

bool Same(float a, float b) {
  return std::isnan(a) ? std::isnan(b) : std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

void CheckRounding(DataType type, float (*want)(float)) {
  const std::vector<float> x = Interesting();
  std::vector<float> y(x.size());
  const auto count = static_cast<int64_t>(x.size());
  const TensorView in[] = {{DataType::kF32, {count}, x.data()}};
  const kernels::MutableTensorView out[] = {{DataType::kF32, {count}, y.data()}};
  RoundKernel(type, count)(in, out);
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_TRUE(Same(y[i], want(x[i]))) << x[i] << " -> " << y[i] << ", want " << want(x[i]);
}

TEST(RoundKernelTest, RoundsToBinary16) {
  CheckRounding(DataType::kF16, [](float x) { return F16ToF32(F32ToF16(x)); });
}

TEST(RoundKernelTest, RoundsToBfloat16) {
  CheckRounding(DataType::kBF16, [](float x) { return BF16ToF32(F32ToBF16(x)); });
}

TEST(WidenKernelTest, WidensEveryPattern) {
  std::vector<uint16_t> bits(0x10000);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  std::vector<float> y(bits.size());
  for (const DataType type : {DataType::kF16, DataType::kBF16}) {
    const TensorView in[] = {{type, {0x10000}, bits.data()}};
    const kernels::MutableTensorView out[] = {{DataType::kF32, {0x10000}, y.data()}};
    WidenKernel(type, 0x10000)(in, out);
    for (size_t i = 0; i < bits.size(); ++i) {
      const float want = type == DataType::kF16 ? F16ToF32(bits[i]) : BF16ToF32(bits[i]);
      ASSERT_TRUE(Same(y[i], want)) << i;
    }
  }
}

TEST(NarrowTest, InvertsWiden) {
  std::vector<float> x = {0.0f, -0.0f, 1.0f, 65504.0f, 1e9f, 0x1p-24f, 3.14159f};
  std::vector<uint16_t> y(x.size());
  Narrow(DataType::kF16, x.data(), y.data(), static_cast<int64_t>(x.size()));
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(y[i], F32ToF16(x[i]));
  Narrow(DataType::kBF16, x.data(), y.data(), static_cast<int64_t>(x.size()));
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(y[i], F32ToBF16(x[i]));
}

}  // namespace
}  // namespace precis::plan
