// Elementwise functions of one operand. Floats run one loop per function and instruction set; integers have the few functions that ONNX
// gives them; quantized 8-bit values go through a table of 256 entries, made from the real function once.
#include <array>
#include <cmath>
#include <memory>
#include <type_traits>
#include <vector>

#include "engine/base/affine.h"
#include "engine/kernels/element.h"
#include "engine/kernels/make.h"
#include "engine/kernels/multiversion.h"
#include "engine/kernels/unary_math.h"

namespace precis::kernels {
namespace {

using Inputs = std::span<const TensorView>;
using Outputs = std::span<const MutableTensorView>;
using ir::UnaryKind;

template <UnaryKind K, typename T>
struct Loop {
  [[gnu::always_inline]] static void Run(const T* x, T* y, int64_t count, T a, T b) {
    for (int64_t i = 0; i < count; ++i) y[i] = UnaryValue<K>(x[i], a, b);
  }
};

template <typename T>
absl::StatusOr<Kernel> MakeFloat(const ir::Unary& op, const KernelSpec& spec) {
  void (*loop)(const T*, T*, int64_t, T, T) = nullptr;
  VisitUnaryKind(op.kind, [&loop]<UnaryKind K>() {
    loop = &Loop<K, T>::Run;
    if constexpr (std::is_same_v<T, float>) loop = Best<Loop<K, T>>(&Loop<K, T>::Run);
  });
  if (loop == nullptr) return Unsupported(spec);
  return Kernel([=, count = NumElements(spec.inputs[0].shape), a = static_cast<T>(op.alpha),
                 b = static_cast<T>(op.beta)](Inputs in, Outputs out) {
    loop(static_cast<const T*>(in[0].data), static_cast<T*>(out[0].data), count, a, b);
  });
}

template <typename T, typename R, typename F>
Kernel MakeLoop(const KernelSpec& spec, F f) {
  return [f, count = NumElements(spec.inputs[0].shape)](Inputs in, Outputs out) {
    const T* x = static_cast<const T*>(in[0].data);
    R* y = static_cast<R*>(out[0].data);
    for (int64_t i = 0; i < count; ++i) y[i] = f(x[i]);
  };
}

template <typename T>
absl::StatusOr<Kernel> MakeInteger(UnaryKind kind, const KernelSpec& spec) {
  using U = std::make_unsigned_t<T>;  // wraps where T would overflow
  switch (kind) {
    case UnaryKind::kRelu: return MakeLoop<T, T>(spec, [](T x) { return x < T{0} ? T{0} : x; });
    case UnaryKind::kAbs:
      return MakeLoop<T, T>(
          spec, [](T x) { return static_cast<T>(x < T{0} ? U{0} - static_cast<U>(x) : static_cast<U>(x)); });
    case UnaryKind::kNeg: return MakeLoop<T, T>(spec, [](T x) { return static_cast<T>(U{0} - static_cast<U>(x)); });
    case UnaryKind::kSign: return MakeLoop<T, T>(spec, [](T x) { return static_cast<T>((x > T{0}) - (x < T{0})); });
    case UnaryKind::kBitwiseNot: return MakeLoop<T, T>(spec, [](T x) { return static_cast<T>(~x); });
    default: return Unsupported(spec);
  }
}

absl::StatusOr<Kernel> MakePredicate(const ir::Unary& op, const KernelSpec& spec) {
  if (op.kind == UnaryKind::kNot)
    return MakeLoop<uint8_t, uint8_t>(spec, [](uint8_t x) { return static_cast<uint8_t>(x == 0); });
  return VisitFloat(
      spec.inputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        using T = typename decltype(tag)::type;
        if (op.kind == UnaryKind::kIsNan)
          return MakeLoop<T, uint8_t>(spec, [](T x) { return static_cast<uint8_t>(std::isnan(x)); });
        return MakeLoop<T, uint8_t>(spec, [negative = op.alpha != 0, positive = op.beta != 0](T x) {
          return static_cast<uint8_t>(std::isinf(x) && (x < 0 ? negative : positive));
        });
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

// y = table[x] for quantized 8-bit x and y.
absl::StatusOr<Kernel> MakeTable(const ir::Unary& op, const KernelSpec& spec) {
  const KernelSpec::Operand &x = spec.inputs[0], &y = spec.outputs[0];
  if (!IsInt8(x.dtype) || !IsInt8(y.dtype) || !x.quant.has_value() || !y.quant.has_value() || !x.quant->per_tensor() ||
      !y.quant->per_tensor()) {
    return Unsupported(spec);
  }
  std::array<uint8_t, 256> table;
  const bool known = VisitUnaryKind(op.kind, [&]<UnaryKind K>() {
    for (int i = 0; i < 256; ++i) {
      const int q = x.dtype == DataType::kS8 ? static_cast<int8_t>(i) : i;
      const float real = UnaryValue<K>(DequantizeAffine(q, x.quant->scale(), x.quant->zero_point()), op.alpha, op.beta);
      const bool is_signed = y.dtype == DataType::kS8;
      table[static_cast<size_t>(i)] = static_cast<uint8_t>(
          QuantizeAffine(real, y.quant->scale(), y.quant->zero_point(), is_signed ? -128 : 0, is_signed ? 127 : 255));
    }
  });
  if (!known) return Unsupported(spec);
  return MakeLoop<uint8_t, uint8_t>(spec, [table](uint8_t q) { return table[q]; });
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::Unary& op, const KernelSpec& spec) {
  const DataType dtype = spec.inputs[0].dtype;
  if (spec.inputs[0].quant.has_value() || spec.outputs[0].quant.has_value()) return MakeTable(op, spec);
  if (op.kind == UnaryKind::kIsNan || op.kind == UnaryKind::kIsInf || dtype == DataType::kBool) {
    if (dtype == DataType::kBool && op.kind != UnaryKind::kNot) return Unsupported(spec);
    return MakePredicate(op, spec);
  }
  if (dtype == DataType::kF32) return MakeFloat<float>(op, spec);
  if (dtype == DataType::kF64) return MakeFloat<double>(op, spec);
  return VisitInteger(
      dtype, [&](auto tag) { return MakeInteger<typename decltype(tag)::type>(op.kind, spec); },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

}  // namespace precis::kernels
