// Elementwise operators of two operands with numpy broadcasting. Broadcast dimensions are strides of 0; after merging, what is left is
// long rows in which each operand either advances by one or stands still, and those rows are the loops worth vectorising.
#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>

#include "engine/ir/shape_rules.h"
#include "engine/kernels/element.h"
#include "engine/kernels/make.h"
#include "engine/kernels/multiversion.h"
#include "engine/kernels/nest.h"

namespace precis::kernels {
namespace {

using ir::BinaryKind;

// b to the power of an integer; wraps on overflow; a negative exponent leaves the truncated fraction.
template <typename T, typename E>
T IntegerPower(T base, E exponent) {
  if (exponent < E{0}) {
    if (base == T{1}) return T{1};
    if (std::is_signed_v<T> && base == static_cast<T>(-1)) return exponent % 2 == 0 ? T{1} : static_cast<T>(-1);
    return T{0};
  }
  uint64_t result = 1, square = static_cast<uint64_t>(base);
  for (auto left = static_cast<uint64_t>(exponent); left != 0; left >>= 1, square *= square) {
    if (left & 1) result *= square;
  }
  return static_cast<T>(result);
}

// Integer arithmetic wraps; dividing by zero gives 0, as a kernel has no way to fail.
template <BinaryKind K, typename T>
[[gnu::always_inline]] inline auto BinaryValue(T a, T b) {
  using enum BinaryKind;
  constexpr bool kIsFloat = std::is_floating_point_v<T>;
  using U = typename std::conditional_t<kIsFloat, std::type_identity<T>,
                                        std::make_unsigned<std::conditional_t<kIsFloat, int, T>>>::type;
  if constexpr (K == kAdd)
    return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
  else if constexpr (K == kSub)
    return static_cast<T>(static_cast<U>(a) - static_cast<U>(b));
  else if constexpr (K == kMul && kIsFloat)
    return a * b;
  else if constexpr (K == kMul)
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else if constexpr (K == kDiv && kIsFloat)
    return a / b;
  else if constexpr (K == kDiv) {
    if (b == T{0}) return T{0};
    if (std::is_signed_v<T> && b == static_cast<T>(-1)) return static_cast<T>(U{0} - static_cast<U>(a));
    return static_cast<T>(a / b);
  } else if constexpr (K == kMin)
    return a < b || a != a ? a : b;  // NaN wins
  else if constexpr (K == kMax)
    return a > b || a != a ? a : b;
  else if constexpr ((K == kMod || K == kFmod) && kIsFloat) {
    const T r = std::fmod(a, b);
    return K == kMod && r != T{0} && (r < T{0}) != (b < T{0}) ? r + b : r;
  } else if constexpr (K == kMod || K == kFmod) {
    if (b == T{0} || (std::is_signed_v<T> && b == static_cast<T>(-1))) return T{0};
    const T r = static_cast<T>(a % b);
    return K == kMod && r != T{0} && (r < T{0}) != (b < T{0}) ? static_cast<T>(r + b) : r;
  } else if constexpr (K == kPrelu)
    return a < T{0} ? static_cast<T>(a * b) : a;
  else if constexpr (K == kEqual)
    return static_cast<uint8_t>(a == b);
  else if constexpr (K == kLess)
    return static_cast<uint8_t>(a < b);
  else if constexpr (K == kLessEqual)
    return static_cast<uint8_t>(a <= b);
  else if constexpr (K == kGreater)
    return static_cast<uint8_t>(a > b);
  else if constexpr (K == kGreaterEqual)
    return static_cast<uint8_t>(a >= b);
  else if constexpr (K == kBitwiseAnd || K == kAnd)
    return static_cast<T>(a & b);
  else if constexpr (K == kBitwiseOr || K == kOr)
    return static_cast<T>(a | b);
  else if constexpr (K == kBitwiseXor || K == kXor)
    return static_cast<T>(a ^ b);
  else if constexpr (K == kShiftLeft)
    return b < static_cast<T>(8 * sizeof(T)) ? static_cast<T>(static_cast<uint64_t>(a) << b) : T{0};
  else if constexpr (K == kShiftRight)
    return b < static_cast<T>(8 * sizeof(T)) ? static_cast<T>(a >> b) : T{0};
  else
    static_assert(!std::is_same_v<T, T>, "a Binary without a value");
}

// One row: operand strides are 0 or 1 almost always, and then the loop is as simple as it can be.
template <BinaryKind K, typename T, typename R>
struct Row {
  [[gnu::always_inline]] static void Run(const T* a, int64_t a_stride, const T* b, int64_t b_stride, R* out,
                                         int64_t count) {
    if (a_stride == 1 && b_stride == 1) {
      for (int64_t i = 0; i < count; ++i) out[i] = BinaryValue<K>(a[i], b[i]);
    } else if (a_stride == 1 && b_stride == 0) {
      const T fixed = *b;
      for (int64_t i = 0; i < count; ++i) out[i] = BinaryValue<K>(a[i], fixed);
    } else if (a_stride == 0 && b_stride == 1) {
      const T fixed = *a;
      for (int64_t i = 0; i < count; ++i) out[i] = BinaryValue<K>(fixed, b[i]);
    } else {
      for (int64_t i = 0; i < count; ++i) out[i] = BinaryValue<K>(a[i * a_stride], b[i * b_stride]);
    }
  }
};

Nest OperandNest(const KernelSpec& spec) {
  const Shape& out = spec.outputs[0].shape;
  return Nest(out, {ir::BroadcastStrides(spec.inputs[0].shape, out), ir::BroadcastStrides(spec.inputs[1].shape, out),
                    RowMajorStrides(out)});
}

template <BinaryKind K, typename T>
absl::StatusOr<Kernel> MakeRows(const KernelSpec& spec) {
  using R = decltype(BinaryValue<K>(T{}, T{}));
  using Body = Row<K, T, R>;
  // One version of every loop for every type would be a megabyte of code; f32 is where the time goes.
  auto* row = &Body::Run;
  if constexpr (std::is_same_v<T, float>) row = Best<Body>(&Body::Run);
  return Kernel(
      [row, nest = OperandNest(spec)](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
        const T *a = static_cast<const T*>(in[0].data), *b = static_cast<const T*>(in[1].data);
        R* y = static_cast<R*>(out[0].data);
        Walk<3>(nest, 1, [&](const auto& at) {
          row(a + at[0], nest.inner_stride(0), b + at[1], nest.inner_stride(1), y + at[2], nest.inner_size());
        });
      });
}

// The exponent may be of another type than the base.
absl::StatusOr<Kernel> MakePower(const KernelSpec& spec) {
  const auto with_types = [&](auto base_tag, auto exponent_tag) -> absl::StatusOr<Kernel> {
    using T = typename decltype(base_tag)::type;
    using E = typename decltype(exponent_tag)::type;
    return Kernel([nest = OperandNest(spec)](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
      const T* a = static_cast<const T*>(in[0].data);
      const E* b = static_cast<const E*>(in[1].data);
      T* y = static_cast<T*>(out[0].data);
      Walk<3>(nest, 1, [&](const auto& at) {
        for (int64_t i = 0; i < nest.inner_size(); ++i) {
          const T base = a[at[0] + i * nest.inner_stride(0)];
          const E exponent = b[at[1] + i * nest.inner_stride(1)];
          T& result = y[at[2] + i * nest.inner_stride(2)];
          if constexpr (std::is_same_v<T, float> && std::is_same_v<E, float>)
            result = std::pow(base, exponent);
          else if constexpr (std::is_integral_v<T> && std::is_integral_v<E>)
            result = IntegerPower(base, exponent);
          else
            result = static_cast<T>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
        }
      });
    });
  };
  const absl::StatusOr<Kernel> none = Unsupported(spec);
  return VisitNumber(
      spec.inputs[0].dtype,
      [&](auto base_tag) {
        return VisitNumber(
            spec.inputs[1].dtype, [&](auto exponent_tag) { return with_types(base_tag, exponent_tag); }, none);
      },
      none);
}

template <BinaryKind... Kinds, typename T>
absl::StatusOr<Kernel> MakeOneOf(BinaryKind kind, const KernelSpec& spec, Tag<T>) {
  absl::StatusOr<Kernel> made = Unsupported(spec);
  static_cast<void>(((kind == Kinds && (made = MakeRows<Kinds, T>(spec), true)) || ...));
  return made;
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::Binary& op, const KernelSpec& spec) {
  using enum BinaryKind;
  const DataType dtype = spec.inputs[0].dtype;
  const absl::StatusOr<Kernel> none = Unsupported(spec);
  if (op.kind == kPow) return MakePower(spec);
  if (dtype == DataType::kBool) return MakeOneOf<kAnd, kOr, kXor, kEqual>(op.kind, spec, Tag<uint8_t>{});
  if (IsFloat(dtype)) {
    return VisitFloat(
        dtype,
        [&](auto tag) {
          return MakeOneOf<kAdd, kSub, kMul, kDiv, kMin, kMax, kMod, kFmod, kPrelu, kEqual, kLess, kLessEqual, kGreater,
                           kGreaterEqual>(op.kind, spec, tag);
        },
        none);
  }
  return VisitInteger(
      dtype,
      [&](auto tag) {
        using T = typename decltype(tag)::type;
        if constexpr (std::is_unsigned_v<T>) {
          if (op.kind == kShiftLeft || op.kind == kShiftRight)
            return MakeOneOf<kShiftLeft, kShiftRight>(op.kind, spec, tag);
        }
        return MakeOneOf<kAdd, kSub, kMul, kDiv, kMin, kMax, kMod, kFmod, kPrelu, kEqual, kLess, kLessEqual, kGreater,
                         kGreaterEqual, kBitwiseAnd, kBitwiseOr, kBitwiseXor>(op.kind, spec, tag);
      },
      none);
}

}  // namespace precis::kernels
