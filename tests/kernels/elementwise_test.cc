// Unary, Binary, Where and Clip on floats: every function against the reference, every way of broadcasting.
#include <cmath>
#include <limits>

#include "engine/base/float16.h"
#include "engine/kernels/cast.h"
#include "tests/kernels/kernel_run.h"
#include "tests/support/graph_builder.h"

namespace precis::kernels {
namespace {

using ir::BinaryKind;
using ir::UnaryKind;
using ::testing::ElementsAre;
using testing::RandomTensor;

constexpr uint32_t kSeed = 7;
constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

Tensor As(DataType type, const Tensor& tensor) {
  Tensor cast(type, tensor.shape());
  FindCast(tensor.dtype(), type)(tensor.data(), cast.data(), tensor.num_elements());
  return cast;
}

// Where a function is defined.
std::pair<float, float> Domain(UnaryKind kind) {
  switch (kind) {
    case UnaryKind::kLog:
    case UnaryKind::kSqrt:
    case UnaryKind::kReciprocal: return {0.1f, 9.0f};
    case UnaryKind::kAsin:
    case UnaryKind::kAcos:
    case UnaryKind::kAtanh: return {-0.95f, 0.95f};
    case UnaryKind::kAcosh: return {1.05f, 9.0f};
    case UnaryKind::kTan: return {-1.2f, 1.2f};
    default: return {-4.0f, 4.0f};
  }
}

class UnaryTest : public ::testing::TestWithParam<int> {};

TEST_P(UnaryTest, MatchesTheReferenceInEveryFloatType) {
  const auto kind = static_cast<UnaryKind>(GetParam());
  std::mt19937 random(kSeed);
  const auto [low, high] = Domain(kind);
  const ir::Unary op{kind, 0.4f, kind == UnaryKind::kClip ? 1.3f : 0.6f};
  const Tensor x = RandomTensor(random, {3, 67}, low, high);
  std::vector<Tensor> f32, f64, f16;
  f32.push_back(x.Clone());
  f64.push_back(As(DataType::kF64, x));
  f16.push_back(As(DataType::kF16, x));
  ExpectMatchesReference(op, f32, 2e-6);
  ExpectMatchesReference(op, f64, 1e-7);
  ExpectMatchesReference(op, f16, 1e-3);  // one rounding to 11 bits
}

constexpr int kFirstPredicate = static_cast<int>(UnaryKind::kNot), kLinear = static_cast<int>(UnaryKind::kLinear);
INSTANTIATE_TEST_SUITE_P(Functions, UnaryTest, ::testing::Range(0, kFirstPredicate));
INSTANTIATE_TEST_SUITE_P(Lines, UnaryTest, ::testing::Range(kLinear, static_cast<int>(UnaryKind::kShrink) + 1));

TEST(UnaryKernelTest, NanAndInfinityPassThrough) {
  const Tensor x = Vector<float>({kNan, kInfinity, -kInfinity});
  const Tensor relu = RunOne(ir::Unary{UnaryKind::kRelu}, {x});
  EXPECT_TRUE(std::isnan(relu.As<float>()[0]));
  EXPECT_EQ(relu.As<float>()[1], kInfinity);
  EXPECT_THAT(Elements<bool>(RunOne(ir::Unary{UnaryKind::kIsNan}, {x})), ElementsAre(true, false, false));
  EXPECT_THAT(Elements<bool>(RunOne(ir::Unary{UnaryKind::kIsInf, 1, 1}, {x})), ElementsAre(false, true, true));
  EXPECT_THAT(Elements<bool>(RunOne(ir::Unary{UnaryKind::kIsInf, 1, 0}, {x})), ElementsAre(false, false, true));
  EXPECT_THAT(Elements<float>(RunOne(ir::Unary{UnaryKind::kSoftplus}, {Vector<float>({-200, 200})})),
              ElementsAre(0, 200));
  EXPECT_THAT(Elements<float>(RunOne(ir::Unary{UnaryKind::kSigmoid}, {Vector<float>({-200, 200})})), ElementsAre(0, 1));
}

TEST(UnaryKernelTest, RoundBreaksTiesToEven) {
  EXPECT_THAT(Elements<float>(RunOne(ir::Unary{UnaryKind::kRound}, {Vector<float>({0.5f, 1.5f, 2.5f, -0.5f, -1.5f})})),
              ElementsAre(0, 2, 2, 0, -2));
}

class BinaryTest : public ::testing::TestWithParam<int> {};

TEST_P(BinaryTest, MatchesTheReferenceHoweverItBroadcasts) {
  const auto kind = static_cast<BinaryKind>(GetParam());
  std::mt19937 random(kSeed);
  const std::pair<Shape, Shape> shapes[] = {{{2, 3, 35}, {2, 3, 35}},
                                            {{2, 3, 35}, {}},
                                            {{}, {2, 3, 35}},
                                            {{2, 3, 35}, {35}},
                                            {{2, 3, 35}, {3, 1}},
                                            {{2, 1, 35}, {3, 1}},
                                            {{35}, {2, 3, 1}},
                                            {{2, 1, 2, 1}, {1, 3, 1, 4}},
                                            {{1}, {1, 1}},
                                            {{0, 3}, {3}}};
  for (const auto& [a, b] : shapes) {
    // Positive where a sign would make the function undefined or its rounding jump.
    const bool positive =
        kind == BinaryKind::kPow || kind == BinaryKind::kDiv || kind == BinaryKind::kMod || kind == BinaryKind::kFmod;
    for (DataType type : {DataType::kF32, DataType::kF64}) {
      std::vector<Tensor> inputs;
      inputs.push_back(As(type, RandomTensor(random, a, positive ? 0.2f : -2.0f, 2.0f)));
      inputs.push_back(As(type, RandomTensor(random, b, positive ? 0.2f : -2.0f, 2.0f)));
      ExpectMatchesReference(ir::Binary{kind}, inputs, 1e-5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Arithmetic, BinaryTest, ::testing::Range(0, static_cast<int>(BinaryKind::kAnd)));

TEST(BinaryKernelTest, ComparesFloats) {
  const Tensor a = Vector<float>({1, 2, kNan}), b = Vector<float>({1, 3, kNan});
  EXPECT_THAT(Elements<bool>(RunOne(ir::Binary{BinaryKind::kEqual}, {a, b})), ElementsAre(true, false, false));
  EXPECT_THAT(Elements<bool>(RunOne(ir::Binary{BinaryKind::kLess}, {a, b})), ElementsAre(false, true, false));
  EXPECT_THAT(Elements<bool>(RunOne(ir::Binary{BinaryKind::kGreaterEqual}, {a, b})), ElementsAre(true, false, false));
}

TEST(BinaryKernelTest, ExtremesPassNanOn) {
  const Tensor a = Vector<float>({kNan, 1}), b = Vector<float>({2, kNan});
  for (BinaryKind kind : {BinaryKind::kMin, BinaryKind::kMax}) {
    const Tensor y = RunOne(ir::Binary{kind}, {a, b});
    EXPECT_TRUE(std::isnan(y.As<float>()[0]) && std::isnan(y.As<float>()[1]));
  }
}

TEST(BinaryKernelTest, RemainderFollowsDivisorOrDividend) {
  const Tensor a = Vector<float>({-7, 7}), b = Vector<float>({3, -3});
  EXPECT_THAT(Elements<float>(RunOne(ir::Binary{BinaryKind::kMod}, {a, b})), ElementsAre(2, -2));
  EXPECT_THAT(Elements<float>(RunOne(ir::Binary{BinaryKind::kFmod}, {a, b})), ElementsAre(-1, 1));
}

TEST(SelectTest, WhereBroadcastsAllThree) {
  const Tensor condition = Tensor::From<bool>({2, 1}, {true, false}), x = Vector<int64_t>({1, 2}),
               y = Tensor::From<int64_t>({}, {9});
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Where{}, {condition, x, y})), ElementsAre(1, 2, 9, 9));
}

TEST(SelectTest, ClipTakesOneBoundOrBoth) {
  const Tensor x = Vector<int64_t>({-5, 0, 5}), low = Tensor::From<int64_t>({}, {-1}),
               high = Tensor::From<int64_t>({}, {1});
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Clip{}, {x, low, high})), ElementsAre(-1, 0, 1));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Clip{}, {x, {}, high})), ElementsAre(-5, 0, 1));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::Clip{}, {x})), ElementsAre(-5, 0, 5));
}

}  // namespace
}  // namespace precis::kernels
