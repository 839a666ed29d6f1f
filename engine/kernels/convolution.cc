// Direct convolution and its transpose in up to three spatial dimensions, for the types that oneDNN does not take and for folding.
#include <memory>
#include <type_traits>
#include <vector>

#include "engine/kernels/element.h"
#include "engine/kernels/make.h"
#include "engine/kernels/window.h"

namespace precis::kernels {
namespace {

template <typename T>
using Accumulator = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;  // integers wrap

template <typename T>
T Bias(std::span<const TensorView> in, int64_t channel) {
  return in.size() > 2 && in[2].data != nullptr ? static_cast<const T*>(in[2].data)[channel] : T{0};
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::Conv& op, const KernelSpec& spec) {
  const Shape &src = spec.inputs[0].shape, &dst = spec.outputs[0].shape;
  if (!Window3::Fits(src)) return Unsupported(spec);
  const Window3 w(op.window, src, dst);
  const int64_t batch = src[0], channels = src[1], filters = dst[1];
  const int64_t group_channels = channels / op.groups, group_filters = filters / op.groups;
  return VisitNumber(
      spec.inputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        using T = typename decltype(tag)::type;
        using A = Accumulator<T>;
        return Kernel([=](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
          const int64_t in_cells = Window3::Size(w.in), taps = Window3::Size(w.kernel);
          T* y = static_cast<T*>(out[0].data);
          for (int64_t nf = 0; nf < batch * filters; ++nf) {
            const int64_t n = nf / filters, f = nf % filters;
            const T* x =
                static_cast<const T*>(in[0].data) + (n * channels + f / group_filters * group_channels) * in_cells;
            const T* weights = static_cast<const T*>(in[1].data) + f * group_channels * taps;
            Window3::ForEach(w.out, [&](const Window3::Dims& at, int64_t) {
              A sum = static_cast<A>(Bias<T>(in, f));
              Window3::ForEach(w.kernel, [&](const Window3::Dims& k, int64_t tap) {
                const int64_t cell = w.Cell(w.in, at, k);
                if (cell < 0) return;
                for (int64_t c = 0; c < group_channels; ++c)
                  sum += static_cast<A>(x[c * in_cells + cell]) * static_cast<A>(weights[c * taps + tap]);
              });
              *y++ = static_cast<T>(sum);
            });
          }
        });
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

absl::StatusOr<Kernel> Make(const ir::ConvTranspose& op, const KernelSpec& spec) {
  const Shape &src = spec.inputs[0].shape, &dst = spec.outputs[0].shape;
  if (!Window3::Fits(src)) return Unsupported(spec);
  const Window3 w(op.window, src, dst);
  const int64_t batch = src[0], channels = src[1], filters = dst[1];
  const int64_t group_channels = channels / op.groups, group_filters = filters / op.groups;
  return VisitFloat(
      spec.inputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        using T = typename decltype(tag)::type;
        return Kernel([=](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
          const int64_t in_cells = Window3::Size(w.in), out_cells = Window3::Size(w.out),
                        taps = Window3::Size(w.kernel);
          std::vector<double> plane(static_cast<size_t>(out_cells));  // every source cell adds its footprint
          for (int64_t nf = 0; nf < batch * filters; ++nf) {
            const int64_t n = nf / filters, f = nf % filters, group = f / group_filters;
            plane.assign(plane.size(), static_cast<double>(Bias<T>(in, f)));
            for (int64_t c = group * group_channels; c < (group + 1) * group_channels; ++c) {
              const T* x = static_cast<const T*>(in[0].data) + (n * channels + c) * in_cells;
              const T* weights = static_cast<const T*>(in[1].data) + (c * group_filters + f % group_filters) * taps;
              Window3::ForEach(w.in, [&](const Window3::Dims& at, int64_t from) {
                Window3::ForEach(w.kernel, [&](const Window3::Dims& k, int64_t tap) {
                  const int64_t cell = w.Cell(w.out, at, k);
                  if (cell >= 0)
                    plane[static_cast<size_t>(cell)] +=
                        static_cast<double>(x[from]) * static_cast<double>(weights[tap]);
                });
              });
            }
            T* y = static_cast<T*>(out[0].data) + nf * out_cells;
            for (int64_t i = 0; i < out_cells; ++i) y[i] = static_cast<T>(plane[static_cast<size_t>(i)]);
          }
        });
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

}  // namespace precis::kernels
