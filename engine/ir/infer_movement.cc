// Shape rules of the operators that move data or make it from shapes (ONNX opset 22).
#include <algorithm>
#include <cmath>

#include "engine/base/status_macros.h"
#include "engine/ir/infer.h"
#include "engine/ir/infer_rules.h"
#include "engine/ir/shape_rules.h"

namespace precis::ir {
namespace {

absl::Status InferBlocks(const Rule& rule, int64_t block, bool to_space) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  const Shape& x = rule.shape(0);
  if (x.size() != 4) return rule.Error("rank ", x.size(), ", want 4");
  if (block < 1 || block > (int64_t{1} << 16)) return rule.Error("block size ", block);
  if (to_space) {
    if (x[1] % (block * block) != 0) return rule.Error(x[1], " channels, want a multiple of ", block * block);
    return rule.Output(0, rule.dtype(0), {x[0], x[1] / (block * block), x[2] * block, x[3] * block});
  }
  if (x[2] % block != 0 || x[3] % block != 0)
    return rule.Error("shape ", ShapeToString(x), " does not divide into blocks of ", block);
  return rule.Output(0, rule.dtype(0), {x[0], x[1] * block * block, x[2] / block, x[3] / block});
}

absl::Status CheckScatter(const Rule& rule) {
  PRECIS_RETURN_IF_ERROR(rule.Need(3));
  PRECIS_RETURN_IF_ERROR(rule.WantIndices(1));
  return rule.SameType(0, 2);
}

// indices of GatherElements and ScatterElements: same rank as the data, no larger than it away from the axis.
absl::Status CheckElementIndices(const Rule& rule, int64_t& axis) {
  PRECIS_RETURN_IF_ERROR(rule.FixAxis(axis, rule.rank(0)));
  const Shape &data = rule.shape(0), &indices = rule.shape(1);
  bool fits = indices.size() == data.size();
  for (size_t i = 0; fits && i < data.size(); ++i) fits = static_cast<int64_t>(i) == axis || indices[i] <= data[i];
  if (fits) return absl::OkStatus();
  return rule.Error("indices ", ShapeToString(indices), " do not fit data ", ShapeToString(data), " along axis ", axis);
}

// Number of values of Range, as floor((limit - start) / delta) rounded up; negative when it is no sensible number.
template <typename T>
int64_t RangeLength(const Tensor& start, const Tensor& limit, const Tensor& delta) {
  const double count = std::ceil((static_cast<double>(limit.As<T>()[0]) - static_cast<double>(start.As<T>()[0])) /
                                 static_cast<double>(delta.As<T>()[0]));
  return !(count < 0x1p40) ? -1 : static_cast<int64_t>(std::max(count, 0.0));
}

}  // namespace

absl::Status Infer(const Rule& rule, Identity&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  return rule.Output(0, rule.dtype(0), rule.shape(0));
}

absl::Status Infer(const Rule& rule, Reshape& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  PRECIS_ASSIGN_OR_RETURN(Shape out, rule.Ints(1, "shape"));
  const Shape& x = rule.shape(0);
  const auto fail = [&] { return rule.Error(ShapeToString(x), " cannot be reshaped to ", ShapeToString(out)); };
  int64_t known = 1;
  size_t unknown = out.size();
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i] == 0 && !op.allow_zero) {
      if (i >= x.size()) return fail();
      out[i] = x[i];
    }
    if (out[i] == -1) {
      if (unknown != out.size()) return fail();
      unknown = i;
      continue;
    }
    if (out[i] < 0 || (out[i] != 0 && known > kMaxTensorBytes / out[i])) return fail();
    known *= out[i];
  }
  const int64_t count = NumElements(x);
  if (unknown != out.size()) {
    if (known == 0 || count % known != 0) return fail();
    out[unknown] = count / known;
  } else if (known != count) {
    return fail();
  }
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, Flatten& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  const Shape& x = rule.shape(0);
  const auto rank = static_cast<int64_t>(x.size());
  if (op.axis < -rank || op.axis > rank) return rule.Error("axis ", op.axis, " outside rank ", rank);
  if (op.axis < 0) op.axis += rank;
  const auto split = x.begin() + op.axis;
  return rule.Output(0, rule.dtype(0), {NumElements(Shape(x.begin(), split)), NumElements(Shape(split, x.end()))});
}

