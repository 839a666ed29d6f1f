#ifndef PRECIS_ENGINE_ACCUMULATE_FORMATS_H_
#define PRECIS_ENGINE_ACCUMULATE_FORMATS_H_

// The number formats of accumulators, for loops that the compiler vectorises. Every format is emulated in double, which holds the sum of a
// narrow sum and a narrow addend exactly or, where their exponents lie further apart than its 53 bits, so nearly that rounding it again goes the
// same way.

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "engine/ir/accumulation.h"

namespace precis::accumulate {

using ir::Accumulator;

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Binary floating point with IEEE 754's special values: kMantissa explicit bits, normal exponents kLowest to kHighest.
template <int kMantissa, int kLowest, int kHighest>
struct NarrowFloat {
  static constexpr bool kSaturates = false;

  [[gnu::always_inline]] static double Round(double value) {
    // Adding and taking away 1.5 * 2^52 units rounds to the unit of subnormals.
    constexpr double kBias = Power(kLowest - kMantissa) * 0x1.8p52;
    const double subnormal = (value + kBias) - kBias;
    constexpr int kDropped = 52 - kMantissa;
    const uint64_t bits = std::bit_cast<uint64_t>(value);
    const uint64_t half = (uint64_t{1} << (kDropped - 1)) - 1 + ((bits >> kDropped) & 1);  // ties to even
    const double normal = std::bit_cast<double>((bits + half) & ~((uint64_t{1} << kDropped) - 1));
    // Not below: NaN, whose bits must not be rounded, goes this way too.
    const double rounded = std::abs(value) >= Power(kLowest) ? normal : subnormal;
    constexpr double kLargest = (2 - Power(-kMantissa)) * Power(kHighest);
    return std::abs(rounded) > kLargest ? std::copysign(kInfinity, value) : rounded;
  }

 private:
  static constexpr double Power(int exponent) {
    double power = 1;
    for (int i = 0; i < exponent; ++i) power *= 2;
    for (int i = 0; i > exponent; --i) power /= 2;
    return power;
  }
};

struct Saturating16 {
  static constexpr bool kSaturates = true;
  [[gnu::always_inline]] static double Round(double value) {
    return value < -32768 ? -32768 : value > 32767 ? 32767 : value;
  }
};

struct Float32 {
  static constexpr bool kSaturates = false;
  [[gnu::always_inline]] static double Round(double value) { return static_cast<double>(static_cast<float>(value)); }
};

// f(format) of the accumulator.
template <typename F>
auto Visit(Accumulator accumulator, F f) {
  switch (accumulator) {
    case Accumulator::kF16: return f(NarrowFloat<10, -14, 15>());
    case Accumulator::kBF16: return f(NarrowFloat<7, -126, 127>());
    case Accumulator::kFp16_169: return f(NarrowFloat<9, -30, 31>());
    case Accumulator::kF32: return f(Float32());
    case Accumulator::kS16: break;
  }
  return f(Saturating16());
}

}  // namespace precis::accumulate

#endif  // PRECIS_ENGINE_ACCUMULATE_FORMATS_H_
