// ScatterElements and ScatterNd (ONNX opset 18): the data is copied, then updates are written or combined at the indexed places, in order.
// An update whose index is out of range is dropped.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "engine/kernels/element.h"
#include "engine/kernels/indices.h"
#include "engine/kernels/make.h"
#include "engine/kernels/nest.h"

namespace precis::kernels {
namespace {

using ir::ScatterReduction;

template <typename T>
T Combine(ScatterReduction reduction, T old, T update) {
  switch (reduction) {
    case ScatterReduction::kNone: return update;
    case ScatterReduction::kAdd: return static_cast<T>(old + update);
    case ScatterReduction::kMul: return static_cast<T>(old * update);
    case ScatterReduction::kMin: return std::min(old, update);
    case ScatterReduction::kMax: return std::max(old, update);
  }
  return update;
}

// Calls f with the element type: by size where elements are only moved, by meaning where they are combined.
template <typename F>
absl::StatusOr<Kernel> VisitElement(ScatterReduction reduction, const KernelSpec& spec, F f) {
  const DataType dtype = spec.inputs[0].dtype;
  if (reduction == ScatterReduction::kNone) return VisitSize(SizeOf(dtype), f);
  return VisitNumber(
      dtype, [&f](auto tag) -> absl::StatusOr<Kernel> { return f(tag); }, absl::StatusOr<Kernel>(Unsupported(spec)));
}

void CopyData(std::span<const TensorView> in, std::span<const MutableTensorView> out, size_t bytes) {
  if (bytes != 0 && in[0].data != out[0].data) std::memcpy(out[0].data, in[0].data, bytes);
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::ScatterElements& op, const KernelSpec& spec) {
  const Shape &data = spec.inputs[0].shape, &shape = spec.inputs[1].shape;
  const int64_t dim = data[static_cast<size_t>(op.axis)], count = NumElements(data);
  std::vector<int64_t> strides = RowMajorStrides(data);
  const int64_t axis_stride = strides[static_cast<size_t>(op.axis)];
  strides[static_cast<size_t>(op.axis)] = 0;  // the index says where
  const Nest nest(shape, {RowMajorStrides(shape), strides});
  return VisitElement(op.reduction, spec, [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel(
        [=, reduction = op.reduction](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
          CopyData(in, out, static_cast<size_t>(count) * sizeof(T));
          const Indices indices(in[1]);
          const T* updates = static_cast<const T*>(in[2].data);
          T* dst = static_cast<T*>(out[0].data);
          Walk<2>(nest, 1, [&](const auto& at) {
            for (int64_t i = 0; i < nest.inner_size(); ++i) {
              const int64_t here = at[0] + i * nest.inner_stride(0);
              if (!indices.InRange(here, dim)) continue;
              T& cell = dst[at[1] + i * nest.inner_stride(1) + indices.Position(here, dim) * axis_stride];
              cell = Combine(reduction, cell, updates[here]);
            }
          });
        });
  });
}

absl::StatusOr<Kernel> Make(const ir::ScatterNd& op, const KernelSpec& spec) {
  const Shape &data = spec.inputs[0].shape, &shape = spec.inputs[1].shape;
  const int64_t depth = shape.back(), tuples = NumElements(Shape(shape.begin(), shape.end() - 1));
  const int64_t slice = NumElements(Shape(data.begin() + depth, data.end())), count = NumElements(data);
  const std::vector<int64_t> strides = RowMajorStrides(data);
  return VisitElement(op.reduction, spec, [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel(
        [=, reduction = op.reduction](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
          CopyData(in, out, static_cast<size_t>(count) * sizeof(T));
          const Indices indices(in[1]);
          const T* updates = static_cast<const T*>(in[2].data);
          for (int64_t t = 0; t < tuples; ++t, updates += slice) {
            T* cell = static_cast<T*>(out[0].data);
            bool in_range = true;
            for (int64_t k = 0; k < depth && in_range; ++k) {
              const int64_t dim = data[static_cast<size_t>(k)];
              in_range = indices.InRange(t * depth + k, dim);
              cell += in_range ? indices.Position(t * depth + k, dim) * strides[static_cast<size_t>(k)] : 0;
            }
            for (int64_t i = 0; in_range && i < slice; ++i) cell[i] = Combine(reduction, cell[i], updates[i]);
          }
        });
  });
}

}  // namespace precis::kernels