absl::Status Infer(const Rule& rule, Squeeze&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  const Shape& x = rule.shape(0);
  PRECIS_ASSIGN_OR_RETURN(const auto listed, rule.Ints(1, "axes"));
  const auto axes = ResolveAxes(listed, x.size());
  if (!axes.ok()) return rule.Named(axes.status());
  Shape out;
  for (size_t i = 0; i < x.size(); ++i) {
    const bool named = std::find(axes->begin(), axes->end(), static_cast<int64_t>(i)) != axes->end();
    if (named && x[i] != 1) return rule.Error("dimension ", i, " is ", x[i], ", only 1 can be squeezed");
    if (!(rule.Has(1) ? named : x[i] == 1)) out.push_back(x[i]);
  }
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, Unsqueeze&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  const Shape& x = rule.shape(0);
  PRECIS_ASSIGN_OR_RETURN(const auto listed, rule.Ints(1, "axes"));
  const size_t rank = x.size() + listed.size();
  const auto axes = ResolveAxes(listed, rank);
  if (!axes.ok()) return rule.Named(axes.status());
  Shape out(rank, 0);
  for (int64_t axis : *axes) out[static_cast<size_t>(axis)] = 1;
  auto next = x.begin();
  std::vector<bool> fresh(rank, false);
  for (int64_t axis : *axes) fresh[static_cast<size_t>(axis)] = true;
  for (size_t i = 0; i < rank; ++i) {
    if (!fresh[i]) out[i] = *next++;
  }
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, Transpose& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  const Shape& x = rule.shape(0);
  if (op.perm.empty()) {
    for (size_t i = x.size(); i-- > 0;) op.perm.push_back(static_cast<int64_t>(i));
  }
  auto perm = ResolveAxes(op.perm, x.size());
  if (!perm.ok() || perm->size() != x.size())
    return rule.Error(ShapeToString(op.perm), " does not permute ", x.size(), " dimensions");
  op.perm = *std::move(perm);
  Shape out;
  for (int64_t axis : op.perm) out.push_back(x[static_cast<size_t>(axis)]);
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, Concat& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(std::max<size_t>(rule.num_inputs(), 1)));
  PRECIS_RETURN_IF_ERROR(rule.FixAxis(op.axis, rule.rank(0)));
  Shape out = rule.shape(0);
  for (size_t i = 1; i < rule.num_inputs(); ++i) {
    PRECIS_RETURN_IF_ERROR(rule.SameType(0, i));
    Shape other = rule.shape(i);
    if (other.size() == out.size()) {
      const int64_t dim = other[static_cast<size_t>(op.axis)];
      other[static_cast<size_t>(op.axis)] = out[static_cast<size_t>(op.axis)];
      if (other == out) {
        out[static_cast<size_t>(op.axis)] += dim;
        continue;
      }
    }
    return rule.Error("input ", i, " of shape ", ShapeToString(rule.shape(i)), " does not fit ",
                      ShapeToString(rule.shape(0)), " along axis ", op.axis);
  }
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, Split& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  PRECIS_RETURN_IF_ERROR(rule.FixAxis(op.axis, rule.rank(0)));
  PRECIS_ASSIGN_OR_RETURN(const auto split, rule.Ints(1, "split"));
  op.num_outputs = static_cast<int64_t>(rule.num_outputs());
  const auto sizes = ResolveSplit(rule.shape(0)[static_cast<size_t>(op.axis)], split, op.num_outputs);
  if (!sizes.ok()) return rule.Named(sizes.status());
  for (size_t i = 0; i < sizes->size(); ++i) {
    Shape out = rule.shape(0);
    out[static_cast<size_t>(op.axis)] = (*sizes)[i];
    PRECIS_RETURN_IF_ERROR(rule.Output(i, rule.dtype(0), std::move(out)));
  }
  return absl::OkStatus();
}

