// Conversion of element types (ONNX Cast-21): floats truncate towards zero, and saturate where ONNX leaves the result open; integers
// wrap; whatever is not zero is true; 16-bit floats round to nearest, ties to even.
#include "engine/kernels/cast.h"

#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>

#include "engine/base/float16.h"
#include "engine/kernels/element.h"
#include "engine/kernels/make.h"

namespace precis::kernels {
namespace {

// Stored forms whose bits are not their value.
struct Half {
  uint16_t bits;
};
struct Bfloat {
  uint16_t bits;
};
struct Truth {
  uint8_t byte;
};

template <typename T>
T Load(T x) {
  return x;
}
float Load(Half x) { return F16ToF32(x.bits); }
float Load(Bfloat x) { return BF16ToF32(x.bits); }
uint8_t Load(Truth x) { return x.byte != 0; }

template <typename To, typename From>
To Convert(From x) {
  if constexpr (std::is_same_v<To, Half>) {
    return Half{F32ToF16(static_cast<float>(x))};
  } else if constexpr (std::is_same_v<To, Bfloat>) {
    return Bfloat{F32ToBF16(static_cast<float>(x))};
  } else if constexpr (std::is_same_v<To, Truth>) {
    return Truth{x != From{0}};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    using Limits = std::numeric_limits<To>;
    if (std::isnan(x)) return To{0};
    // 2^digits is exact in every float type, unlike max() itself.
    if (x >= std::ldexp(From{1}, Limits::digits)) return Limits::max();
    if (x <= static_cast<From>(Limits::lowest())) return Limits::lowest();
    return static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

template <typename From, typename To>
void CastLoop(const void* from, void* to, int64_t count) {
  const auto* x = static_cast<const From*>(from);
  auto* y = static_cast<To*>(to);
  for (int64_t i = 0; i < count; ++i) y[i] = Convert<To>(Load(x[i]));
}

template <typename F>
CastFunction VisitStored(DataType type, F f) {
  switch (type) {
    case DataType::kF16: return f(Tag<Half>{});
    case DataType::kBF16: return f(Tag<Bfloat>{});
    case DataType::kBool: return f(Tag<Truth>{});
    default: return VisitNumber(type, f, CastFunction{nullptr});
  }
}

}  // namespace

CastFunction FindCast(DataType from, DataType to) {
  return VisitStored(from, [to](auto from_tag) {
    return VisitStored(to, [](auto to_tag) -> CastFunction {
      return &CastLoop<typename decltype(from_tag)::type, typename decltype(to_tag)::type>;
    });
  });
}

absl::StatusOr<Kernel> Make(const ir::Cast&, const KernelSpec& spec) {
  if (spec.inputs[0].quant.has_value() || spec.outputs[0].quant.has_value()) return Unsupported(spec);
  const CastFunction cast = FindCast(spec.inputs[0].dtype, spec.outputs[0].dtype);
  return Kernel([cast, count = NumElements(spec.inputs[0].shape)](std::span<const TensorView> in,
                                                                  std::span<const MutableTensorView> out) {
    cast(in[0].data, out[0].data, count);
  });
}

}  // namespace precis::kernels
