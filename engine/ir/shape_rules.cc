// Shape arithmetic as the ONNX operator documents define it (opset 22), written so that no input can overflow: sizes taken from a model
// are bounded by kMaxDim before they are multiplied.
#include "engine/ir/shape_rules.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace precis::ir {
namespace {

constexpr int64_t kMaxDim = int64_t{1} << 40;  // no dimension of a tensor below kMaxTensorBytes is larger

absl::Status Invalid(std::string message) { return absl::InvalidArgumentError(message); }

}  // namespace

absl::StatusOr<int64_t> ResolveAxis(int64_t axis, size_t rank) {
  const auto signed_rank = static_cast<int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) return Invalid(absl::StrCat("axis ", axis, " outside rank ", rank));
  return axis < 0 ? axis + signed_rank : axis;
}

absl::StatusOr<Ints> ResolveAxes(std::span<const int64_t> axes, size_t rank) {
  Ints resolved;
  std::vector<bool> seen(rank, false);
  for (int64_t axis : axes) {
    PRECIS_ASSIGN_OR_RETURN(const int64_t a, ResolveAxis(axis, rank));
    if (seen[static_cast<size_t>(a)]) return Invalid(absl::StrCat("axis ", axis, " given twice"));
    seen[static_cast<size_t>(a)] = true;
    resolved.push_back(a);
  }
  return resolved;
}

absl::StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()));
  for (size_t i = 0; i < out.size(); ++i) {  // i counts from the last dimension
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      return Invalid(absl::StrCat("shapes ", ShapeToString(a), " and ", ShapeToString(b), " do not broadcast"));
    }
    out[out.size() - 1 - i] = x == 1 ? y : x;
  }
  return out;
}

Ints BroadcastStrides(const Shape& from, const Shape& to) {
  const Ints dense = RowMajorStrides(from);
  Ints strides(to.size(), 0);
  const size_t lead = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) strides[lead + i] = from[i] == 1 ? 0 : dense[i];
  return strides;
}

