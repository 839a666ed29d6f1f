// Shape rules of convolutions, matrix products, pooling and normalisation (ONNX Conv-22, ConvTranspose-22, MatMul-13, Gemm-13,
// MaxPool-22, AveragePool-22, LayerNormalization-17 …). Window attributes become explicit numbers.
#include <algorithm>

#include "engine/base/status_macros.h"
#include "engine/ir/infer_rules.h"
#include "engine/ir/shape_rules.h"

namespace precis::ir {
namespace {

constexpr int64_t kMaxWindow = int64_t{1}
                               << 31;  // of kernels, strides, dilations, pads: keeps their products within 64 bits

absl::Status FixList(const Rule& rule, const char* what, Ints& list, size_t spatial, int64_t fill, int64_t least) {
  if (list.empty()) list.assign(spatial, fill);
  if (list.size() != spatial) return rule.Error(list.size(), " ", what, ", want ", spatial);
  for (int64_t x : list) {
    if (x < least || x >= kMaxWindow) return rule.Error(what, " hold ", x, ", want at least ", least);
  }
  return absl::OkStatus();
}

// Fills in defaults and checks ranges; kernel must be set.
absl::Status FixWindow(const Rule& rule, Window& w, size_t spatial) {
  PRECIS_RETURN_IF_ERROR(FixList(rule, "kernel sizes", w.kernel, spatial, 1, 1));
  PRECIS_RETURN_IF_ERROR(FixList(rule, "strides", w.strides, spatial, 1, 1));
  PRECIS_RETURN_IF_ERROR(FixList(rule, "dilations", w.dilations, spatial, 1, 1));
  PRECIS_RETURN_IF_ERROR(FixList(rule, "leading pads", w.pads_begin, spatial, 0, 0));
  return FixList(rule, "trailing pads", w.pads_end, spatial, 0, 0);
}

// Cells that a dilated kernel covers.
int64_t Extent(const Window& w, size_t i) { return (w.kernel[i] - 1) * w.dilations[i] + 1; }

// Splits `total` into a leading and a trailing part; the odd cell goes to the end for SAME_UPPER.
void SetPads(Window& w, size_t i, int64_t total, bool odd_at_end) {
  w.pads_begin[i] = odd_at_end ? total / 2 : total - total / 2;
  w.pads_end[i] = total - w.pads_begin[i];
}

// Turns auto_pad into pads for a window that slides over `in` cells per spatial dimension.
void ResolveAutoPad(Window& w, const Shape& src) {
  if (w.auto_pad == AutoPad::kExplicit) return;
  for (size_t i = 0; i < w.kernel.size(); ++i) {
    const int64_t in = src[i + 2], out = (in + w.strides[i] - 1) / w.strides[i];
    const int64_t total =
        w.auto_pad == AutoPad::kValid ? 0 : std::max<int64_t>(0, (out - 1) * w.strides[i] + Extent(w, i) - in);
    SetPads(w, i, total, w.auto_pad == AutoPad::kSameUpper);
  }
  w.auto_pad = AutoPad::kExplicit;
}

absl::StatusOr<int64_t> SlidingOutput(const Rule& rule, const Window& w, size_t i, int64_t in, bool ceil_mode) {
  const int64_t padded = in + w.pads_begin[i] + w.pads_end[i];
  if (padded < Extent(w, i)) {
    return rule.Error("spatial dimension ", i, " has ", padded, " cells with pads, the kernel covers ", Extent(w, i));
  }
  const int64_t room = padded - Extent(w, i);
  int64_t out = room / w.strides[i] + 1;
  // A window added by ceil_mode must start inside the source or its leading pad.
  if (ceil_mode && room % w.strides[i] != 0 && out * w.strides[i] < in + w.pads_begin[i]) ++out;
  return out;
}

absl::Status CheckConvOperands(const Rule& rule, const Window& w, int64_t groups) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  const size_t rank = rule.rank(0);
  if (rank < 3) return rule.Error("source rank ", rank, ", want at least 3");
  if (rule.rank(1) != rank) return rule.Error("weights rank ", rule.rank(1), ", want ", rank);
  PRECIS_RETURN_IF_ERROR(rule.SameType(0, 1));
  const Shape& weights = rule.shape(1);
  if (groups < 1 || weights[0] % groups != 0)
    return rule.Error(groups, " groups do not divide the weights' ", weights[0]);
  const Ints from_weights(weights.begin() + 2, weights.end());
  if (!w.kernel.empty() && w.kernel != from_weights) {
    return rule.Error("kernel_shape ", ShapeToString(w.kernel), " and weights ", ShapeToString(weights), " disagree");
  }
  return absl::OkStatus();
}

// x [N,C,…] with per-channel vectors as inputs 1 … count.
absl::Status InferChannelwise(const Rule& rule, size_t count) {
  PRECIS_RETURN_IF_ERROR(rule.Need(count + 1));
  if (rule.rank(0) < 2) return rule.Error("source rank ", rule.rank(0), ", want at least 2");
  for (size_t i = 1; i <= count; ++i) PRECIS_RETURN_IF_ERROR(rule.WantVector(i, "per-channel input", rule.shape(0)[1]));
  return rule.Output(0, rule.dtype(0), rule.shape(0));
}

}  // namespace

