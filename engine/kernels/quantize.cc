// Affine quantization (ONNX QuantizeLinear-21, DequantizeLinear-21, DynamicQuantizeLinear-11) and Convert, the form that quantization
// passes insert. The rounding rule itself is engine/base/affine.h.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/base/affine.h"
#include "engine/kernels/cast.h"
#include "engine/kernels/element.h"
#include "engine/kernels/make.h"
#include "engine/kernels/multiversion.h"

namespace precis::kernels {
namespace {

using Inputs = std::span<const TensorView>;
using Outputs = std::span<const MutableTensorView>;

// Which scale an element uses: elements [outer][dim][inner], one scale for all, per dim, or per block of it.
struct ScaleLayout {
  int64_t outer = 1, dim = 1, inner = 1;
  int64_t block = 0;  // 0: one scale per dim index; otherwise dims per block, with scales [outer][blocks][inner]
};

ScaleLayout LayoutOf(const Shape& x, int64_t axis, int64_t block, bool per_tensor) {
  if (per_tensor) return {1, 1, NumElements(x), 0};
  return {NumElements(Shape(x.begin(), x.begin() + axis)), x[static_cast<size_t>(axis)],
          NumElements(Shape(x.begin() + axis + 1, x.end())), block};
}

bool IsPerTensor(const Shape& scale) { return NumElements(scale) == 1 && scale.size() <= 1; }

// Calls f(first element, count, index of the scale) over runs that share one scale.
template <typename F>
void ForEachRun(const ScaleLayout& s, F f) {
  const int64_t blocks = s.block == 0 ? 0 : (s.dim + s.block - 1) / s.block;
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t d = 0; d < s.dim; ++d) {
      const int64_t start = (o * s.dim + d) * s.inner;
      if (s.block == 0) {
        f(start, s.inner, d);
      } else {
        for (int64_t i = 0; i < s.inner; ++i) f(start + i, 1, (o * blocks + d / s.block) * s.inner + i);
      }
    }
  }
}

template <typename T>
struct QuantizeRun {
  [[gnu::always_inline]] static void Run(const float* x, T* q, int64_t count, float scale, int32_t zero_point) {
    for (int64_t i = 0; i < count; ++i) {
      q[i] = static_cast<T>(
          QuantizeAffine(x[i], scale, zero_point, std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max()));
    }
  }
};

template <typename T>
struct DequantizeRun {
  [[gnu::always_inline]] static void Run(const T* q, float* x, int64_t count, float scale, int32_t zero_point) {
    for (int64_t i = 0; i < count; ++i) x[i] = DequantizeAffine(static_cast<int32_t>(q[i]), scale, zero_point);
  }
};

// The integer types that quantized tensors come in.
template <typename F>
absl::StatusOr<Kernel> VisitLevels(DataType type, const KernelSpec& spec, F f) {
  switch (type) {
    case DataType::kS8: return f(Tag<int8_t>{});
    case DataType::kU8: return f(Tag<uint8_t>{});
    case DataType::kS16: return f(Tag<int16_t>{});
    case DataType::kU16: return f(Tag<uint16_t>{});
    case DataType::kS32: return f(Tag<int32_t>{});
    default: return Unsupported(spec);
  }
}

template <typename T>
int32_t ZeroPoint(Inputs in, int64_t index) {
  return in.size() > 2 && in[2].data != nullptr ? static_cast<int32_t>(static_cast<const T*>(in[2].data)[index]) : 0;
}

ScaleLayout LayoutOf(const Shape& x, const ir::QuantParams& quant) {
  return LayoutOf(x, quant.axis, 0, quant.per_tensor());
}

int32_t ZeroPoint(const ir::QuantParams& quant, int64_t index) {
  return quant.zero_points.empty() ? 0 : quant.zero_points[static_cast<size_t>(index)];
}

// f32 -> levels, with parameters known when the kernel is made.
absl::StatusOr<Kernel> MakeToLevels(const KernelSpec& spec) {
  return VisitLevels(spec.outputs[0].dtype, spec, [&](auto tag) -> absl::StatusOr<Kernel> {
    using T = typename decltype(tag)::type;
    auto* const run = Best<QuantizeRun<T>>(&QuantizeRun<T>::Run);
    return Kernel([run, quant = *spec.outputs[0].quant,
                   layout = LayoutOf(spec.inputs[0].shape, *spec.outputs[0].quant)](Inputs in, Outputs out) {
      const float* x = static_cast<const float*>(in[0].data);
      T* q = static_cast<T*>(out[0].data);
      ForEachRun(layout, [&](int64_t start, int64_t count, int64_t s) {
        run(x + start, q + start, count, quant.scales[static_cast<size_t>(s)], ZeroPoint(quant, s));
      });
    });
  });
}

// Levels -> f32, with parameters known when the kernel is made.
absl::StatusOr<Kernel> MakeFromLevels(const KernelSpec& spec) {
  return VisitLevels(spec.inputs[0].dtype, spec, [&](auto tag) -> absl::StatusOr<Kernel> {
    using T = typename decltype(tag)::type;
    auto* const run = Best<DequantizeRun<T>>(&DequantizeRun<T>::Run);
    return Kernel([run, quant = *spec.inputs[0].quant, layout = LayoutOf(spec.inputs[0].shape, *spec.inputs[0].quant)](
                      Inputs in, Outputs out) {
      const T* q = static_cast<const T*>(in[0].data);
      float* x = static_cast<float*>(out[0].data);
      ForEachRun(layout, [&](int64_t start, int64_t count, int64_t s) {
        run(q + start, x + start, count, quant.scales[static_cast<size_t>(s)], ZeroPoint(quant, s));
      });
    });
  });
}

