// GridSample (ONNX opset 20) and RoiAlign (opset 16): values between the cells of an image. Per point, the cells and weights that make it are
// found once and used for every channel.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "engine/kernels/element.h"
#include "engine/kernels/make.h"

namespace precis::kernels {
namespace {

using ir::ResizeMode;
using ir::SamplePadding;

// A cell of a plane and its weight.
struct Tap {
  int64_t cell;
  double weight;
};
using Taps = std::vector<Tap>;

// --- GridSample ---

// Mirrors `x` at `low` and `high` until it lies between them.
double Reflect(double x, double low, double high) {
  const double range = high - low;
  if (!std::isfinite(x) || range <= 0) return low;
  const double beyond = x < low ? low - x : x > high ? x - high : 0;
  if (beyond == 0) return x;
  const double turns = std::floor(beyond / range), rest = beyond - turns * range;
  const bool from_low = (x < low) == (std::fmod(turns, 2) == 0);
  return from_low ? low + rest : high - rest;
}

// One spatial dimension of `size` cells.
struct Axis {
  const ir::GridSample& op;
  int64_t size;
  double low() const { return op.align_corners ? 0.0 : -0.5; }
  double high() const { return static_cast<double>(size) - (op.align_corners ? 1.0 : 0.5); }

  // Cell `i`, or the one that stands for it outside; -1 for none.
  int64_t Cell(int64_t i) const {
    if (i >= 0 && i < size) return i;
    switch (op.padding) {
      case SamplePadding::kZeros: return -1;
      case SamplePadding::kBorder: return std::clamp<int64_t>(i, 0, size - 1);
      case SamplePadding::kReflection:
        return std::clamp<int64_t>(static_cast<int64_t>(Reflect(static_cast<double>(i), low(), high())), 0, size - 1);
    }
    return -1;
  }

