// Weights of every scheme, granularity and layout: which levels they take, where the scales lie, and what they lose.
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "engine/quant/weights.h"
#include "gtest/gtest.h"

namespace precis::quant {
namespace {

constexpr WeightScheme kSchemes[] = {WeightScheme::kLog2, WeightScheme::kCodebook, WeightScheme::kTernary,
                                     WeightScheme::kBinary};

enum class Kind { kGaussian, kUniform, kLaplace, kHeavyTails };

Tensor RandomWeights(const Shape& shape, Kind kind = Kind::kGaussian, uint32_t seed = 9) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::exponential_distribution<float> exponential;
  std::student_t_distribution<float> wide(3);
  Tensor w(DataType::kF32, shape);
  for (float& x : w.As<float>()) {
    switch (kind) {
      case Kind::kGaussian: x = normal(random); break;
      case Kind::kUniform: x = uniform(random); break;
      case Kind::kLaplace: x = std::copysign(exponential(random), uniform(random)); break;
      case Kind::kHeavyTails: x = wide(random); break;
    }
  }
  return w;
}

QuantizedWeights Quantize(const Tensor& w, int axis, WeightScheme scheme, int bits,
                          Granularity granularity = Granularity::kPerChannel, const Chunks& chunks = {},
                          bool has_vnni = true) {
  return QuantizeByPolicy(w, axis, {.scheme = scheme, .bits = bits, .granularity = granularity}, has_vnni, chunks);
}
QuantizedWeights Quantize(const Tensor& w, int axis, WeightScheme scheme,
                          Granularity granularity = Granularity::kPerChannel, const Chunks& chunks = {}) {
  return Quantize(w, axis, scheme, BitsOf(scheme).usual, granularity, chunks);
}

double ErrorOf(const Tensor& w, const QuantizedWeights& q) {
  const std::vector<float> real = ir::RealValues(q.values, q.params);
  double sum = 0;
  for (size_t i = 0; i < real.size(); ++i) sum += std::pow(static_cast<double>(real[i]) - w.As<float>()[i], 2);
  return sum / static_cast<double>(real.size());
}

std::set<int> LevelsOf(const QuantizedWeights& q) {
  const auto levels = q.values.As<int8_t>();
  return {levels.begin(), levels.end()};
}

// Which scale of `params` an element of weights [6, 10, 3, 3] or [6, 10] has.
size_t ScaleOf(const Tensor& w, const ir::QuantParams& params, int64_t i) {
  if (params.per_tensor()) return 0;
  const int64_t inner = w.num_elements() / 60, row = i / inner / 10, column = i / inner % 10;
  const int64_t channels = params.axis == 0 ? 6 : 10, channel = params.axis == 0 ? row : column;
  const int64_t input = params.axis == 0 ? column : row;
  return static_cast<size_t>((params.chunk > 0 ? input / params.chunk : 0) * channels + channel);
}

TEST(WeightSchemesTest, LevelsAreThoseOfTheScheme) {
  const Tensor w = RandomWeights({16, 300});
  EXPECT_EQ(LevelsOf(Quantize(w, 0, WeightScheme::kBinary)), (std::set{-1, 1}));
  EXPECT_EQ(LevelsOf(Quantize(w, 0, WeightScheme::kTernary)), (std::set{-1, 0, 1}));
  EXPECT_EQ(LevelsOf(Quantize(w, 0, WeightScheme::kLog2, 2)), (std::set{-1, 0, 1}));
  EXPECT_EQ(LevelsOf(Quantize(w, 0, WeightScheme::kLog2, 3)), (std::set{-4, -2, -1, 0, 1, 2, 4}));
  EXPECT_EQ(LevelsOf(Quantize(w, 0, WeightScheme::kLog2, 4)),
            (std::set{-64, -32, -16, -8, -4, -2, -1, 0, 1, 2, 4, 8, 16, 32, 64}));
  for (int bits = 2; bits <= 8; ++bits) {
    const QuantizedWeights q = Quantize(w, 0, WeightScheme::kCodebook, bits);
    for (size_t row = 0; row < 16; ++row) {
      const auto levels = q.values.As<int8_t>().subspan(row * 300, 300);
      EXPECT_LE(std::set(levels.begin(), levels.end()).size(), size_t{1} << bits);
    }
  }
}

TEST(WeightSchemesTest, LevelsFitPairsOfS16ProductsWithoutVnni) {
  const Tensor w = RandomWeights({16, 300});
  for (const WeightScheme scheme : kSchemes) {
    for (const int level : LevelsOf(Quantize(w, 0, scheme, BitsOf(scheme).usual, Granularity::kPerChannel, {}, false)))
      EXPECT_LE(255 * std::abs(level) * 2, std::numeric_limits<int16_t>::max());
  }
}

// Whatever shares a scale, in whichever layout, is fitted as if it stood alone.
TEST(WeightSchemesTest, WeightsThatShareAScaleAreFittedTogether) {
  for (const WeightScheme scheme : kSchemes) {
    for (const Shape& shape : {Shape{6, 10}, Shape{6, 10, 3, 3}}) {
      const Tensor w = RandomWeights(shape);
      for (const int axis : {0, 1}) {
        for (const auto granularity : {Granularity::kPerChannel, Granularity::kPerTensor}) {
          for (const Chunks& chunks : {Chunks{}, Chunks{4, true}, Chunks{4, false}}) {
            const QuantizedWeights q = Quantize(w, axis, scheme, granularity, chunks);
            const auto key = [&](int64_t i) {
              const size_t scale = ScaleOf(w, q.params, i), channels = axis == 0 ? 6 : 10;
              if (granularity == Granularity::kPerTensor) return chunks.own_scales ? scale / channels : 0;
              return chunks.own_scales ? scale : scale % channels;
            };
            std::map<size_t, std::vector<float>> groups;
            std::map<size_t, std::vector<int8_t>> levels;
            for (int64_t i = 0; i < w.num_elements(); ++i) {
              groups[key(i)].push_back(w.As<float>()[static_cast<size_t>(i)]);
              levels[key(i)].push_back(q.values.As<int8_t>()[static_cast<size_t>(i)]);
            }
            for (int64_t i = 0; i < w.num_elements(); ++i) {
              std::vector<float>& group = groups[key(i)];
              if (group.empty()) continue;
              const auto size = static_cast<int64_t>(group.size());
              const QuantizedWeights alone =
                  Quantize(Tensor::From<float>({1, size}, group), 0, scheme, Granularity::kPerTensor);
              EXPECT_EQ(alone.params.scale(), q.params.scales[ScaleOf(w, q.params, i)]);
              const auto expected = alone.values.As<int8_t>();
              EXPECT_TRUE(std::equal(expected.begin(), expected.end(), levels[key(i)].begin()));
              group.clear();
            }
          }
        }
      }
    }
  }
}

TEST(WeightSchemesTest, CodebooksLoseNoMoreThanEvenLevelsOfAsManyBits) {
  for (const Kind kind : {Kind::kGaussian, Kind::kUniform, Kind::kLaplace, Kind::kHeavyTails}) {
    for (const Shape& shape : {Shape{32, 400}, Shape{256, 9}}) {
      const Tensor w = RandomWeights(shape, kind);
      for (int bits = 2; bits <= 8; ++bits) {
        EXPECT_LE(ErrorOf(w, Quantize(w, 0, WeightScheme::kCodebook, bits)),
                  ErrorOf(w, Quantize(w, 0, WeightScheme::kAffine, bits)))
            << bits << " bits, kind " << static_cast<int>(kind);
      }
    }
  }
}

TEST(WeightSchemesTest, ErrorsOnGaussianWeightsAreThoseOfTheLiterature) {
  // J. Max, "Quantizing for minimum distortion", 1960, table I: 2, 3 (by symmetry the ternary one), 4, 8 and 16 levels.
  const Tensor w = RandomWeights({1, 200000});
  EXPECT_NEAR(ErrorOf(w, Quantize(w, 0, WeightScheme::kBinary)), 0.3634, 0.004);
  EXPECT_NEAR(ErrorOf(w, Quantize(w, 0, WeightScheme::kTernary)), 0.1902, 0.003);
  EXPECT_NEAR(ErrorOf(w, Quantize(w, 0, WeightScheme::kCodebook, 2)), 0.1175, 0.002);
  EXPECT_NEAR(ErrorOf(w, Quantize(w, 0, WeightScheme::kCodebook, 3)), 0.03454, 0.0005);
  EXPECT_NEAR(ErrorOf(w, Quantize(w, 0, WeightScheme::kCodebook, 4)), 0.009497, 0.0002);
}

TEST(WeightSchemesTest, TernaryLosesNoMoreThanTwoAffineBits) {
  const Tensor w = RandomWeights({64, 100}, Kind::kLaplace);
  const double ternary = ErrorOf(w, Quantize(w, 0, WeightScheme::kTernary));
  EXPECT_LE(ternary, ErrorOf(w, Quantize(w, 0, WeightScheme::kAffine, 2)));
  EXPECT_LT(ternary, ErrorOf(w, Quantize(w, 0, WeightScheme::kBinary)));
  EXPECT_EQ(ternary, ErrorOf(w, Quantize(w, 0, WeightScheme::kLog2, 2)));
}

TEST(WeightSchemesTest, ChannelsOfZerosStayZero) {
  const Tensor w = Tensor::From<float>({2, 3}, {0, 0, 0, 1, -2, 3});
  for (const WeightScheme scheme : kSchemes) {
    const QuantizedWeights q = Quantize(w, 0, scheme);
    for (size_t i = 0; i < 3; ++i) EXPECT_LE(std::fabs(ir::RealValues(q.values, q.params)[i]), 1e-37f);
    EXPECT_TRUE(std::isnormal(q.params.scales[0]));
  }
}

}  // namespace
}  // namespace precis::quant
