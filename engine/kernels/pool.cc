// Pooling in up to three spatial dimensions (ONNX MaxPool-22, AveragePool-22). Max pooling keeps order alone, so that it serves any number
// type, quantized ones included.
#include <limits>
#include <memory>
#include <type_traits>

#include "engine/kernels/element.h"
#include "engine/kernels/make.h"
#include "engine/kernels/window.h"

namespace precis::kernels {
namespace {

using Inputs = std::span<const TensorView>;
using Outputs = std::span<const MutableTensorView>;

template <typename T>
Kernel MakeMax(const Window3& w, int64_t planes) {
  return [w, planes](Inputs in, Outputs out) {
    T* y = static_cast<T*>(out[0].data);
    int64_t* winner = out.size() > 1 ? static_cast<int64_t*>(out[1].data) : nullptr;
    for (int64_t p = 0; p < planes; ++p) {
      const int64_t first = p * Window3::Size(w.in);
      const T* x = static_cast<const T*>(in[0].data) + first;
      Window3::ForEach(w.out, [&](const Window3::Dims& at, int64_t) {
        int64_t best = -1;
        Window3::ForEach(w.kernel, [&](const Window3::Dims& k, int64_t) {
          const int64_t cell = w.Cell(w.in, at, k);
          if (cell >= 0 && (best < 0 || x[cell] > x[best])) best = cell;
        });
        *y++ = best < 0 ? std::numeric_limits<T>::lowest() : x[best];
        if (winner != nullptr) *winner++ = best < 0 ? first : first + best;
      });
    }
  };
}

template <typename T>
Kernel MakeAverage(const Window3& w, int64_t planes, bool include_pad) {
  // With pads included, cells count up to the end of the pads: ceil_mode may let a window hang over that.
  Window3::Dims padded = w.in;
  for (size_t i = 0; i < 3; ++i) padded[i] += w.pads[i] + w.pads_end[i];
  return [=](Inputs in, Outputs out) {
    Window3 unpadded = w;
    unpadded.pads = {0, 0, 0};
    T* y = static_cast<T*>(out[0].data);
    for (int64_t p = 0; p < planes; ++p) {
      const T* x = static_cast<const T*>(in[0].data) + p * Window3::Size(w.in);
      Window3::ForEach(w.out, [&](const Window3::Dims& at, int64_t) {
        double sum = 0;
        int64_t count = 0;
        Window3::ForEach(w.kernel, [&](const Window3::Dims& k, int64_t) {
          const int64_t cell = w.Cell(w.in, at, k);
          if (cell >= 0) sum += static_cast<double>(x[cell]);
          count += include_pad ? unpadded.Cell(padded, at, k) >= 0 : cell >= 0;
        });
        *y++ = count == 0 ? T{0} : static_cast<T>(sum / static_cast<double>(count));
      });
    }
  };
}

// The whole plane as one window.
absl::StatusOr<Kernel> MakePool(ir::PoolKind kind, const ir::Window& window, const KernelSpec& spec) {
  const Shape &src = spec.inputs[0].shape, &dst = spec.outputs[0].shape;
  if (!Window3::Fits(src)) return Unsupported(spec);
  const Window3 w(window, src, dst);
  const int64_t planes = src[0] * src[1];
  const absl::StatusOr<Kernel> none = Unsupported(spec);
  if (kind == ir::PoolKind::kMax) {
    if (spec.inputs[0].quant != spec.outputs[0].quant) return none;
    return VisitNumber(
        spec.inputs[0].dtype,
        [&](auto tag) -> absl::StatusOr<Kernel> { return MakeMax<typename decltype(tag)::type>(w, planes); }, none);
  }
  return VisitFloat(
      spec.inputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        return MakeAverage<typename decltype(tag)::type>(w, planes, kind == ir::PoolKind::kAverageIncludePad);
      },
      none);
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::Pool& op, const KernelSpec& spec) { return MakePool(op.kind, op.window, spec); }

absl::StatusOr<Kernel> Make(const ir::GlobalPool& op, const KernelSpec& spec) {
  const Shape& src = spec.inputs[0].shape;
  const size_t spatial = src.size() - 2;
  const ir::Ints ones(spatial, 1), zeros(spatial, 0);
  return MakePool(op.kind, {ir::Ints(src.begin() + 2, src.end()), ones, ones, zeros, zeros, ir::AutoPad::kExplicit},
                  spec);
}

}  // namespace precis::kernels
