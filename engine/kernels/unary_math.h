#ifndef PRECIS_ENGINE_KERNELS_UNARY_MATH_H_
#define PRECIS_ENGINE_KERNELS_UNARY_MATH_H_

// The scalar functions behind ir::Unary, once, for floats of any width (ONNX opset 22; tanh GELU: Hendrycks and Gimpel, arXiv:1606.08415).

#include <cmath>
#include <type_traits>

#include "engine/ir/op.h"

namespace precis::kernels {

// Value of the function `K` with parameters a (alpha) and b (beta). Predicates (IsNaN, IsInf, Not) are not among them: see unary.cc.
template <ir::UnaryKind K, typename T>
[[gnu::always_inline]] inline T UnaryValue(T x, T a, T b) {
  using enum ir::UnaryKind;
  constexpr T kZero{0}, kOne{1}, kHalf = T(0.5);
  if constexpr (K == kRelu)
    return x < kZero ? kZero : x;  // NaN stays
  else if constexpr (K == kLeakyRelu)
    return x < kZero ? a * x : x;
  else if constexpr (K == kElu)
    return x < kZero ? a * std::expm1(x) : x;
  else if constexpr (K == kSelu)
    return b * (x <= kZero ? a * std::expm1(x) : x);
  else if constexpr (K == kCelu)
    return x < kZero ? a * std::expm1(x / a) : x;
  else if constexpr (K == kThresholdedRelu)
    return x > a ? x : kZero;
  else if constexpr (K == kClip) {
    const T low = x < a ? a : x;
    return low > b ? b : low;
  } else if constexpr (K == kSigmoid)
    return kOne / (kOne + std::exp(-x));
  else if constexpr (K == kHardSigmoid) {
    const T y = a * x + b;
    return y < kZero ? kZero : y > kOne ? kOne : y;
  } else if constexpr (K == kHardSwish) {
    const T y = x / T(6) + kHalf;
    return x * (y < kZero ? kZero : y > kOne ? kOne : y);
  } else if constexpr (K == kSilu)
    return x / (kOne + std::exp(-x));
  else if constexpr (K == kMish)
    return x * std::tanh(x > T(20) ? x : std::log1p(std::exp(x)));
  else if constexpr (K == kTanh)
    return std::tanh(x);
  else if constexpr (K == kGeluErf)
    return kHalf * x * (kOne + std::erf(x * T(0.70710678118654752440)));
  else if constexpr (K == kGeluTanh)
    return kHalf * x * (kOne + std::tanh(T(0.79788456080286535588) * (x + T(0.044715) * x * x * x)));
  else if constexpr (K == kSoftplus)
    return (x > kZero ? x : kZero) + std::log1p(std::exp(-std::abs(x)));
  else if constexpr (K == kSoftsign)
    return x / (kOne + std::abs(x));
  else if constexpr (K == kErf)
    return std::erf(x);
  else if constexpr (K == kExp)
    return std::exp(x);
  else if constexpr (K == kLog)
    return std::log(x);
  else if constexpr (K == kSqrt)
    return std::sqrt(x);
  else if constexpr (K == kReciprocal)
    return kOne / x;
  else if constexpr (K == kAbs)
    return std::abs(x);
  else if constexpr (K == kNeg)
    return -x;
  else if constexpr (K == kSign)
    return x > kZero ? kOne : x < kZero ? -kOne : x;  // zero and NaN stay
  else if constexpr (K == kFloor)
    return std::floor(x);
  else if constexpr (K == kCeil)
    return std::ceil(x);
  else if constexpr (K == kRound)
    return std::nearbyint(x);
  else if constexpr (K == kSin)
    return std::sin(x);
  else if constexpr (K == kCos)
    return std::cos(x);
  else if constexpr (K == kTan)
    return std::tan(x);
  else if constexpr (K == kAsin)
    return std::asin(x);
  else if constexpr (K == kAcos)
    return std::acos(x);
  else if constexpr (K == kAtan)
    return std::atan(x);
  else if constexpr (K == kSinh)
    return std::sinh(x);
  else if constexpr (K == kCosh)
    return std::cosh(x);
  else if constexpr (K == kAsinh)
    return std::asinh(x);
  else if constexpr (K == kAcosh)
    return std::acosh(x);
  else if constexpr (K == kAtanh)
    return std::atanh(x);
  else if constexpr (K == kLinear)
    return a * x + b;
  else if constexpr (K == kShrink)
    return x < -a ? x + b : x > a ? x - b : kZero;
  else
    static_assert(!std::is_same_v<T, T>, "a Unary without a value");
}

// Calls f.template operator()<K>() for the kind at run time; false for the predicates, which have no such value.
template <typename F>
bool VisitUnaryKind(ir::UnaryKind kind, F f) {
  using enum ir::UnaryKind;
  switch (kind) {
    // clang-format off
#define PRECIS_KIND(K) \
  case K: f.template operator()<K>(); return true;
    PRECIS_KIND(kRelu) PRECIS_KIND(kLeakyRelu) PRECIS_KIND(kElu) PRECIS_KIND(kSelu) PRECIS_KIND(kCelu)
    PRECIS_KIND(kThresholdedRelu) PRECIS_KIND(kClip) PRECIS_KIND(kSigmoid) PRECIS_KIND(kHardSigmoid)
    PRECIS_KIND(kHardSwish) PRECIS_KIND(kSilu) PRECIS_KIND(kMish) PRECIS_KIND(kTanh) PRECIS_KIND(kGeluErf)
    PRECIS_KIND(kGeluTanh) PRECIS_KIND(kSoftplus) PRECIS_KIND(kSoftsign) PRECIS_KIND(kErf) PRECIS_KIND(kExp)
    PRECIS_KIND(kLog) PRECIS_KIND(kSqrt) PRECIS_KIND(kReciprocal) PRECIS_KIND(kAbs) PRECIS_KIND(kNeg)
    PRECIS_KIND(kSign) PRECIS_KIND(kFloor) PRECIS_KIND(kCeil) PRECIS_KIND(kRound) PRECIS_KIND(kSin) PRECIS_KIND(kCos)
    PRECIS_KIND(kTan) PRECIS_KIND(kAsin) PRECIS_KIND(kAcos) PRECIS_KIND(kAtan) PRECIS_KIND(kSinh) PRECIS_KIND(kCosh)
    PRECIS_KIND(kAsinh) PRECIS_KIND(kAcosh) PRECIS_KIND(kAtanh) PRECIS_KIND(kLinear) PRECIS_KIND(kShrink)
#undef PRECIS_KIND
      // clang-format on
      case kNot:
  case kBitwiseNot:
  case kIsNan:
  case kIsInf: return false;
  }
  return false;
}

}  // namespace precis::kernels

#endif  // PRECIS_ENGINE_KERNELS_UNARY_MATH_H_
