// GridSample as a sum over every cell of the plane, and of the cells that mirror or repeat it around it, each times the interpolation's
// coefficient at its distance. RoiAlign as the mean, or the largest term, of its points.
#include <algorithm>
#include <cmath>

#include "tests/reference/real_tensor.h"

namespace precis::reference {
namespace {

double Coefficient(ir::ResizeMode mode, double distance) {
  const double d = std::abs(distance), a = -0.75;
  if (mode == ir::ResizeMode::kLinear) return std::max(0.0, 1 - d);
  if (d <= 1) return (a + 2) * d * d * d - (a + 3) * d * d + 1;
  return d < 2 ? a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a : 0;
}

double Fold(double x, double low, double high) {
  while (x < low || x > high) x = x < low ? 2 * low - x : 2 * high - x;
  return x;
}

// What each cell along one dimension weighs at a position in [-1, 1].
std::vector<double> WeightsAt(const ir::GridSample& op, int64_t size, double position) {
  const double n = static_cast<double>(size);
  const double low = op.align_corners ? 0 : -0.5, high = op.align_corners ? n - 1 : n - 0.5;
  double x = op.align_corners ? (position + 1) / 2 * (n - 1) : ((position + 1) * n - 1) / 2;
  if (op.mode == ir::ResizeMode::kNearest) x = std::nearbyint(x);
  if (op.padding == ir::SamplePadding::kBorder && (x < low || x > high)) x = std::clamp(x, 0.0, n - 1);
  if (op.padding == ir::SamplePadding::kReflection) x = Fold(x, low, high);
  std::vector<double> weights(static_cast<size_t>(size), 0.0);
  for (int64_t i = -4; i < size + 4; ++i) {
    const double weight = op.mode == ir::ResizeMode::kNearest ? (std::floor(x) == static_cast<double>(i) ? 1.0 : 0.0)
                                                              : Coefficient(op.mode, x - static_cast<double>(i));
    int64_t cell = i;
    if (op.padding == ir::SamplePadding::kBorder) cell = std::clamp<int64_t>(i, 0, size - 1);
    if (op.padding == ir::SamplePadding::kReflection)
      cell = static_cast<int64_t>(Fold(static_cast<double>(i), low, high));
    if (cell >= 0 && cell < size) weights[static_cast<size_t>(cell)] += weight;
  }
  return weights;
}

}  // namespace

Real Compute(const ir::GridSample& op, const Operands& operands) {
  const Real &x = operands[0], &grid = operands[1];
  const size_t rank = x.shape.size() - 2;
  const int64_t plane = NumElements(Shape(x.shape.begin() + 2, x.shape.end()));
  const int64_t points = NumElements(Shape(operands.out.begin() + 2, operands.out.end()));
  Real y(operands.out);
  for (int64_t n = 0; n < x.shape[0]; ++n) {
    for (int64_t p = 0; p < points; ++p) {
      std::vector<double> weights = {1.0};
      for (size_t d = 0; d < rank; ++d) {
        const auto last_first = static_cast<int64_t>(rank - 1 - d), k = static_cast<int64_t>(rank);
        const std::vector<double> along = WeightsAt(op, x.shape[d + 2], grid[(n * points + p) * k + last_first]);
        std::vector<double> wider;
        for (double w : weights) {
          for (double a : along) wider.push_back(w * a);
        }
        weights = wider;
      }
      for (int64_t c = 0; c < x.shape[1]; ++c) {
        for (int64_t cell = 0; cell < plane; ++cell)
          y[(n * x.shape[1] + c) * points + p] +=
              weights[static_cast<size_t>(cell)] * x[(n * x.shape[1] + c) * plane + cell];
      }
    }
  }
  return y;
}

Real Compute(const ir::RoiAlign& op, const Operands& operands) {
  const Real &x = operands[0], &rois = operands[1];
  const int64_t channels = x.shape[1], height = x.shape[2], width = x.shape[3];
  Real y(operands.out);
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t column = i % op.output_width, row = i / op.output_width % op.output_height;
    const int64_t c = i / (op.output_width * op.output_height) % channels,
                  r = i / NumElements({channels, op.output_height, op.output_width});
    const auto edge = [&](int64_t k) {
      return rois[4 * r + k] * static_cast<double>(op.spatial_scale) - (op.half_pixel ? 0.5 : 0.0);
    };
    const double least = op.half_pixel ? -1e30 : 1.0;
    const double tall = std::max(edge(3) - edge(1), least) / static_cast<double>(op.output_height);
    const double wide = std::max(edge(2) - edge(0), least) / static_cast<double>(op.output_width);
    const auto count = [&](double cell) {
      return op.sampling_ratio > 0 ? op.sampling_ratio : static_cast<int64_t>(std::ceil(cell));
    };
    double sum = 0, most = -1e30;
    for (int64_t py = 0; py < count(tall); ++py) {
      for (int64_t px = 0; px < count(wide); ++px) {
        double v = edge(1) + tall * (static_cast<double>(row) +
                                     (static_cast<double>(py) + 0.5) / static_cast<double>(count(tall)));
        double u = edge(0) + wide * (static_cast<double>(column) +
                                     (static_cast<double>(px) + 0.5) / static_cast<double>(count(wide)));
        if (v < -1 || v > static_cast<double>(height) || u < -1 || u > static_cast<double>(width)) continue;
        v = std::clamp(v, 0.0, static_cast<double>(height - 1));
        u = std::clamp(u, 0.0, static_cast<double>(width - 1));
        for (int64_t h = 0; h < height; ++h) {
          for (int64_t w = 0; w < width; ++w) {
            const double weight = std::max(0.0, 1 - std::abs(v - static_cast<double>(h))) *
                                  std::max(0.0, 1 - std::abs(u - static_cast<double>(w)));
            if (weight == 0) continue;
            const double term =
                weight * x[((static_cast<int64_t>(operands[2][r]) * channels + c) * height + h) * width + w];
            sum += term;
            most = std::max(most, term);
          }
        }
      }
    }
    y[i] = op.max ? most : sum / static_cast<double>(std::max<int64_t>(1, count(tall) * count(wide)));
  }
  return y;
}

}  // namespace precis::reference
