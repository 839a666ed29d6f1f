// Integer kernels against the same sums in double, element by element.
#include "engine/plan/quantized_kernels.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace precis::plan {
namespace {

using ir::BinaryKind;

struct Buffer {
  DataType dtype;
  std::vector<uint8_t> bytes;
  int32_t at(size_t i) const { return dtype == DataType::kU8 ? bytes[i] : static_cast<int8_t>(bytes[i]); }
};

Buffer Random(std::mt19937& random, DataType dtype, size_t count) {
  Buffer buffer{dtype, std::vector<uint8_t>(count)};
  for (auto& x : buffer.bytes) x = static_cast<uint8_t>(random());
  return buffer;
}

QuantizedOperand Operand(DataType dtype, float scale, int32_t zero) { return {dtype, {{scale}, {zero}, -1}}; }

double Real(const QuantizedOperand& o, int32_t level) {
  return static_cast<double>(o.params.scale()) * (level - o.params.zero_point());
}

// Distance of `got` from the exact level of `real`: at most half a level, plus f32 rounding.
void ExpectNearest(int32_t got, const QuantizedOperand& y, double real) {
  const double lowest = y.dtype == DataType::kU8 ? 0 : -128, highest = y.dtype == DataType::kU8 ? 255 : 127;
  const double exact =
      std::clamp(real / static_cast<double>(y.params.scale()) + y.params.zero_point(), lowest, highest);
  EXPECT_LE(std::abs(got - exact), 0.5 + 1e-3);
}

void CheckBinary(BinaryKind kind, DataType ta, DataType tb, DataType ty, int64_t count, int64_t period) {
  SCOPED_TRACE(absl::StrCat("kind ", static_cast<int>(kind), " count ", count, " period ", period));
  std::mt19937 random(static_cast<uint32_t>(count + period));
  const auto zero = [](DataType t, int32_t z) { return t == DataType::kU8 ? z : z - 128; };
  const QuantizedOperand a = Operand(ta, 0.02f, zero(ta, 131)), b = Operand(tb, 0.013f, zero(tb, 90)),
                         y = Operand(ty, 0.03f, zero(ty, 120));
  const Buffer xa = Random(random, ta, static_cast<size_t>(count)),
               xb = Random(random, tb, static_cast<size_t>(period));
  Buffer out{ty, std::vector<uint8_t>(static_cast<size_t>(count))};
  const TensorView in[] = {{ta, {count}, xa.bytes.data()}, {tb, {period}, xb.bytes.data()}};
  const kernels::MutableTensorView to[] = {{ty, {count}, out.bytes.data()}};
  QuantizedBinary(kind, a, b, y, count, period)(in, to);
  for (int64_t i = 0; i < count && !::testing::Test::HasFailure(); ++i) {
    const double left = Real(a, xa.at(static_cast<size_t>(i))), right = Real(b, xb.at(static_cast<size_t>(i % period)));
    const double real = kind == BinaryKind::kAdd   ? left + right
                        : kind == BinaryKind::kSub ? left - right
                                                   : left * right;
    SCOPED_TRACE(absl::StrCat("element ", i));
    ExpectNearest(out.at(static_cast<size_t>(i)), y, real);
  }
}

TEST(QuantizedBinaryTest, MatchesRealArithmetic) {
  for (const BinaryKind kind : {BinaryKind::kAdd, BinaryKind::kSub, BinaryKind::kMul}) {
    for (const DataType ta : {DataType::kU8, DataType::kS8}) {
      for (const DataType tb : {DataType::kU8, DataType::kS8}) {
        for (const DataType ty : {DataType::kU8, DataType::kS8}) CheckBinary(kind, ta, tb, ty, 100, 100);
      }
    }
  }
}

TEST(QuantizedBinaryTest, RepeatsTheSecondOperand) {
  using enum DataType;
  for (const auto& [count, period] : std::vector<std::pair<int64_t, int64_t>>{{1, 1},
                                                                              {7, 1},
                                                                              {5000, 1},
                                                                              {96, 24},
                                                                              {3 * 1024, 1024},
                                                                              {4 * 1500, 1500},
                                                                              {672 * 50, 672},
                                                                              {4 * 4096, 4096},
                                                                              {3 * 5000, 5000},
                                                                              {40000, 40000},
                                                                              {70000, 7},
                                                                              {2048, 2048},
                                                                              {33, 11}}) {
    CheckBinary(BinaryKind::kAdd, kU8, kU8, kU8, count, period);
    CheckBinary(BinaryKind::kSub, kS8, kU8, kS8, count, period);
  }
}

TEST(QuantizedBinaryTest, RunsInPlace) {
  std::vector<uint8_t> x = {10, 20, 30, 40}, z = {1, 2, 3, 4};
  const QuantizedOperand o = Operand(DataType::kU8, 1.0f, 0);
  const TensorView in[] = {{DataType::kU8, {4}, x.data()}, {DataType::kU8, {4}, z.data()}};
  const kernels::MutableTensorView to[] = {{DataType::kU8, {4}, x.data()}};
  QuantizedBinary(BinaryKind::kAdd, o, o, o, 4, 4)(in, to);
  EXPECT_EQ(x, (std::vector<uint8_t>{11, 22, 33, 44}));
}

TEST(QuantizedBinaryTest, WritesFloat) {
  const std::vector<uint8_t> x = {0, 100, 255};
  std::vector<float> y(3);
  const QuantizedOperand o = Operand(DataType::kU8, 0.5f, 100);
  const TensorView in[] = {{DataType::kU8, {3}, x.data()}, {DataType::kU8, {3}, x.data()}};
  const kernels::MutableTensorView to[] = {{DataType::kF32, {3}, y.data()}};
  QuantizedBinary(BinaryKind::kAdd, o, o, {DataType::kF32, {{1.0f}, {}, -1}}, 3, 3)(in, to);
  EXPECT_EQ(y, (std::vector<float>{-100.0f, 0.0f, 155.0f}));
}

TEST(QuantizedBinaryTest, RoundsTiesToEvenAndSaturates) {
  const std::vector<uint8_t> x = {1, 3, 5, 255, 0};
  std::vector<uint8_t> y(5);
  const QuantizedOperand half = Operand(DataType::kU8, 0.5f, 0), zero = Operand(DataType::kU8, 0.5f, 0),
                         one = Operand(DataType::kU8, 1.0f, 0);
  const std::vector<uint8_t> nothing = {0};
  const TensorView in[] = {{DataType::kU8, {5}, x.data()}, {DataType::kU8, {1}, nothing.data()}};
  const kernels::MutableTensorView to[] = {{DataType::kU8, {5}, y.data()}};
  QuantizedBinary(BinaryKind::kAdd, half, zero, one, 5, 1)(in, to);
  EXPECT_EQ(y, (std::vector<uint8_t>{0, 2, 2, 128, 0}));
  QuantizedBinary(BinaryKind::kAdd, one, zero, half, 5, 1)(in, to);
  EXPECT_EQ(y, (std::vector<uint8_t>{2, 6, 10, 255, 0}));
}

TEST(QuantizedGlobalAverageTest, MatchesRealArithmetic) {
  std::mt19937 random(3);
  for (const DataType tx : {DataType::kU8, DataType::kS8}) {
    for (const DataType ty : {DataType::kU8, DataType::kS8}) {
      const int64_t batch = 2, spatial = 49, channels = 37;
      const QuantizedOperand x = Operand(tx, 0.04f, tx == DataType::kU8 ? 100 : 3),
                             y = Operand(ty, 0.004f, ty == DataType::kU8 ? 77 : -9);
      const Buffer in = Random(random, tx, static_cast<size_t>(batch * spatial * channels));
      Buffer out{ty, std::vector<uint8_t>(static_cast<size_t>(batch * channels))};
      const TensorView from[] = {{tx, {batch, channels, 7, 7}, in.bytes.data()}};
      const kernels::MutableTensorView to[] = {{ty, {batch, channels, 1, 1}, out.bytes.data()}};
      QuantizedGlobalAverage(x, y, batch, spatial, channels)(from, to);
      for (int64_t n = 0; n < batch; ++n) {
        for (int64_t c = 0; c < channels; ++c) {
          double sum = 0;
          for (int64_t s = 0; s < spatial; ++s)
            sum += Real(x, in.at(static_cast<size_t>((n * spatial + s) * channels + c)));
          ExpectNearest(out.at(static_cast<size_t>(n * channels + c)), y, sum / static_cast<double>(spatial));
        }
      }
    }
  }
}

}  // namespace
}  // namespace precis::plan