absl::Status Infer(const Rule& rule, Slice&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(3));
  PRECIS_ASSIGN_OR_RETURN(const auto starts, rule.Ints(1, "starts"));
  PRECIS_ASSIGN_OR_RETURN(const auto ends, rule.Ints(2, "ends"));
  PRECIS_ASSIGN_OR_RETURN(const auto axes, rule.Ints(3, "axes"));
  PRECIS_ASSIGN_OR_RETURN(const auto steps, rule.Ints(4, "steps"));
  const auto ranges = ResolveSlice(rule.shape(0), starts, ends, axes, steps);
  if (!ranges.ok()) return rule.Named(ranges.status());
  Shape out;
  for (const SliceRange& range : *ranges) out.push_back(range.size);
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, Gather& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  PRECIS_RETURN_IF_ERROR(rule.WantIndices(1));
  const Shape &data = rule.shape(0), &indices = rule.shape(1);
  PRECIS_RETURN_IF_ERROR(rule.FixAxis(op.axis, data.size()));
  if (data[static_cast<size_t>(op.axis)] == 0 && NumElements(indices) != 0)
    return rule.Error("dimension ", op.axis, " is empty");
  Shape out(data.begin(), data.begin() + op.axis);
  out.insert(out.end(), indices.begin(), indices.end());
  out.insert(out.end(), data.begin() + op.axis + 1, data.end());
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, GatherElements& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  PRECIS_RETURN_IF_ERROR(rule.WantIndices(1));
  PRECIS_RETURN_IF_ERROR(CheckElementIndices(rule, op.axis));
  if (rule.shape(0)[static_cast<size_t>(op.axis)] == 0 && NumElements(rule.shape(1)) != 0) {
    return rule.Error("dimension ", op.axis, " is empty");
  }
  return rule.Output(0, rule.dtype(0), rule.shape(1));
}

absl::Status Infer(const Rule& rule, GatherNd& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  PRECIS_RETURN_IF_ERROR(rule.WantIndices(1));
  const Shape &data = rule.shape(0), &indices = rule.shape(1);
  const int64_t batch = op.batch_dims;
  if (batch < 0 || indices.empty() || batch >= static_cast<int64_t>(std::min(data.size(), indices.size()))) {
    return rule.Error("batch_dims ", batch, " for data ", ShapeToString(data), " and indices ", ShapeToString(indices));
  }
  const int64_t depth = indices.back();
  if (depth < 1 || batch + depth > static_cast<int64_t>(data.size()) ||
      !std::equal(data.begin(), data.begin() + batch, indices.begin())) {
    return rule.Error("indices ", ShapeToString(indices), " do not fit data ", ShapeToString(data), " with batch_dims ",
                      batch);
  }
  Shape out(indices.begin(), indices.end() - 1);
  const Shape indexed(data.begin() + batch, data.begin() + batch + depth);
  if (NumElements(indexed) == 0 && NumElements(out) != 0)
    return rule.Error("indices into empty dimensions of ", ShapeToString(data));
  out.insert(out.end(), data.begin() + batch + depth, data.end());
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, ScatterElements& op) {
  PRECIS_RETURN_IF_ERROR(CheckScatter(rule));
  PRECIS_RETURN_IF_ERROR(CheckElementIndices(rule, op.axis));
  if (rule.shape(2) != rule.shape(1))
    return rule.Error("updates ", ShapeToString(rule.shape(2)), ", want ", ShapeToString(rule.shape(1)));
  return rule.Output(0, rule.dtype(0), rule.shape(0));
}

absl::Status Infer(const Rule& rule, ScatterNd&) {
  PRECIS_RETURN_IF_ERROR(CheckScatter(rule));
  const Shape &data = rule.shape(0), &indices = rule.shape(1);
  const int64_t depth = indices.empty() ? 0 : indices.back();
  if (depth < 1 || depth > static_cast<int64_t>(data.size())) {
    return rule.Error("indices ", ShapeToString(indices), " do not fit data ", ShapeToString(data));
  }
  Shape want(indices.begin(), indices.end() - 1);
  want.insert(want.end(), data.begin() + depth, data.end());
  if (rule.shape(2) != want)
    return rule.Error("updates ", ShapeToString(rule.shape(2)), ", want ", ShapeToString(want));
  return rule.Output(0, rule.dtype(0), data);
}

absl::Status Infer(const Rule& rule, Expand&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  PRECIS_ASSIGN_OR_RETURN(const auto target, rule.Ints(1, "shape"));
  if (CheckedNumElements(target, kMaxTensorBytes) < 0)
    return rule.Error("shape ", ShapeToString(target), " is out of range");
  auto out = BroadcastShapes(rule.shape(0), target);
  if (!out.ok()) return rule.Named(out.status());
  return rule.Output(0, rule.dtype(0), *std::move(out));
}

