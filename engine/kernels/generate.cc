// Tensors made from shapes, scalars or indices rather than from other elements.
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "engine/ir/shape_rules.h"
#include "engine/kernels/element.h"
#include "engine/kernels/make.h"

namespace precis::kernels {
namespace {

using Inputs = std::span<const TensorView>;
using Outputs = std::span<const MutableTensorView>;

template <typename T>
const T* Data(const TensorView& view) {
  return static_cast<const T*>(view.data);
}

template <typename T>
T* Data(const MutableTensorView& view) {
  return static_cast<T*>(view.data);
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::ShapeOf& op, const KernelSpec& spec) {
  const Shape& x = spec.inputs[0].shape;
  return Kernel([dims = Shape(x.begin() + op.start, x.begin() + op.end)](Inputs, Outputs out) {
    std::copy(dims.begin(), dims.end(), Data<int64_t>(out[0]));
  });
}

absl::StatusOr<Kernel> Make(const ir::SizeOf&, const KernelSpec& spec) {
  return Kernel([count = NumElements(spec.inputs[0].shape)](Inputs, Outputs out) { *Data<int64_t>(out[0]) = count; });
}

absl::StatusOr<Kernel> Make(const ir::ConstantOfShape& op, const KernelSpec& spec) {
  const int64_t count = NumElements(spec.outputs[0].shape);
  return VisitSize(op.value.size(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T value;
    std::memcpy(&value, op.value.data(), sizeof(T));
    return Kernel([=](Inputs, Outputs out) { std::fill_n(Data<T>(out[0]), count, value); });
  });
}

absl::StatusOr<Kernel> Make(const ir::Range&, const KernelSpec& spec) {
  const int64_t count = NumElements(spec.outputs[0].shape);
  return VisitNumber(
      spec.outputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        using T = typename decltype(tag)::type;
        return Kernel([count](Inputs in, Outputs out) {
          const T start = *Data<T>(in[0]), delta = *Data<T>(in[2]);
          for (int64_t i = 0; i < count; ++i) Data<T>(out[0])[i] = static_cast<T>(start + static_cast<T>(i) * delta);
        });
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

absl::StatusOr<Kernel> Make(const ir::Trilu& op, const KernelSpec& spec) {
  const Shape& x = spec.inputs[0].shape;
  const int64_t columns = x.back(), rows = x[x.size() - 2];
  const int64_t matrices = rows * columns == 0 ? 0 : NumElements(x) / (rows * columns);
  return VisitSize(SizeOf(spec.inputs[0].dtype), [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel([=, upper = op.upper](Inputs in, Outputs out) {
      const int64_t asked = in.size() > 1 && in[1].data != nullptr ? *Data<int64_t>(in[1]) : 0;
      const int64_t k = std::clamp(asked, -rows, columns);
      const T* src = Data<T>(in[0]);
      T* dst = Data<T>(out[0]);
      for (int64_t row = 0; row < matrices * rows; ++row, src += columns, dst += columns) {
        // The diagonal k starts at this column; upper keeps it and what is right of it, lower what is left of it too.
        const int64_t edge = std::clamp<int64_t>(row % rows + k + (upper ? 0 : 1), 0, columns);
        const int64_t begin = upper ? edge : 0, end = upper ? columns : edge;
        std::fill_n(dst, begin, T{0});
        std::copy(src + begin, src + end, dst + begin);
        std::fill(dst + end, dst + columns, T{0});
      }
    });
  });
}

absl::StatusOr<Kernel> Make(const ir::OneHot& op, const KernelSpec& spec) {
  const Shape& out_shape = spec.outputs[0].shape;
  const auto axis = static_cast<size_t>(op.axis);
  const int64_t depth = out_shape[axis];
  const int64_t inner = NumElements(Shape(out_shape.begin() + op.axis + 1, out_shape.end()));
  const int64_t outer = NumElements(Shape(out_shape.begin(), out_shape.begin() + op.axis));
  return VisitNumber(
      spec.inputs[0].dtype,
      [&](auto index_tag) -> absl::StatusOr<Kernel> {
        using Index = typename decltype(index_tag)::type;
        return VisitSize(SizeOf(spec.outputs[0].dtype), [&](auto tag) {
          using T = typename decltype(tag)::type;
          return Kernel([=](Inputs in, Outputs out) {
            const T off = Data<T>(in[2])[0], on = Data<T>(in[2])[1];
            std::fill_n(Data<T>(out[0]), outer * depth * inner, off);
            for (int64_t i = 0; i < outer * inner; ++i) {
              auto index = static_cast<int64_t>(Data<Index>(in[0])[i]);
              if (index < 0) index += depth;
              if (index < 0 || index >= depth) continue;  // all off
              Data<T>(out[0])[(i / inner * depth + index) * inner + i % inner] = on;
            }
          });
        });
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

absl::StatusOr<Kernel> Make(const ir::EyeLike& op, const KernelSpec& spec) {
  const int64_t rows = spec.outputs[0].shape[0], columns = spec.outputs[0].shape[1], k = op.k;
  return VisitNumberOrBool(
      spec.outputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        using T = typename decltype(tag)::type;
        return Kernel([=](Inputs, Outputs out) {
          for (int64_t i = 0; i < rows * columns; ++i)
            Data<T>(out[0])[i] = static_cast<T>(i % columns - i / columns == k);
        });
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

absl::StatusOr<Kernel> Make(const ir::NonZero&, const KernelSpec& spec) {
  const Shape shape = spec.inputs[0].shape, result = spec.outputs[0].shape;
  return VisitNumberOrBool(
      spec.inputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        using T = typename decltype(tag)::type;
        return Kernel([shape, count = result[1]](Inputs in, Outputs out) {
          int64_t found = 0;
          for (int64_t i = 0, n = NumElements(shape); i < n; ++i) {
            if (Data<T>(in[0])[i] == T{0}) continue;
            int64_t rest = i;
            for (size_t d = shape.size(); d-- > 0; rest /= shape[d])
              Data<int64_t>(out[0])[static_cast<int64_t>(d) * count + found] = rest % shape[d];
            ++found;
          }
        });
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

}  // namespace precis::kernels
