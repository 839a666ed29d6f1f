// Resize (ONNX Resize-19): separable. For each axis a table says, per output position, which source cells it mixes and with which weights;
// nearest neighbour is a table with one cell. Axes are applied one after the other, skipping those that do not change. Coordinates and
// coefficients follow the operator's reference implementation, in double.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/base/status_macros.h"
#include "engine/ir/shape_rules.h"
#include "engine/kernels/element.h"
#include "engine/kernels/make.h"
#include "engine/kernels/multiversion.h"

namespace precis::kernels {
namespace {

using ir::ResizeAxis;
using ir::ResizeCoordinates;
using ir::ResizeMode;

// One axis of a tensor [outer][in][inner] -> [outer][out][inner].
struct AxisTable {
  int64_t in = 1, out = 1, inner = 1, outer = 1;
  size_t taps = 1;
  std::vector<int64_t> cells;      // [out][taps]
  std::vector<double> weights;     // [out][taps]
  std::vector<float> weights_f32;  // the same, for f32 tensors
  std::vector<bool> outside;       // [out]: takes the extrapolation value
};

// Position in the source, in cells, of output position `x`.
double SourcePosition(ResizeCoordinates coordinates, const ResizeAxis& axis, int64_t x) {
  const auto at = static_cast<double>(x), in = static_cast<double>(axis.in);
  const double out = axis.scale * in;  // may be fractional
  switch (coordinates) {
    case ResizeCoordinates::kHalfPixel: return (at + 0.5) / axis.scale - 0.5;
    case ResizeCoordinates::kPytorchHalfPixel: return out == 1 ? -0.5 : (at + 0.5) / axis.scale - 0.5;
    case ResizeCoordinates::kAlignCorners: return out == 1 ? 0.0 : at * (in - 1) / (out - 1);
    case ResizeCoordinates::kAsymmetric: return at / axis.scale;
    case ResizeCoordinates::kHalfPixelSymmetric: {
      const double adjustment = static_cast<double>(axis.out) / out;
      return in / 2 * (1 - adjustment) + (at + 0.5) / axis.scale - 0.5;
    }
    case ResizeCoordinates::kTfCropAndResize: {
      const double extent = axis.roi_end - axis.roi_begin;
      const double shift = axis.roi_begin * (in - 1);
      const auto cropped = static_cast<double>(axis.out);
      return shift + (cropped == 1 ? extent * (in - 1) / 2 : at * extent * (in - 1) / (cropped - 1));
    }
  }
  return 0;
}

int64_t NearestCell(ir::ResizeNearest rule, double position) {
  switch (rule) {
    case ir::ResizeNearest::kRoundPreferFloor: return static_cast<int64_t>(std::ceil(position - 0.5));
    case ir::ResizeNearest::kRoundPreferCeil: return static_cast<int64_t>(std::floor(position + 0.5));
    case ir::ResizeNearest::kFloor: return static_cast<int64_t>(std::floor(position));
    case ir::ResizeNearest::kCeil: return static_cast<int64_t>(std::ceil(position));
  }
  return 0;
}

// Keys' cubic kernel with parameter a, at distance `d` (IEEE ASSP 29(6), 1981).
double Cubic(double d, double a) {
  d = std::abs(d);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return 0;
}

// Fills the cells and weights of one output position for linear and cubic interpolation.
void FillTaps(const ir::Resize& op, const ResizeAxis& axis, double position, size_t taps, int64_t* cells,
              double* weights) {
  // Shrinking with antialias widens the kernel by the factor that it shrinks.
  const double stretch = op.antialias ? std::min(axis.scale, 1.0) : 1.0;
  const auto base = static_cast<int64_t>(std::floor(position));
  const int64_t first = base - static_cast<int64_t>(taps) / 2 + 1;
  double sum = 0;
  for (size_t t = 0; t < taps; ++t) {
    const int64_t cell = first + static_cast<int64_t>(t);
    const double distance = (static_cast<double>(cell) - position) * stretch;
    double weight = op.mode == ResizeMode::kLinear ? std::max(0.0, 1 - std::abs(distance))
                                                   : Cubic(distance, static_cast<double>(op.cubic_coeff_a));
    if (op.exclude_outside && (cell < 0 || cell >= axis.in)) weight = 0;
    cells[t] = std::clamp<int64_t>(cell, 0, axis.in - 1);
    weights[t] = weight;
    sum += weight;
  }
  if (!op.exclude_outside && !op.antialias) return;
  for (size_t t = 0; t < taps; ++t) weights[t] /= sum;
}

AxisTable MakeTable(const ir::Resize& op, const ResizeAxis& axis) {
  AxisTable table;
  table.in = axis.in;
  table.out = axis.out;
  if (op.mode != ResizeMode::kNearest) {
    const double reach =
        (op.mode == ResizeMode::kLinear ? 1.0 : 2.0) / (op.antialias ? std::min(axis.scale, 1.0) : 1.0);
    table.taps = 2 * static_cast<size_t>(std::ceil(reach));
  }
  table.cells.resize(static_cast<size_t>(axis.out) * table.taps);
  table.weights.resize(table.cells.size(), 1.0);
  table.outside.resize(static_cast<size_t>(axis.out));
  for (int64_t x = 0; x < axis.out; ++x) {
    const double position = SourcePosition(op.coordinates, axis, x);
    const size_t at = static_cast<size_t>(x) * table.taps;
    table.outside[static_cast<size_t>(x)] = op.coordinates == ResizeCoordinates::kTfCropAndResize &&
                                            (position < 0 || position > static_cast<double>(axis.in - 1));
    if (op.mode == ResizeMode::kNearest) {
      table.cells[at] = std::clamp<int64_t>(NearestCell(op.nearest, position), 0, axis.in - 1);
    } else {
      FillTaps(op, axis, position, table.taps, &table.cells[at], &table.weights[at]);
    }
  }
  table.weights_f32.assign(table.weights.begin(), table.weights.end());
  return table;
}

// Moves elements of any kind: one tap.
template <typename T>
void ApplyNearest(const AxisTable& table, const T* src, T* dst, T extrapolation) {
  for (int64_t o = 0; o < table.outer; ++o, src += table.in * table.inner) {
    for (int64_t x = 0; x < table.out; ++x, dst += table.inner) {
      const T* from = src + table.cells[static_cast<size_t>(x)] * table.inner;
      if (table.outside[static_cast<size_t>(x)])
        std::fill_n(dst, table.inner, extrapolation);
      else if (table.inner == 1)
        *dst = *from;
      else
        std::memcpy(dst, from, static_cast<size_t>(table.inner) * sizeof(T));
    }
  }
}

template <typename T>
void ApplyWeighted(const AxisTable& table, const T* src, T* dst, T extrapolation) {
  for (int64_t o = 0; o < table.outer; ++o, src += table.in * table.inner) {
    for (int64_t x = 0; x < table.out; ++x, dst += table.inner) {
      if (table.outside[static_cast<size_t>(x)]) {
        std::fill_n(dst, table.inner, extrapolation);
        continue;
      }
      const int64_t* cells = &table.cells[static_cast<size_t>(x) * table.taps];
      const double* weights = &table.weights[static_cast<size_t>(x) * table.taps];
      for (int64_t i = 0; i < table.inner; ++i) {
        double sum = 0;
        for (size_t t = 0; t < table.taps; ++t)
          sum += weights[t] * static_cast<double>(src[cells[t] * table.inner + i]);
        dst[i] = static_cast<T>(sum);
      }
    }
  }
}

// f32 in f32, for each instruction set. dst[x][i] = sum over t of weights[x][t] * src[cells[x][t]][i], lines of `inner` elements; the taps of
// linear and of cubic interpolation, 2 and 4, have loops of their own.
struct WeightedLines {
  template <size_t kTaps>
  [[gnu::always_inline]] static void Mix(const float* src, int64_t inner, const int64_t* cells, const float* weights,
                                         float* dst) {
    const float* lines[kTaps];
    for (size_t t = 0; t < kTaps; ++t) lines[t] = src + cells[t] * inner;
    for (int64_t i = 0; i < inner; ++i) {
      float sum = 0;
      for (size_t t = 0; t < kTaps; ++t) sum += weights[t] * lines[t][i];
      dst[i] = sum;
    }
  }
  // Lines of one element.
  template <size_t kTaps>
  [[gnu::always_inline]] static void MixCells(const float* src, const int64_t* cells, const float* weights, int64_t out,
                                              float* dst) {
    for (int64_t x = 0; x < out; ++x, cells += kTaps, weights += kTaps) {
      float sum = 0;
      for (size_t t = 0; t < kTaps; ++t) sum += weights[t] * src[cells[t]];
      dst[x] = sum;
    }
  }
  [[gnu::always_inline]] static void Run(const float* src, int64_t inner, const int64_t* cells, const float* weights,
                                         size_t taps, int64_t out, float* dst) {
    if (inner == 1 && taps == 2) return MixCells<2>(src, cells, weights, out, dst);
    if (inner == 1 && taps == 4) return MixCells<4>(src, cells, weights, out, dst);
    for (int64_t x = 0; x < out; ++x, dst += inner, cells += taps, weights += taps) {
      if (taps == 2) {
        Mix<2>(src, inner, cells, weights, dst);
      } else if (taps == 4) {
        Mix<4>(src, inner, cells, weights, dst);
      } else {
        std::fill_n(dst, inner, 0.0f);
        for (size_t t = 0; t < taps; ++t) {
          const float* line = src + cells[t] * inner;
          for (int64_t i = 0; i < inner; ++i) dst[i] += weights[t] * line[i];
        }
      }
    }
  }
};

void ApplyWeightedF32(const AxisTable& table, const float* src, float* dst, float extrapolation) {
  static const auto mix = Best<WeightedLines>(WeightedLines::Run);
  for (int64_t o = 0; o < table.outer; ++o, src += table.in * table.inner, dst += table.out * table.inner) {
    mix(src, table.inner, table.cells.data(), table.weights_f32.data(), table.taps, table.out, dst);
    for (int64_t x = 0; x < table.out; ++x) {
      if (table.outside[static_cast<size_t>(x)]) std::fill_n(dst + x * table.inner, table.inner, extrapolation);
    }
  }
}

// Runs the tables one after the other, through two temporaries where there are several.
template <typename T, typename Step>
Kernel MakeChain(std::vector<AxisTable> tables, int64_t count, int64_t largest, T extrapolation, Step step) {
  return [=, tables = std::move(tables)](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
    const T* src = static_cast<const T*>(in[0].data);
    T* final = static_cast<T*>(out[0].data);
    if (tables.empty()) {
      std::copy_n(src, count, final);
      return;
    }
    std::array<std::vector<T>, 2> scratch;
    for (size_t i = 0; i < tables.size(); ++i) {
      std::vector<T>& buffer = scratch[i % 2];
      const bool last = i + 1 == tables.size();
      if (!last) buffer.resize(static_cast<size_t>(largest));
      T* dst = last ? final : buffer.data();
      step(tables[i], src, dst, extrapolation);
      src = dst;
    }
  };
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::Resize& op, const KernelSpec& spec) {
  const auto constant = [&spec](size_t i) { return i < spec.inputs.size() ? spec.inputs[i].constant : nullptr; };
  std::vector<float> roi, scales;
  std::vector<int64_t> sizes;
  if (constant(1) != nullptr) roi = ToFloat(constant(1)->view());
  if (constant(2) != nullptr) scales = ToFloat(constant(2)->view());
  if (constant(3) != nullptr) sizes = ToInt64(constant(3)->view());
  const Shape& x = spec.inputs[0].shape;
  PRECIS_ASSIGN_OR_RETURN(const std::vector<ResizeAxis> axes, ir::ResolveResize(op, x, roi, scales, sizes));
  const int64_t count = NumElements(spec.outputs[0].shape);
  std::vector<AxisTable> tables;
  Shape now = x;
  int64_t largest = 0;
  for (size_t i = 0; i < axes.size() && count != 0; ++i) {
    if (axes[i].in == axes[i].out && axes[i].scale == 1 && op.coordinates != ResizeCoordinates::kTfCropAndResize)
      continue;
    AxisTable table = MakeTable(op, axes[i]);
    table.outer = NumElements(Shape(now.begin(), now.begin() + static_cast<std::ptrdiff_t>(i)));
    table.inner = NumElements(Shape(now.begin() + static_cast<std::ptrdiff_t>(i) + 1, now.end()));
    now[i] = axes[i].out;
    largest = std::max(largest, NumElements(now));
    tables.push_back(std::move(table));
  }
  const bool crops = op.coordinates == ResizeCoordinates::kTfCropAndResize;
  if (op.mode == ResizeMode::kNearest && !crops) {
    return VisitSize(SizeOf(spec.inputs[0].dtype), [&](auto tag) {
      using T = typename decltype(tag)::type;
      return MakeChain<T>(tables, count, largest, T{0}, ApplyNearest<T>);
    });
  }
  if (spec.inputs[0].quant.has_value()) return Unsupported(spec);
  return VisitNumber(
      spec.inputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        using T = typename decltype(tag)::type;
        const T outside = static_cast<T>(op.extrapolation_value);
        if (op.mode == ResizeMode::kNearest) return MakeChain<T>(tables, count, largest, outside, ApplyNearest<T>);
        if constexpr (std::is_same_v<T, float>) {
          return MakeChain<T>(tables, count, largest, outside, ApplyWeightedF32);
        } else {
          return MakeChain<T>(tables, count, largest, outside, ApplyWeighted<T>);
        }
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

}  // namespace precis::kernels