// `first`, then `second`, through a temporary of f32.
Kernel Through(Kernel first, Kernel second) {
  return [first = std::move(first), second = std::move(second)](Inputs in, Outputs out) {
    Tensor real(DataType::kF32, in[0].shape);
    const MutableTensorView middle = {DataType::kF32, in[0].shape, real.data()};
    first(in, {&middle, 1});
    const TensorView view = real.view();
    second({&view, 1}, out);
  };
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::Quantize& op, const KernelSpec& spec) {
  if (spec.inputs[0].dtype != DataType::kF32 && spec.inputs[0].dtype != DataType::kS32) return Unsupported(spec);
  if (spec.inputs[1].dtype != DataType::kF32) return Unsupported(spec);
  const ScaleLayout layout = LayoutOf(spec.inputs[0].shape, op.axis, op.block_size, IsPerTensor(spec.inputs[1].shape));
  auto made = VisitLevels(spec.outputs[0].dtype, spec, [&](auto tag) -> absl::StatusOr<Kernel> {
    using T = typename decltype(tag)::type;
    auto* const run = Best<QuantizeRun<T>>(&QuantizeRun<T>::Run);
    return Kernel([run, layout](Inputs in, Outputs out) {
      const float* scales = static_cast<const float*>(in[1].data);
      const float* x = static_cast<const float*>(in[0].data);
      T* q = static_cast<T*>(out[0].data);
      ForEachRun(layout, [&](int64_t start, int64_t count, int64_t s) {
        run(x + start, q + start, count, scales[s], ZeroPoint<T>(in, s));
      });
    });
  });
  if (!made.ok() || spec.inputs[0].dtype == DataType::kF32) return made;
  return Kernel([quantize = *made, cast = FindCast(DataType::kS32, DataType::kF32)](Inputs in, Outputs out) {
    Tensor real(DataType::kF32, in[0].shape);
    cast(in[0].data, real.data(), real.num_elements());
    std::vector<TensorView> operands(in.begin(), in.end());
    operands[0] = real.view();
    quantize(operands, out);
  });
}

absl::StatusOr<Kernel> Make(const ir::Dequantize& op, const KernelSpec& spec) {
  if (spec.inputs[1].dtype != DataType::kF32) return Unsupported(spec);
  const ScaleLayout layout = LayoutOf(spec.inputs[0].shape, op.axis, op.block_size, IsPerTensor(spec.inputs[1].shape));
  return VisitLevels(spec.inputs[0].dtype, spec, [&](auto tag) -> absl::StatusOr<Kernel> {
    using T = typename decltype(tag)::type;
    auto* const run = Best<DequantizeRun<T>>(&DequantizeRun<T>::Run);
    return Kernel([run, layout](Inputs in, Outputs out) {
      const float* scales = static_cast<const float*>(in[1].data);
      const T* q = static_cast<const T*>(in[0].data);
      float* x = static_cast<float*>(out[0].data);
      ForEachRun(layout, [&](int64_t start, int64_t count, int64_t s) {
        run(q + start, x + start, count, scales[s], ZeroPoint<T>(in, s));
      });
    });
  });
}

absl::StatusOr<Kernel> Make(const ir::DynamicQuantize&, const KernelSpec& spec) {
  return Kernel([count = NumElements(spec.inputs[0].shape)](Inputs in, Outputs out) {
    const float* x = static_cast<const float*>(in[0].data);
    float low = 0, high = 0;  // zero is always representable
    for (int64_t i = 0; i < count; ++i) {
      low = std::min(low, x[i]);
      high = std::max(high, x[i]);
    }
    const float scale = (high - low) / 255.0f;
    const float used = scale > 0 ? scale : 1.0f;  // all zero: any scale says so
    const auto zero_point = static_cast<uint8_t>(std::clamp(std::nearbyint(-low / used), 0.0f, 255.0f));
    for (int64_t i = 0; i < count; ++i) {
      static_cast<uint8_t*>(out[0].data)[i] = static_cast<uint8_t>(QuantizeAffine(x[i], used, zero_point, 0, 255));
    }
    if (out.size() > 1 && out[1].data != nullptr) *static_cast<float*>(out[1].data) = scale;
    if (out.size() > 2 && out[2].data != nullptr) *static_cast<uint8_t*>(out[2].data) = zero_point;
  });
}

absl::StatusOr<Kernel> Make(const ir::Convert&, const KernelSpec& spec) {
  const KernelSpec::Operand &x = spec.inputs[0], &y = spec.outputs[0];
  const auto through_f32 = [&](auto make_first, auto make_second) -> absl::StatusOr<Kernel> {
    KernelSpec first = spec, second = spec;
    first.outputs = second.inputs = {{true, DataType::kF32, x.shape, nullptr, std::nullopt}};
    auto one = make_first(first), two = make_second(second);
    if (!one.ok()) return one;
    if (!two.ok()) return two;
    return Through(*std::move(one), *std::move(two));
  };
  const auto cast = [](const KernelSpec& s) { return Make(ir::Cast{}, s); };
  if (!x.quant.has_value() && !y.quant.has_value()) return cast(spec);
  if (!x.quant.has_value()) return x.dtype == DataType::kF32 ? MakeToLevels(spec) : through_f32(cast, MakeToLevels);
  if (!y.quant.has_value()) return y.dtype == DataType::kF32 ? MakeFromLevels(spec) : through_f32(MakeFromLevels, cast);
  if (IsInt8(x.dtype) && IsInt8(y.dtype) && x.quant->per_tensor() && y.quant->per_tensor()) {
    ir::Unary identity{ir::UnaryKind::kLinear, 1.0f, 0.0f};
    return Make(identity, spec);  // a table of 256 levels
  }
  return through_f32(MakeFromLevels, MakeToLevels);
}

}  // namespace precis::kernels
