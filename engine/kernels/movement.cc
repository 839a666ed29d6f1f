// Operators that rearrange elements: each becomes one StridedCopy (or one per operand), prepared when the kernel is made.
#include <cstring>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "engine/base/status_macros.h"
#include "engine/ir/shape_rules.h"
#include "engine/kernels/make.h"
#include "engine/kernels/nest.h"

namespace precis::kernels {
namespace {

using Ints = std::vector<int64_t>;

// The same bytes under another shape.
absl::StatusOr<Kernel> MakeCopy(const KernelSpec& spec) {
  const size_t bytes = static_cast<size_t>(NumElements(spec.outputs[0].shape)) * SizeOf(spec.outputs[0].dtype);
  return Kernel([bytes](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
    if (bytes != 0 && in[0].data != out[0].data) std::memcpy(out[0].data, in[0].data, bytes);
  });
}

// One copy from input 0 to output 0.
Kernel Apply(StridedCopy copy) {
  return [copy = std::move(copy)](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
    copy(in[0].data, out[0].data);
  };
}

Ints NumbersOf(const KernelSpec& spec, size_t input) {
  if (input >= spec.inputs.size() || spec.inputs[input].constant == nullptr) return {};
  return ToInt64(spec.inputs[input].constant->view());
}

// Reads a tensor of shape `view_shape` in the order of `perm`.
StridedCopy Permute(const Shape& view_shape, const Ints& perm, size_t element_bytes) {
  const Ints strides = RowMajorStrides(view_shape);
  Ints sizes, src;
  for (int64_t axis : perm) {
    sizes.push_back(view_shape[static_cast<size_t>(axis)]);
    src.push_back(strides[static_cast<size_t>(axis)]);
  }
  const Ints dst = RowMajorStrides(sizes);
  return StridedCopy(sizes, src, dst, element_bytes);
}

// Copies between a tensor of shape `whole` and its parts of `sizes` along `axis`; to_parts: whole -> parts.
std::vector<StridedCopy> PartCopies(const Shape& whole, size_t axis, const Ints& sizes, size_t element_bytes,
                                    bool to_parts) {
  std::vector<StridedCopy> copies;
  const Ints strides = RowMajorStrides(whole);
  int64_t start = 0;
  for (int64_t size : sizes) {
    Shape part = whole;
    part[axis] = size;
    const int64_t offset = start * strides[axis];
    to_parts ? copies.emplace_back(part, strides, RowMajorStrides(part), element_bytes, offset, 0)
             : copies.emplace_back(part, RowMajorStrides(part), strides, element_bytes, 0, offset);
    start += size;
  }
  return copies;
}

size_t ElementBytes(const KernelSpec& spec) { return SizeOf(spec.inputs[0].dtype); }

}  // namespace

absl::StatusOr<Kernel> Make(const ir::Identity&, const KernelSpec& spec) { return MakeCopy(spec); }
absl::StatusOr<Kernel> Make(const ir::Reshape&, const KernelSpec& spec) { return MakeCopy(spec); }
absl::StatusOr<Kernel> Make(const ir::Flatten&, const KernelSpec& spec) { return MakeCopy(spec); }
absl::StatusOr<Kernel> Make(const ir::Squeeze&, const KernelSpec& spec) { return MakeCopy(spec); }
absl::StatusOr<Kernel> Make(const ir::Unsqueeze&, const KernelSpec& spec) { return MakeCopy(spec); }

absl::StatusOr<Kernel> Make(const ir::Transpose& op, const KernelSpec& spec) {
  return Apply(Permute(spec.inputs[0].shape, op.perm, ElementBytes(spec)));
}

absl::StatusOr<Kernel> Make(const ir::Concat& op, const KernelSpec& spec) {
  Ints sizes;
  for (const KernelSpec::Operand& input : spec.inputs) {
    if (input.quant != spec.outputs[0].quant) return Unsupported(spec);
    sizes.push_back(input.shape[static_cast<size_t>(op.axis)]);
  }
  auto copies = PartCopies(spec.outputs[0].shape, static_cast<size_t>(op.axis), sizes, ElementBytes(spec), false);
  return Kernel([copies = std::move(copies)](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
    for (size_t i = 0; i < copies.size(); ++i) copies[i](in[i].data, out[0].data);
  });
}

absl::StatusOr<Kernel> Make(const ir::Split& op, const KernelSpec& spec) {
  const auto axis = static_cast<size_t>(op.axis);
  PRECIS_ASSIGN_OR_RETURN(const Ints sizes, ir::ResolveSplit(spec.inputs[0].shape[axis], NumbersOf(spec, 1),
                                                             static_cast<int64_t>(spec.outputs.size())));
  auto copies = PartCopies(spec.inputs[0].shape, axis, sizes, ElementBytes(spec), true);
  return Kernel([copies = std::move(copies)](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
    for (size_t i = 0; i < copies.size(); ++i) {
      if (out[i].data != nullptr) copies[i](in[0].data, out[i].data);
    }
  });
}

absl::StatusOr<Kernel> Make(const ir::Slice&, const KernelSpec& spec) {
  const Shape& x = spec.inputs[0].shape;
  PRECIS_ASSIGN_OR_RETURN(const auto ranges, ir::ResolveSlice(x, NumbersOf(spec, 1), NumbersOf(spec, 2),
                                                              NumbersOf(spec, 3), NumbersOf(spec, 4)));
  const Ints strides = RowMajorStrides(x);
  Ints sizes, src;
  int64_t offset = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sizes.push_back(ranges[i].size);
    src.push_back(ranges[i].size > 1 ? ranges[i].step * strides[i] : 0);  // a step past the end must not overflow
    offset += ranges[i].start * strides[i];
  }
  const Ints dst = RowMajorStrides(sizes);
  return Apply(StridedCopy(sizes, src, dst, ElementBytes(spec), offset));
}