absl::Status Infer(const Rule& rule, Conv& op) {
  PRECIS_RETURN_IF_ERROR(CheckConvOperands(rule, op.window, op.groups));
  const Shape &src = rule.shape(0), &weights = rule.shape(1);
  if (src[1] != weights[1] * op.groups) {
    return rule.Error("source has ", src[1], " channels, want ", weights[1], " x ", op.groups, " groups");
  }
  PRECIS_RETURN_IF_ERROR(rule.WantVector(2, "bias", weights[0]));
  op.window.kernel.assign(weights.begin() + 2, weights.end());
  PRECIS_RETURN_IF_ERROR(FixWindow(rule, op.window, src.size() - 2));
  ResolveAutoPad(op.window, src);
  Shape out = {src[0], weights[0]};
  for (size_t i = 0; i < op.window.kernel.size(); ++i) {
    PRECIS_ASSIGN_OR_RETURN(const int64_t dim, SlidingOutput(rule, op.window, i, src[i + 2], false));
    out.push_back(dim);
  }
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, ConvTranspose& op) {
  PRECIS_RETURN_IF_ERROR(CheckConvOperands(rule, op.window, op.groups));
  const Shape &src = rule.shape(0), &weights = rule.shape(1);
  if (src[1] != weights[0]) return rule.Error("source has ", src[1], " channels, want ", weights[0]);
  const size_t spatial = src.size() - 2;
  Window& w = op.window;
  w.kernel.assign(weights.begin() + 2, weights.end());
  PRECIS_RETURN_IF_ERROR(FixWindow(rule, w, spatial));
  PRECIS_RETURN_IF_ERROR(FixList(rule, "output paddings", op.output_padding, spatial, 0, 0));
  if (weights[1] > kMaxWindow || op.groups > kMaxWindow) return rule.Error("too many channels");
  PRECIS_RETURN_IF_ERROR(rule.WantVector(2, "bias", weights[1] * op.groups));
  if (op.output_shape.size() == src.size()) op.output_shape.erase(op.output_shape.begin(), op.output_shape.begin() + 2);
  if (!op.output_shape.empty() && op.output_shape.size() != spatial) {
    return rule.Error("output_shape of ", op.output_shape.size(), " numbers, want ", spatial);
  }
  Shape out = {src[0], weights[1] * op.groups};
  for (size_t i = 0; i < spatial; ++i) {
    const int64_t in = src[i + 2];
    if (in < 1) return rule.Error("spatial dimension ", i, " is empty");
    const int64_t full = w.strides[i] * (in - 1) + op.output_padding[i] + Extent(w, i);
    const bool same = w.auto_pad == AutoPad::kSameUpper || w.auto_pad == AutoPad::kSameLower;
    if (same || !op.output_shape.empty()) {
      const int64_t wanted = op.output_shape.empty() ? in * w.strides[i] : op.output_shape[i];
      // An output larger than the kernel reaches gets rows of bias alone at its end.
      op.output_padding[i] += std::max<int64_t>(0, wanted - full);
      SetPads(w, i, std::max<int64_t>(0, full - wanted), w.auto_pad == AutoPad::kSameUpper);
    } else if (w.auto_pad == AutoPad::kValid) {
      SetPads(w, i, 0, true);
    }
    const int64_t dim = w.strides[i] * (in - 1) + op.output_padding[i] + Extent(w, i) - w.pads_begin[i] - w.pads_end[i];
    if (dim < 1) return rule.Error("output dimension ", i, " would be ", dim);
    out.push_back(dim);
  }
  w.auto_pad = AutoPad::kExplicit;
  op.output_shape.clear();
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, MatMul& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  PRECIS_RETURN_IF_ERROR(rule.SameType(0, 1));
  Shape a = rule.shape(0), b = rule.shape(1);
  if (a.empty() || b.empty()) return rule.Error("a scalar operand, want rank 1 or more");
  const bool row = a.size() == 1, column = b.size() == 1;
  if (row) a.insert(a.begin(), 1);
  if (column) b.push_back(1);
  if (op.transpose_a && !row) std::swap(a[a.size() - 1], a[a.size() - 2]);
  if (op.transpose_b && !column) std::swap(b[b.size() - 1], b[b.size() - 2]);
  const int64_t m = a[a.size() - 2], k = a.back(), n = b.back();
  if (b[b.size() - 2] != k) {
    return rule.Error("inner dimensions ", k, " and ", b[b.size() - 2], " of ", ShapeToString(rule.shape(0)), " and ",
                      ShapeToString(rule.shape(1)), " differ");
  }
  const auto batch = BroadcastShapes(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  if (!batch.ok()) return rule.Named(batch.status());
  Shape out = *batch;
  if (!row) out.push_back(m);
  if (!column) out.push_back(n);
  if (rule.Has(2)) {
    const auto with_bias = BroadcastShapes(rule.shape(2), out);
    if (!with_bias.ok() || *with_bias != out) {
      return rule.Error("bias ", ShapeToString(rule.shape(2)), " does not broadcast to ", ShapeToString(out));
    }
  }
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, Pool& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  const Shape& src = rule.shape(0);
  if (src.size() < 3) return rule.Error("source rank ", src.size(), ", want at least 3");
  if (op.window.kernel.empty()) return rule.Error("no kernel_shape");
  PRECIS_RETURN_IF_ERROR(FixWindow(rule, op.window, src.size() - 2));
  if (op.window.auto_pad != AutoPad::kExplicit) op.ceil_mode = false;  // the pads make the windows fit
  ResolveAutoPad(op.window, src);
  Shape out = {src[0], src[1]};
  for (size_t i = 0; i < op.window.kernel.size(); ++i) {
    PRECIS_ASSIGN_OR_RETURN(const int64_t dim, SlidingOutput(rule, op.window, i, src[i + 2], op.ceil_mode));
    out.push_back(dim);
  }
  if (op.kind == PoolKind::kMax) PRECIS_RETURN_IF_ERROR(rule.Output(1, DataType::kS64, out));
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, GlobalPool&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  Shape out = rule.shape(0);
  if (out.size() < 2) return rule.Error("source rank ", out.size(), ", want at least 2");
  std::fill(out.begin() + 2, out.end(), 1);
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, BatchNorm&) { return InferChannelwise(rule, 4); }

absl::Status Infer(const Rule& rule, InstanceNorm&) { return InferChannelwise(rule, 2); }

absl::Status Infer(const Rule& rule, GroupNorm& op) {
  PRECIS_RETURN_IF_ERROR(InferChannelwise(rule, 2));
  if (op.groups < 1 || rule.shape(0)[1] % op.groups != 0) {
    return rule.Error(op.groups, " groups do not divide ", rule.shape(0)[1], " channels");
  }
  return absl::OkStatus();
}

absl::Status Infer(const Rule& rule, LayerNorm& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  const Shape& src = rule.shape(0);
  PRECIS_RETURN_IF_ERROR(rule.FixAxis(op.axis, src.size()));
  const Shape normalized(src.begin() + op.axis, src.end());
  for (size_t i : {1, 2}) {
    if (!rule.Has(i)) continue;
    const auto shape = BroadcastShapes(rule.shape(i), normalized);
    if (!shape.ok() || *shape != normalized) {
      return rule.Error("input ", i, " of shape ", ShapeToString(rule.shape(i)), " does not broadcast to ",
                        ShapeToString(normalized));
    }
  }
  Shape statistics = src;
  std::fill(statistics.begin() + op.axis, statistics.end(), 1);
  for (size_t slot : {1, 2})
    PRECIS_RETURN_IF_ERROR(rule.Output(slot, DataType::kF32, statistics));  // mean, 1 / deviation
  return rule.Output(0, rule.dtype(0), src);
}

absl::Status Infer(const Rule& rule, Lrn& op) {
  if (op.size < 1) return rule.Error("size ", op.size, ", want at least 1");
  return InferChannelwise(rule, 0);
}

absl::Status Infer(const Rule& rule, LpNorm& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  PRECIS_RETURN_IF_ERROR(rule.FixAxis(op.axis, rule.rank(0)));
  if (op.p != 1 && op.p != 2) return rule.Error("p ", op.p, ", want 1 or 2");
  return rule.Output(0, rule.dtype(0), rule.shape(0));
}

absl::Status Infer(const Rule& rule, Softmax& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  if (rule.rank(0) == 0 && (op.axis == 0 || op.axis == -1)) return rule.Output(0, rule.dtype(0), {});
  PRECIS_RETURN_IF_ERROR(rule.FixAxis(op.axis, rule.rank(0)));
  return rule.Output(0, rule.dtype(0), rule.shape(0));
}

}  // namespace precis::ir
