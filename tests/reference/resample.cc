// Resize as ONNX's reference implementation has it (onnx/reference/ops/op_resize.py): for each axis the neighbours of a position and their
// coefficients; an output element is the sum over all combinations of neighbours.
#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/ir/shape_rules.h"
#include "tests/reference/real_tensor.h"

namespace precis::reference {
namespace {

using Neighbours = std::vector<std::pair<int64_t, double>>;  // cell, coefficient; none: outside the region of interest

double OriginalPosition(const ir::Resize& op, const ir::ResizeAxis& axis, int64_t out) {
  const auto x = static_cast<double>(out), width = static_cast<double>(axis.in);
  const double resized = axis.scale * width;
  switch (op.coordinates) {
    case ir::ResizeCoordinates::kHalfPixel: return (x + 0.5) / axis.scale - 0.5;
    case ir::ResizeCoordinates::kPytorchHalfPixel: return resized == 1 ? -0.5 : (x + 0.5) / axis.scale - 0.5;
    case ir::ResizeCoordinates::kAlignCorners: return resized == 1 ? 0 : x * (width - 1) / (resized - 1);
    case ir::ResizeCoordinates::kAsymmetric: return x / axis.scale;
    case ir::ResizeCoordinates::kHalfPixelSymmetric:
      return width / 2 * (1 - static_cast<double>(axis.out) / resized) + (x + 0.5) / axis.scale - 0.5;
    case ir::ResizeCoordinates::kTfCropAndResize: {
      const double region = (axis.roi_end - axis.roi_begin) * (width - 1), first = axis.roi_begin * (width - 1);
      return first + (axis.out == 1 ? region / 2 : x * region / static_cast<double>(axis.out - 1));
    }
  }
  return x;
}

double Coefficient(const ir::Resize& op, double distance) {
  const double d = std::abs(distance), a = static_cast<double>(op.cubic_coeff_a);
  if (op.mode == ir::ResizeMode::kLinear) return std::max(0.0, 1 - d);
  if (d <= 1) return (a + 2) * d * d * d - (a + 3) * d * d + 1;
  return d < 2 ? a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a : 0;
}

int64_t Nearest(ir::ResizeNearest rule, double position) {
  const double below = std::floor(position), rest = position - below;
  const bool up = rule == ir::ResizeNearest::kFloor             ? false
                  : rule == ir::ResizeNearest::kCeil            ? rest > 0
                  : rule == ir::ResizeNearest::kRoundPreferCeil ? rest >= 0.5
                                                                : rest > 0.5;
  return static_cast<int64_t>(below) + up;
}

Neighbours NeighboursOf(const ir::Resize& op, const ir::ResizeAxis& axis, int64_t out) {
  const double position = OriginalPosition(op, axis, out);
  if (op.coordinates == ir::ResizeCoordinates::kTfCropAndResize &&
      (position < 0 || position > static_cast<double>(axis.in - 1)))
    return {};
  const auto clamp = [&axis](int64_t cell) { return std::clamp<int64_t>(cell, 0, axis.in - 1); };
  if (op.mode == ir::ResizeMode::kNearest) return {{clamp(Nearest(op.nearest, position)), 1.0}};
  const double shrink = op.antialias ? std::min(1.0, axis.scale) : 1.0;
  const auto reach = static_cast<int64_t>(std::ceil(2 / shrink));
  Neighbours found;
  double sum = 0;
  for (auto cell = static_cast<int64_t>(std::floor(position)) - reach;
       cell <= static_cast<int64_t>(std::floor(position)) + reach + 1; ++cell) {
    const double c = Coefficient(op, (static_cast<double>(cell) - position) * shrink);
    if (c == 0 || (op.exclude_outside && cell != clamp(cell))) continue;
    found.emplace_back(clamp(cell), c);
    sum += c;
  }
  for (auto& [cell, coefficient] : found) coefficient /= op.exclude_outside || op.antialias ? sum : 1.0;
  return found;
}

// Sum over the neighbours along axis `d` and all later ones, of the tensor part that starts at `base`.
double Mix(const Real& x, const std::vector<const Neighbours*>& neighbours, size_t d, int64_t base) {
  if (d == neighbours.size()) return x[base];
  double sum = 0;
  for (const auto& [cell, coefficient] : *neighbours[d])
    sum += coefficient * Mix(x, neighbours, d + 1, base * x.shape[d] + cell);
  return sum;
}

}  // namespace

Real Compute(const ir::Resize& op, const Operands& operands) {
  const Real& x = operands[0];
  const auto floats = [&](size_t i) {
    return operands.Has(i) ? std::vector<float>(operands[i].values.begin(), operands[i].values.end())
                           : std::vector<float>();
  };
  const auto sizes = operands.Has(3) ? ir::Ints(operands[3].values.begin(), operands[3].values.end()) : ir::Ints();
  const std::vector<ir::ResizeAxis> axes = *ir::ResolveResize(op, x.shape, floats(1), floats(2), sizes);
  std::vector<std::vector<Neighbours>> tables(axes.size());
  for (size_t d = 0; d < axes.size(); ++d) {
    for (int64_t i = 0; i < axes[d].out; ++i) {
      const bool untouched =
          axes[d].in == axes[d].out && axes[d].scale == 1 && op.coordinates != ir::ResizeCoordinates::kTfCropAndResize;
      tables[d].push_back(untouched ? Neighbours{{i, 1.0}} : NeighboursOf(op, axes[d], i));
    }
  }
  Real y(operands.out);
  for (int64_t i = 0; i < y.size(); ++i) {
    std::vector<const Neighbours*> neighbours(axes.size());
    bool outside = false;
    int64_t rest = i;
    for (size_t d = axes.size(); d-- > 0; rest /= axes[d].out) {
      neighbours[d] = &tables[d][static_cast<size_t>(rest % axes[d].out)];
      outside |= neighbours[d]->empty();
    }
    y[i] = outside ? static_cast<double>(op.extrapolation_value) : Mix(x, neighbours, 0, 0);
  }
  return y;
}

}  // namespace precis::reference