  // What a position in [-1, 1] reads.
  void Find(double position, std::array<Tap, 4>& taps, int& count) const {
    const double n = static_cast<double>(size);
    double x = op.align_corners ? (position + 1) / 2 * (n - 1) : ((position + 1) * n - 1) / 2;
    x = std::isnan(x) ? -1.0 : std::clamp(x, -1e9, 1e9);
    if (op.mode == ResizeMode::kNearest) x = std::nearbyint(x);
    if (x < low() || x > high()) {
      if (op.padding == SamplePadding::kBorder) x = std::clamp(x, 0.0, n - 1);
      if (op.padding == SamplePadding::kReflection) x = Reflect(x, low(), high());
    }
    const auto first = static_cast<int64_t>(std::floor(x));
    const double t = x - static_cast<double>(first);
    switch (op.mode) {
      case ResizeMode::kNearest:
        count = 1;
        taps[0] = {Cell(static_cast<int64_t>(x)), 1.0};
        return;
      case ResizeMode::kLinear:
        count = 2;
        taps[0] = {Cell(first), 1 - t};
        taps[1] = {Cell(first + 1), t};
        return;
      case ResizeMode::kCubic: break;
    }
    count = 4;
    constexpr double kA = -0.75;
    const auto near = [](double d) { return ((kA + 2) * d - (kA + 3)) * d * d + 1; };
    const auto far = [](double d) { return ((kA * d - 5 * kA) * d + 8 * kA) * d - 4 * kA; };
    const double weights[] = {far(t + 1), near(t), near(1 - t), far(2 - t)};
    for (int i = 0; i < 4; ++i) taps[static_cast<size_t>(i)] = {Cell(first - 1 + i), weights[i]};
  }
};

template <typename T>
void FindTaps(const std::vector<Axis>& axes, const T* position, Taps& taps) {
  taps.assign(1, {0, 1.0});
  Taps wider;
  for (size_t d = 0; d < axes.size(); ++d) {
    std::array<Tap, 4> along;
    int count = 0;
    axes[d].Find(static_cast<double>(position[axes.size() - 1 - d]), along, count);
    wider.clear();
    for (const Tap& tap : taps) {
      for (int i = 0; i < count; ++i) {
        const Tap& next = along[static_cast<size_t>(i)];
        if (next.cell >= 0) wider.push_back({tap.cell * axes[d].size + next.cell, tap.weight * next.weight});
      }
    }
    taps.swap(wider);
  }
}

template <typename T>
T Weighted(const T* plane, const Taps& taps) {
  double sum = 0;
  for (const Tap& tap : taps) sum += tap.weight * static_cast<double>(plane[tap.cell]);
  return static_cast<T>(sum);
}

// --- RoiAlign ---

// The four corners around a point, left out where it lies beyond the image.
void FindCorners(double y, double x, int64_t height, int64_t width, Taps& taps) {
  const auto h = static_cast<double>(height), w = static_cast<double>(width);
  if (!(y >= -1 && y <= h && x >= -1 && x <= w)) return;
  y = std::clamp(y, 0.0, h - 1);
  x = std::clamp(x, 0.0, w - 1);
  const auto top = static_cast<int64_t>(y), left = static_cast<int64_t>(x);
  const int64_t bottom = std::min(top + 1, height - 1), right = std::min(left + 1, width - 1);
  const double dy = y - static_cast<double>(top), dx = x - static_cast<double>(left);
  taps.insert(taps.end(), {{top * width + left, (1 - dy) * (1 - dx)},
                           {top * width + right, (1 - dy) * dx},
                           {bottom * width + left, dy * (1 - dx)},
                           {bottom * width + right, dy * dx}});
}

// One region, cut into cells.
struct Region {
  double top, left, cell_height, cell_width;
  int64_t rows, columns;  // points per cell
};

template <typename T>
Region RegionOf(const ir::RoiAlign& op, const T* roi) {
  const double offset = op.half_pixel ? 0.5 : 0.0, scale = static_cast<double>(op.spatial_scale);
  const auto at = [&](int i) { return static_cast<double>(roi[i]) * scale - offset; };
  double height = at(3) - at(1), width = at(2) - at(0);
  if (!op.half_pixel) height = std::max(height, 1.0), width = std::max(width, 1.0);
  constexpr int64_t kMostPoints = 1 << 10;  // per cell and dimension, whatever a roi claims to be
  const auto points = [&](double cell) {
    if (op.sampling_ratio > 0) return op.sampling_ratio;
    return cell > 0 ? static_cast<int64_t>(std::min(std::ceil(cell), static_cast<double>(kMostPoints))) : int64_t{0};
  };
  const double cell_height = height / static_cast<double>(op.output_height);
  const double cell_width = width / static_cast<double>(op.output_width);
  return {at(1), at(0), cell_height, cell_width, points(cell_height), points(cell_width)};
}

template <typename T>
T Pooled(const T* plane, const Taps& taps, bool max, int64_t points) {
  if (!max)
    return static_cast<T>(static_cast<double>(Weighted(plane, taps)) /
                          static_cast<double>(std::max<int64_t>(1, points)));
  double most = 0;
  for (size_t i = 0; i < taps.size(); ++i) {
    const double x = taps[i].weight * static_cast<double>(plane[taps[i].cell]);
    most = i == 0 ? x : std::max(most, x);
  }
  return static_cast<T>(most);
}

template <typename F>
absl::StatusOr<Kernel> VisitFloatKernel(const KernelSpec& spec, F make) {
  return VisitFloat(
      spec.inputs[0].dtype, [&make](auto tag) -> absl::StatusOr<Kernel> { return make(tag); },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::GridSample& op, const KernelSpec& spec) {
  const Shape x = spec.inputs[0].shape;
  const int64_t rank = static_cast<int64_t>(x.size()) - 2;
  const int64_t plane = NumElements(Shape(x.begin() + 2, x.end()));
  const int64_t points = NumElements(spec.inputs[1].shape) / std::max<int64_t>(1, rank * x[0]);
  return VisitFloatKernel(spec, [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel([=](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
      std::vector<Axis> axes;
      for (size_t d = 2; d < x.size(); ++d) axes.push_back({op, x[d]});
      Taps taps;
      for (int64_t n = 0; n < x[0]; ++n) {
        const T* source = static_cast<const T*>(in[0].data) + n * x[1] * plane;
        T* result = static_cast<T*>(out[0].data) + n * x[1] * points;
        for (int64_t p = 0; p < points; ++p) {
          FindTaps(axes, static_cast<const T*>(in[1].data) + (n * points + p) * rank, taps);
          for (int64_t c = 0; c < x[1]; ++c) result[c * points + p] = Weighted(source + c * plane, taps);
        }
      }
    });
  });
}

absl::StatusOr<Kernel> Make(const ir::RoiAlign& op, const KernelSpec& spec) {
  const Shape x = spec.inputs[0].shape;
  const int64_t rois = spec.inputs[1].shape[0], plane = x[2] * x[3], cells = op.output_height * op.output_width;
  return VisitFloatKernel(spec, [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel([=](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
      Taps taps;
      for (int64_t r = 0; r < rois; ++r) {
        const Region region = RegionOf(op, static_cast<const T*>(in[1].data) + 4 * r);
        const int64_t image = IndexAt(in[2], r);
        const bool exists = image >= 0 && image < x[0];  // a region of no image is empty
        for (int64_t cell = 0; cell < cells; ++cell) {
          taps.clear();
          for (int64_t i = 0; exists && i < region.rows * region.columns; ++i) {
            const auto place = [](int64_t at, int64_t point, int64_t count) {
              return static_cast<double>(at) + (static_cast<double>(point) + 0.5) / static_cast<double>(count);
            };
            const double y = place(cell / op.output_width, i / region.columns, region.rows);
            const double across = place(cell % op.output_width, i % region.columns, region.columns);
            FindCorners(region.top + y * region.cell_height, region.left + across * region.cell_width, x[2], x[3],
                        taps);
          }
          for (int64_t c = 0; c < x[1]; ++c) {
            const T* source = static_cast<const T*>(in[0].data) + (exists ? image * x[1] + c : 0) * plane;
            static_cast<T*>(out[0].data)[(r * x[1] + c) * cells + cell] =
                Pooled(source, taps, op.max, region.rows * region.columns);
          }
        }
      }
    });
  });
}

}  // namespace precis::kernels
