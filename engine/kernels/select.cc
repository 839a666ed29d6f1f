// Where, which picks elements without looking at them, and Clip, whose bounds come as tensors.
#include <algorithm>
#include <limits>
#include <memory>

#include "engine/ir/shape_rules.h"
#include "engine/kernels/element.h"
#include "engine/kernels/make.h"
#include "engine/kernels/nest.h"

namespace precis::kernels {

absl::StatusOr<Kernel> Make(const ir::Where&, const KernelSpec& spec) {
  if (spec.inputs[1].quant != spec.outputs[0].quant || spec.inputs[2].quant != spec.outputs[0].quant)
    return Unsupported(spec);
  const Shape& shape = spec.outputs[0].shape;
  const Nest nest(shape,
                  {ir::BroadcastStrides(spec.inputs[0].shape, shape), ir::BroadcastStrides(spec.inputs[1].shape, shape),
                   ir::BroadcastStrides(spec.inputs[2].shape, shape), RowMajorStrides(shape)});
  return VisitSize(SizeOf(spec.outputs[0].dtype), [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel([nest](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
      const uint8_t* condition = static_cast<const uint8_t*>(in[0].data);
      const T *x = static_cast<const T*>(in[1].data), *y = static_cast<const T*>(in[2].data);
      T* dst = static_cast<T*>(out[0].data);
      const int64_t cs = nest.inner_stride(0), xs = nest.inner_stride(1), ys = nest.inner_stride(2),
                    ds = nest.inner_stride(3);
      Walk<4>(nest, 1, [&](const auto& at) {
        for (int64_t i = 0; i < nest.inner_size(); ++i) {
          dst[at[3] + i * ds] = condition[at[0] + i * cs] != 0 ? x[at[1] + i * xs] : y[at[2] + i * ys];
        }
      });
    });
  });
}

absl::StatusOr<Kernel> Make(const ir::Clip&, const KernelSpec& spec) {
  return VisitNumber(
      spec.inputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        using T = typename decltype(tag)::type;
        return Kernel([count = NumElements(spec.inputs[0].shape)](std::span<const TensorView> in,
                                                                  std::span<const MutableTensorView> out) {
          const auto bound = [&](size_t i, T otherwise) {
            return i < in.size() && in[i].data != nullptr ? *static_cast<const T*>(in[i].data) : otherwise;
          };
          const T low = bound(1, std::numeric_limits<T>::lowest()), high = bound(2, std::numeric_limits<T>::max());
          const T* x = static_cast<const T*>(in[0].data);
          T* y = static_cast<T*>(out[0].data);
          for (int64_t i = 0; i < count; ++i) {
            const T raised = x[i] < low ? low : x[i];
            y[i] = raised > high ? high : raised;
          }
        });
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

// Specialisation leaves none behind.
absl::StatusOr<Kernel> Make(const ir::Choose&, const KernelSpec& spec) { return Unsupported(spec); }

}  // namespace precis::kernels