absl::Status Infer(const Rule& rule, Tile&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  PRECIS_ASSIGN_OR_RETURN(const auto repeats, rule.Ints(1, "repeats"));
  Shape out = rule.shape(0);
  if (repeats.size() != out.size()) return rule.Error(repeats.size(), " repeats, want ", out.size());
  for (size_t i = 0; i < out.size(); ++i) {
    if (repeats[i] < 0 || repeats[i] > kMaxTensorBytes ||
        CheckedNumElements({out[i], repeats[i]}, kMaxTensorBytes) < 0) {
      return rule.Error("repeats ", ShapeToString(repeats), " are out of range");
    }
    out[i] *= repeats[i];
  }
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, Pad& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  PRECIS_ASSIGN_OR_RETURN(const auto pads, rule.Ints(1, "pads"));
  PRECIS_ASSIGN_OR_RETURN(const auto axes, rule.Ints(3, "axes"));
  const Shape& x = rule.shape(0);
  const auto padding = ResolvePads(x.size(), pads, axes);
  if (!padding.ok()) return rule.Named(padding.status());
  Shape out = x;
  for (size_t i = 0; i < x.size(); ++i) {
    const int64_t begin = padding->begin[i], end = padding->end[i];
    out[i] += begin + end;
    if (out[i] < 0) return rule.Error("pads crop more than dimension ", i, " has");
    if (op.mode == PadMode::kConstant) continue;
    const int64_t most = std::max(begin, end), left = x[i] + std::min<int64_t>(begin, 0) + std::min<int64_t>(end, 0);
    if (most > 0 && (left < 1 || (op.mode == PadMode::kReflect && most > left - 1))) {
      return rule.Error("pad ", most, " of dimension ", i, " is larger than its ", left, " cells allow");
    }
  }
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, ShapeOf& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  const auto rank = static_cast<int64_t>(rule.rank(0));
  const auto clamp = [rank](int64_t x) { return std::clamp<int64_t>(x < 0 ? std::max(x, -rank) + rank : x, 0, rank); };
  op.start = clamp(op.start);
  op.end = std::max(op.start, clamp(op.end));
  return rule.Output(0, DataType::kS64, {op.end - op.start});
}

absl::Status Infer(const Rule& rule, SizeOf&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  return rule.Output(0, DataType::kS64, {});
}

absl::Status Infer(const Rule& rule, ConstantOfShape& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  PRECIS_ASSIGN_OR_RETURN(Shape shape, rule.Ints(0, "shape"));
  if (op.value.empty()) op.value.assign(precis::SizeOf(op.dtype), std::byte{0});
  if (op.value.size() != precis::SizeOf(op.dtype))
    return rule.Error("value of ", op.value.size(), " bytes for ", Name(op.dtype));
  return rule.Output(0, op.dtype, std::move(shape));
}

absl::Status Infer(const Rule& rule, Range&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(3));
  for (size_t i : {0, 1, 2}) {
    PRECIS_RETURN_IF_ERROR(rule.SameType(0, i));
    if (NumElements(rule.shape(i)) != 1)
      return rule.Error("input ", i, " of shape ", ShapeToString(rule.shape(i)), ", want a scalar");
  }
  const Tensor* operands[3];
  for (size_t i : {0, 1, 2}) {
    PRECIS_ASSIGN_OR_RETURN(operands[i], rule.Constant(i, "a bound"));
  }
  int64_t count = -1;
  switch (rule.dtype(0)) {
    case DataType::kF32: count = RangeLength<float>(*operands[0], *operands[1], *operands[2]); break;
    case DataType::kF64: count = RangeLength<double>(*operands[0], *operands[1], *operands[2]); break;
    case DataType::kS16: count = RangeLength<int16_t>(*operands[0], *operands[1], *operands[2]); break;
    case DataType::kS32: count = RangeLength<int32_t>(*operands[0], *operands[1], *operands[2]); break;
    case DataType::kS64: count = RangeLength<int64_t>(*operands[0], *operands[1], *operands[2]); break;
    default: return rule.Error("range of ", Name(rule.dtype(0)), ", want f32, f64, s16, s32 or s64");
  }
  if (count < 0) return rule.Error("bounds and delta make no finite range");
  return rule.Output(0, rule.dtype(0), {count});
}