absl::StatusOr<Kernel> Make(const ir::Expand&, const KernelSpec& spec) {
  const Shape& out = spec.outputs[0].shape;
  return Apply(
      StridedCopy(out, ir::BroadcastStrides(spec.inputs[0].shape, out), RowMajorStrides(out), ElementBytes(spec)));
}

absl::StatusOr<Kernel> Make(const ir::Tile&, const KernelSpec& spec) {
  // Every dimension becomes two: the repeats, along which the source stands still, and the dimension itself.
  const Shape &x = spec.inputs[0].shape, &out = spec.outputs[0].shape;
  const Ints in_strides = RowMajorStrides(x), out_strides = RowMajorStrides(out);
  Ints sizes, src, dst;
  for (size_t i = 0; i < x.size(); ++i) {
    sizes.insert(sizes.end(), {x[i] == 0 ? 0 : out[i] / x[i], x[i]});
    src.insert(src.end(), {0, in_strides[i]});
    dst.insert(dst.end(), {x[i] * out_strides[i], out_strides[i]});
  }
  return Apply(StridedCopy(sizes, src, dst, ElementBytes(spec)));
}

absl::StatusOr<Kernel> Make(const ir::DepthToSpace& op, const KernelSpec& spec) {
  const Shape& x = spec.inputs[0].shape;
  const int64_t b = op.block, c = x[1] / (b * b);
  if (op.crd) return Apply(Permute({x[0], c, b, b, x[2], x[3]}, {0, 1, 4, 2, 5, 3}, ElementBytes(spec)));
  return Apply(Permute({x[0], b, b, c, x[2], x[3]}, {0, 3, 4, 1, 5, 2}, ElementBytes(spec)));
}

absl::StatusOr<Kernel> Make(const ir::SpaceToDepth& op, const KernelSpec& spec) {
  const Shape& x = spec.inputs[0].shape;
  const int64_t b = op.block;
  return Apply(Permute({x[0], x[1], x[2] / b, b, x[3] / b, b}, {0, 3, 5, 1, 2, 4}, ElementBytes(spec)));
}

}  // namespace precis::kernels
