// Gather, GatherElements and GatherNd (ONNX opset 13). An index out of range reads the nearest element that exists: a kernel has no way to
// fail, and must not read outside its tensors.
#include <cstring>
#include <memory>
#include <vector>

#include "engine/kernels/element.h"
#include "engine/kernels/indices.h"
#include "engine/kernels/make.h"
#include "engine/kernels/nest.h"

namespace precis::kernels {
namespace {

int64_t Product(const Shape& shape, size_t begin, size_t end) {
  return NumElements(
      Shape(shape.begin() + static_cast<std::ptrdiff_t>(begin), shape.begin() + static_cast<std::ptrdiff_t>(end)));
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::Gather& op, const KernelSpec& spec) {
  const Shape& data = spec.inputs[0].shape;
  const auto axis = static_cast<size_t>(op.axis);
  const int64_t outer = Product(data, 0, axis), dim = data[axis], inner = Product(data, axis + 1, data.size());
  const int64_t count = NumElements(spec.inputs[1].shape);
  return VisitSize(SizeOf(spec.inputs[0].dtype), [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel([=](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
      const Indices indices(in[1]);
      const T* src = static_cast<const T*>(in[0].data);
      T* dst = static_cast<T*>(out[0].data);
      for (int64_t o = 0; o < outer; ++o, src += dim * inner) {
        for (int64_t i = 0; i < count; ++i, dst += inner) {
          const T* from = src + indices.Position(i, dim) * inner;
          inner == 1 ? void(*dst = *from) : void(std::memcpy(dst, from, static_cast<size_t>(inner) * sizeof(T)));
        }
      }
    });
  });
}

absl::StatusOr<Kernel> Make(const ir::GatherElements& op, const KernelSpec& spec) {
  const Shape &data = spec.inputs[0].shape, &shape = spec.inputs[1].shape;
  const int64_t dim = data[static_cast<size_t>(op.axis)];
  std::vector<int64_t> strides = RowMajorStrides(data);
  const int64_t axis_stride = strides[static_cast<size_t>(op.axis)];
  strides[static_cast<size_t>(op.axis)] = 0;  // the index says where
  const Nest nest(shape, {RowMajorStrides(shape), strides});
  return VisitSize(SizeOf(spec.inputs[0].dtype), [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel([=](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
      const Indices indices(in[1]);
      const T* src = static_cast<const T*>(in[0].data);
      T* dst = static_cast<T*>(out[0].data);
      const int64_t at_stride = nest.inner_stride(0), src_stride = nest.inner_stride(1);
      Walk<2>(nest, 1, [&](const auto& at) {
        for (int64_t i = 0; i < nest.inner_size(); ++i) {
          const int64_t here = at[0] + i * at_stride;
          dst[here] = src[at[1] + i * src_stride + indices.Position(here, dim) * axis_stride];
        }
      });
    });
  });
}

absl::StatusOr<Kernel> Make(const ir::GatherNd& op, const KernelSpec& spec) {
  const Shape &data = spec.inputs[0].shape, &shape = spec.inputs[1].shape;
  const auto batch_dims = static_cast<size_t>(op.batch_dims), depth = static_cast<size_t>(shape.back());
  const int64_t batches = Product(data, 0, batch_dims), batch_size = Product(data, batch_dims, data.size());
  const int64_t tuples = Product(shape, batch_dims, shape.size() - 1);
  const int64_t slice = Product(data, batch_dims + depth, data.size());
  const std::vector<int64_t> strides = RowMajorStrides(data);
  const std::vector<int64_t> dims(data.begin() + op.batch_dims, data.begin() + op.batch_dims + shape.back());
  const std::vector<int64_t> steps(strides.begin() + op.batch_dims, strides.begin() + op.batch_dims + shape.back());
  return VisitSize(SizeOf(spec.inputs[0].dtype), [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel([=](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
      const Indices indices(in[1]);
      T* dst = static_cast<T*>(out[0].data);
      for (int64_t t = 0; t < batches * tuples; ++t, dst += slice) {
        const T* src = static_cast<const T*>(in[0].data) + t / tuples * batch_size;
        for (size_t k = 0; k < depth; ++k)
          src += indices.Position(t * static_cast<int64_t>(depth) + static_cast<int64_t>(k), dims[k]) * steps[k];
        std::memcpy(dst, src, static_cast<size_t>(slice) * sizeof(T));
      }
    });
  });
}

}  // namespace precis::kernels
