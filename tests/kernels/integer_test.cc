// Integer and bool arithmetic, where overflow and division by zero must do no harm.
#include <limits>

#include "tests/kernels/kernel_run.h"

namespace precis::kernels {
namespace {

using ir::BinaryKind;
using ir::UnaryKind;
using ::testing::ElementsAre;

template <typename T>
std::vector<T> Binary(BinaryKind kind, const std::vector<T>& a, const std::vector<T>& b) {
  return Elements<T>(RunOne(ir::Binary{kind}, {Vector<T>(a), Vector<T>(b)}));
}

template <typename T>
std::vector<T> Unary(UnaryKind kind, const std::vector<T>& x) {
  return Elements<T>(RunOne(ir::Unary{kind}, {Vector<T>(x)}));
}

constexpr int32_t kLowest = std::numeric_limits<int32_t>::lowest(), kLargest = std::numeric_limits<int32_t>::max();

TEST(IntegerTest, ArithmeticWraps) {
  EXPECT_THAT(Binary<int32_t>(BinaryKind::kAdd, {kLargest, 1}, {1, 2}), ElementsAre(kLowest, 3));
  EXPECT_THAT(Binary<uint8_t>(BinaryKind::kSub, {1}, {2}), ElementsAre(255));
  EXPECT_THAT(Binary<uint16_t>(BinaryKind::kMul, {65535}, {65535}), ElementsAre(1));
  EXPECT_THAT(Unary<int32_t>(UnaryKind::kNeg, {kLowest, 3}), ElementsAre(kLowest, -3));
  EXPECT_THAT(Unary<int32_t>(UnaryKind::kAbs, {kLowest, -3}), ElementsAre(kLowest, 3));
}

TEST(IntegerTest, DivisionTruncatesAndSurvivesItsCorners) {
  EXPECT_THAT(Binary<int32_t>(BinaryKind::kDiv, {-7, 7, kLowest, 5}, {2, -2, -1, 0}), ElementsAre(-3, -3, kLowest, 0));
  EXPECT_THAT(Binary<int32_t>(BinaryKind::kMod, {-7, 7, kLowest, 5}, {3, -3, -1, 0}), ElementsAre(2, -2, 0, 0));
  EXPECT_THAT(Binary<int32_t>(BinaryKind::kFmod, {-7, 7}, {3, -3}), ElementsAre(-1, 1));
  EXPECT_THAT(Binary<uint64_t>(BinaryKind::kDiv, {7}, {2}), ElementsAre(3));
}

TEST(IntegerTest, PowersOfEveryType) {
  EXPECT_THAT(Binary<int64_t>(BinaryKind::kPow, {3, -2, 2, -1}, {39, 3, -1, -3}),
              ElementsAre(4052555153018976267, -8, 0, -1));
  EXPECT_THAT(
      Elements<int32_t>(RunOne(ir::Binary{BinaryKind::kPow}, {Vector<int32_t>({2, 9}), Vector<float>({3, 0.5f})})),
      ElementsAre(8, 3));
  EXPECT_THAT(Elements<float>(RunOne(ir::Binary{BinaryKind::kPow}, {Vector<float>({2, 9}), Vector<int64_t>({-1, 2})})),
              ElementsAre(0.5f, 81));
}

TEST(IntegerTest, BitsAndShifts) {
  EXPECT_THAT(Binary<uint8_t>(BinaryKind::kShiftLeft, {129, 1}, {1, 200}), ElementsAre(2, 0));
  EXPECT_THAT(Binary<uint64_t>(BinaryKind::kShiftRight, {16, 1}, {3, 64}), ElementsAre(2, 0));
  EXPECT_THAT(Binary<int32_t>(BinaryKind::kBitwiseXor, {6, -1}, {3, 1}), ElementsAre(5, -2));
  EXPECT_THAT(Unary<uint8_t>(UnaryKind::kBitwiseNot, {1}), ElementsAre(254));
}

TEST(IntegerTest, SignsAndRelu) {
  EXPECT_THAT(Unary<int64_t>(UnaryKind::kSign, {-9, 0, 9}), ElementsAre(-1, 0, 1));
  EXPECT_THAT(Unary<int8_t>(UnaryKind::kRelu, {-9, 9}), ElementsAre(0, 9));
  EXPECT_THAT(Unary<uint8_t>(UnaryKind::kSign, {0, 9}), ElementsAre(0, 1));
}

TEST(IntegerTest, BoolLogic) {
  const Tensor a = Vector<bool>({true, true, false}), b = Vector<bool>({true, false, false});
  EXPECT_THAT(Elements<bool>(RunOne(ir::Binary{BinaryKind::kAnd}, {a, b})), ElementsAre(true, false, false));
  EXPECT_THAT(Elements<bool>(RunOne(ir::Binary{BinaryKind::kXor}, {a, b})), ElementsAre(false, true, false));
  EXPECT_THAT(Elements<bool>(RunOne(ir::Binary{BinaryKind::kEqual}, {a, b})), ElementsAre(true, false, true));
  EXPECT_THAT(Elements<bool>(RunOne(ir::Unary{UnaryKind::kNot}, {a})), ElementsAre(false, false, true));
}

TEST(IntegerTest, MatrixProductsAreExact) {
  const Tensor a = Tensor::From<int32_t>({2, 2}, {1 << 30, 1, 2, 3}), b = Tensor::From<int32_t>({2, 1}, {1, 5});
  EXPECT_THAT(Elements<int32_t>(RunOne(ir::MatMul{}, {a, b})), ElementsAre((1 << 30) + 5, 17));
  const Tensor filter = Tensor::From<int32_t>({1, 1, 2}, {1, -1});
  EXPECT_THAT(Elements<int32_t>(RunOne(ir::Conv{}, {Tensor::From<int32_t>({1, 1, 3}, {5, 3, 9}), filter})),
              ElementsAre(2, -6));
}

TEST(IntegerTest, UnclaimedTypesAreNamed) {
  const auto result = TryRun(ir::Unary{UnaryKind::kExp}, {Vector<int32_t>({1})});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(result.status().message(), "no plain kernel for Exp of s32 to s32");
}

}  // namespace
}  // namespace precis::kernels