absl::Status Infer(const Rule& rule, DepthToSpace& op) { return InferBlocks(rule, op.block, true); }

absl::Status Infer(const Rule& rule, SpaceToDepth& op) { return InferBlocks(rule, op.block, false); }

absl::Status Infer(const Rule& rule, EyeLike& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  if (rule.rank(0) != 2) return rule.Error("rank ", rule.rank(0), ", want 2");
  return rule.Output(0, op.dtype, rule.shape(0));
}

absl::Status Infer(const Rule& rule, NonZero&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  PRECIS_ASSIGN_OR_RETURN(const Tensor* x, rule.Constant(0, "its input, which decides the shape of the result,"));
  int64_t count = 0;
  if (x->dtype() == DataType::kF64) {
    for (double v : x->As<double>()) count += v != 0;
  } else if (IsFloat(x->dtype())) {
    for (float v : ToFloat(x->view())) count += v != 0;
  } else {
    for (int64_t v : ToInt64(x->view())) count += v != 0;
  }
  return rule.Output(0, DataType::kS64, {static_cast<int64_t>(rule.rank(0)), count});
}

absl::Status Infer(const Rule& rule, GridSample& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  const Shape &x = rule.shape(0), &grid = rule.shape(1);
  if (x.size() < 3 || x.size() > 5 || grid.size() != x.size() || grid.back() != static_cast<int64_t>(x.size()) - 2 ||
      grid[0] != x[0]) {
    return rule.Error("x ", ShapeToString(x), " and grid ", ShapeToString(grid), " do not fit");
  }
  if (op.mode == ResizeMode::kCubic && x.size() == 5) return rule.Error("cubic interpolation in three dimensions");
  for (size_t i = 2; i < x.size(); ++i) {
    if (x[i] < 1) return rule.Error("x ", ShapeToString(x), " has an empty dimension");
  }
  PRECIS_RETURN_IF_ERROR(rule.SameType(0, 1));
  Shape out = {x[0], x[1]};
  out.insert(out.end(), grid.begin() + 1, grid.end() - 1);
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, RoiAlign& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(3));
  const Shape &x = rule.shape(0), &rois = rule.shape(1);
  if (x.size() != 4 || x[2] < 1 || x[3] < 1 || rois.size() != 2 || rois[1] != 4)
    return rule.Error("x ", ShapeToString(x), " and rois ", ShapeToString(rois), ", want [N,C,H,W] and [R,4]");
  PRECIS_RETURN_IF_ERROR(rule.SameType(0, 1));
  PRECIS_RETURN_IF_ERROR(rule.WantVector(2, "batch_indices", rois[0]));
  PRECIS_RETURN_IF_ERROR(rule.WantIndices(2));
  constexpr int64_t kMostPoints = 1024;  // per cell and dimension
  if (op.output_height < 1 || op.output_width < 1 || op.sampling_ratio < 0 || op.sampling_ratio > kMostPoints)
    return rule.Error("output ", op.output_height, " x ", op.output_width, ", sampling ratio ", op.sampling_ratio);
  return rule.Output(0, rule.dtype(0), {rois[0], x[1], op.output_height, op.output_width});
}

absl::Status Infer(const Rule& rule, Resize& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  std::vector<float> roi;
  if (op.coordinates == ResizeCoordinates::kTfCropAndResize) {
    PRECIS_ASSIGN_OR_RETURN(roi, rule.Floats(1, "roi"));
  }
  PRECIS_ASSIGN_OR_RETURN(const auto scales, rule.Floats(2, "scales"));
  PRECIS_ASSIGN_OR_RETURN(const auto sizes, rule.Ints(3, "sizes"));
  const auto axes = ResolveResize(op, rule.shape(0), roi, scales, sizes);
  if (!axes.ok()) return rule.Named(axes.status());
  Shape out;
  for (const ResizeAxis& axis : *axes) out.push_back(axis.out);
  return rule.Output(0, rule.dtype(0), std::move(out));
}

}  // namespace precis::ir