absl::StatusOr<std::vector<SliceRange>> ResolveSlice(const Shape& shape, std::span<const int64_t> starts,
                                                     std::span<const int64_t> ends, std::span<const int64_t> axes,
                                                     std::span<const int64_t> steps) {
  if (ends.size() != starts.size() || (!axes.empty() && axes.size() != starts.size()) ||
      (!steps.empty() && steps.size() != starts.size()) || starts.size() > shape.size()) {
    return Invalid(absl::StrCat(starts.size(), " starts, ", ends.size(), " ends, ", axes.size(), " axes and ",
                                steps.size(), " steps for a tensor of rank ", shape.size()));
  }
  std::vector<SliceRange> ranges(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) ranges[i].size = shape[i];
  Ints all(starts.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = axes.empty() ? static_cast<int64_t>(i) : axes[i];
  PRECIS_ASSIGN_OR_RETURN(const Ints resolved, ResolveAxes(all, shape.size()));
  for (size_t i = 0; i < resolved.size(); ++i) {
    const auto axis = static_cast<size_t>(resolved[i]);
    const int64_t dim = shape[axis];
    const int64_t step = steps.empty() ? 1 : std::clamp(steps[i], -kMaxDim, kMaxDim);
    if (step == 0) return Invalid("step 0");
    const auto from_front = [dim](int64_t x) { return x < 0 ? std::max(x, -kMaxDim) + dim : x; };
    int64_t start = from_front(starts[i]), end = from_front(ends[i]);
    if (step > 0) {
      start = std::clamp<int64_t>(start, 0, dim);
      end = std::clamp<int64_t>(end, 0, dim);
    } else {
      start = std::clamp<int64_t>(start, 0, std::max<int64_t>(dim - 1, 0));
      end = std::clamp<int64_t>(end, -1, dim - 1);
    }
    const int64_t span = step > 0 ? end - start : start - end;
    const int64_t stride = std::abs(step);
    ranges[axis] = {start, step, span <= 0 || dim == 0 ? 0 : (span + stride - 1) / stride};
  }
  return ranges;
}

absl::StatusOr<Padding> ResolvePads(size_t rank, std::span<const int64_t> pads, std::span<const int64_t> axes) {
  const size_t count = axes.empty() ? rank : axes.size();
  if (pads.size() != 2 * count)
    return Invalid(absl::StrCat(pads.size(), " pads for ", count, " axes, want ", 2 * count));
  Padding padding{Ints(rank, 0), Ints(rank, 0)};
  PRECIS_ASSIGN_OR_RETURN(const Ints resolved, ResolveAxes(axes, rank));
  for (size_t i = 0; i < count; ++i) {
    const size_t axis = axes.empty() ? i : static_cast<size_t>(resolved[i]);
    for (int64_t pad : {pads[i], pads[i + count]}) {
      if (pad < -kMaxDim || pad > kMaxDim) return Invalid(absl::StrCat("pad ", pad, " is out of range"));
    }
    padding.begin[axis] = pads[i];
    padding.end[axis] = pads[i + count];
  }
  return padding;
}

absl::StatusOr<Ints> ResolveSplit(int64_t dim, std::span<const int64_t> split, int64_t num_outputs) {
  if (num_outputs < 1) return Invalid("no outputs");
  Ints sizes(split.begin(), split.end());
  if (split.empty()) {
    const int64_t part = (dim + num_outputs - 1) / num_outputs;
    sizes.assign(static_cast<size_t>(num_outputs), part);
    sizes.back() = dim - part * (num_outputs - 1);
  }
  if (static_cast<int64_t>(sizes.size()) != num_outputs) {
    return Invalid(absl::StrCat("split into ", sizes.size(), " parts for ", num_outputs, " outputs"));
  }
  int64_t left = dim;
  for (int64_t size : sizes) {
    if (size < 0 || size > left) return Invalid(absl::StrCat("parts do not add up to the dimension ", dim));
    left -= size;
  }
  if (left != 0) return Invalid(absl::StrCat("parts do not add up to the dimension ", dim));
  return sizes;
}

absl::StatusOr<std::vector<bool>> ResolveReduction(size_t rank, const Ints* axes, bool noop_with_empty_axes) {
  if (axes == nullptr || axes->empty()) return std::vector<bool>(rank, !noop_with_empty_axes);
  PRECIS_ASSIGN_OR_RETURN(const Ints resolved, ResolveAxes(*axes, rank));
  std::vector<bool> reduced(rank, false);
  for (int64_t axis : resolved) reduced[static_cast<size_t>(axis)] = true;
  return reduced;
}

absl::StatusOr<std::vector<ResizeAxis>> ResolveResize(const Resize& op, const Shape& shape, std::span<const float> roi,
                                                      std::span<const float> scales, std::span<const int64_t> sizes) {
  if (scales.empty() == sizes.empty()) return Invalid("want either scales or sizes");
  std::vector<ResizeAxis> axes(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) axes[i].in = axes[i].out = shape[i];
  Ints listed = op.axes;
  if (listed.empty()) {
    for (size_t i = 0; i < shape.size(); ++i) listed.push_back(static_cast<int64_t>(i));
  }
  PRECIS_ASSIGN_OR_RETURN(const Ints resolved, ResolveAxes(listed, shape.size()));
  const size_t count = resolved.size();
  if (std::max(scales.size(), sizes.size()) != count) {
    return Invalid(absl::StrCat(std::max(scales.size(), sizes.size()), " scales or sizes for ", count, " axes"));
  }
  const bool crop = op.coordinates == ResizeCoordinates::kTfCropAndResize;
  if (crop && roi.size() != 2 * count)
    return Invalid(absl::StrCat("roi of ", roi.size(), " numbers, want ", 2 * count));
  for (size_t i = 0; i < count; ++i) {
    ResizeAxis& axis = axes[static_cast<size_t>(resolved[i])];
    if (crop) {
      axis.roi_begin = roi[i];
      axis.roi_end = roi[i + count];
    }
    if (!scales.empty()) {
      axis.scale = scales[i];
      // Sizes are exact products of floats that the exporter rounded: computed in f32, as everyone else does.
      const float out =
          std::floor(static_cast<float>(axis.in) * static_cast<float>(axis.roi_end - axis.roi_begin) * scales[i]);
      if (!(scales[i] > 0) || !(out >= 0 && out < static_cast<float>(kMaxDim)))
        return Invalid(absl::StrCat("scale ", scales[i]));
      axis.out = static_cast<int64_t>(out);
    } else {
      if (sizes[i] < 0 || sizes[i] > kMaxDim) return Invalid(absl::StrCat("size ", sizes[i]));
      if (axis.in == 0 && sizes[i] != 0) return Invalid("an empty dimension cannot be resized");
      axis.out = sizes[i];
      axis.scale = axis.in == 0 ? 1.0 : static_cast<double>(sizes[i]) / static_cast<double>(axis.in);
    }
  }
  if (!sizes.empty() && op.policy != ResizePolicy::kStretch) {
    double scale = axes[static_cast<size_t>(resolved[0])].scale;
    for (int64_t a : resolved) {
      const double other = axes[static_cast<size_t>(a)].scale;
      scale = op.policy == ResizePolicy::kNotLarger ? std::min(scale, other) : std::max(scale, other);
    }
    for (int64_t a : resolved) {
      ResizeAxis& axis = axes[static_cast<size_t>(a)];
      axis.scale = scale;
      axis.out = static_cast<int64_t>(std::floor(scale * static_cast<double>(axis.in) + 0.5));
    }
  }
  return axes;
}

}  // namespace precis::ir
