#ifndef PRECIS_ENGINE_IR_SHAPE_RULES_H_
#define PRECIS_ENGINE_IR_SHAPE_RULES_H_

// The arithmetic of shapes that both the shape rules and the kernels need, once. All functions are pure; errors are InvalidArgument and
// say what is wrong without naming a node (callers add that).

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/ir/op.h"
#include "engine/tensor/tensor.h"

namespace precis::ir {

// `axis` counted from the front; negative ones count from the end.
absl::StatusOr<int64_t> ResolveAxis(int64_t axis, size_t rank);
// The same for a list without duplicates; the order is kept.
absl::StatusOr<Ints> ResolveAxes(std::span<const int64_t> axes, size_t rank);

// numpy broadcasting of two shapes.
absl::StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b);

// Strides (elements) with which a dense tensor of shape `from` is read as if it had shape `to`: 0 along broadcast dimensions.
// Requires that `from` broadcasts to `to`.
Ints BroadcastStrides(const Shape& from, const Shape& to);

// One dimension of a Slice: positions start, start + step, …, `size` of them. step may be negative.
struct SliceRange {
  int64_t start = 0;
  int64_t step = 1;
  int64_t size = 0;
};
// ONNX Slice-13: ranges for every dimension of `shape`. Empty `axes` means the first starts.size(); empty `steps` means 1.
absl::StatusOr<std::vector<SliceRange>> ResolveSlice(const Shape& shape, std::span<const int64_t> starts,
                                                     std::span<const int64_t> ends, std::span<const int64_t> axes,
                                                     std::span<const int64_t> steps);

// Padding per dimension, negative where it crops (ONNX Pad-18). Empty `axes` means all.
struct Padding {
  Ints begin;
  Ints end;
};
absl::StatusOr<Padding> ResolvePads(size_t rank, std::span<const int64_t> pads, std::span<const int64_t> axes);

// Sizes of the parts of a Split of a dimension; empty `split` means `num_outputs` equal parts, the last one smaller if need be.
absl::StatusOr<Ints> ResolveSplit(int64_t dim, std::span<const int64_t> split, int64_t num_outputs);

// Dimensions that a Reduce removes: true per dimension. `axes` absent (nullptr) or empty means all, or none if the operator says so.
absl::StatusOr<std::vector<bool>> ResolveReduction(size_t rank, const Ints* axes, bool noop_with_empty_axes);

// What Resize does along each dimension.
struct ResizeAxis {
  int64_t in = 1;
  int64_t out = 1;
  double scale = 1;      // out / in as the operator counts it; may differ from the ratio of the sizes
  double roi_begin = 0;  // tf_crop_and_resize only
  double roi_end = 1;
};
// Exactly one of `scales` and `sizes` must be non-empty (ONNX Resize-19).
absl::StatusOr<std::vector<ResizeAxis>> ResolveResize(const Resize& op, const Shape& shape, std::span<const float> roi,
                                                      std::span<const float> scales, std::span<const int64_t> sizes);

}  // namespace precis::ir

#endif  // PRECIS_ENGINE_IR_SHAPE_RULES_H_
