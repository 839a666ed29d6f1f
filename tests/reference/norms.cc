// Normalisations and softmax: mean, variance, formula.
#include <algorithm>
#include <cmath>

#include "tests/reference/real_tensor.h"

namespace precis::reference {
namespace {

int64_t Product(const Shape& shape, int64_t begin) { return NumElements(Shape(shape.begin() + begin, shape.end())); }

// (x - mean) / sqrt(variance + epsilon) over each run of `size` elements.
Real Standardize(const Real& x, int64_t size, float epsilon) {
  Real y = x;
  for (int64_t start = 0; start < x.size(); start += size) {
    double mean = 0, variance = 0;
    for (int64_t i = start; i < start + size; ++i) mean += x[i] / static_cast<double>(size);
    for (int64_t i = start; i < start + size; ++i)
      variance += (x[i] - mean) * (x[i] - mean) / static_cast<double>(size);
    for (int64_t i = start; i < start + size; ++i)
      y[i] = (x[i] - mean) / std::sqrt(variance + static_cast<double>(epsilon));
  }
  return y;
}

int64_t ChannelOf(const Shape& shape, int64_t position) { return position / Product(shape, 2) % shape[1]; }

Real ScaleChannels(Real y, const Real& scale, const Real& bias) {
  for (int64_t i = 0; i < y.size(); ++i) y[i] = y[i] * scale[ChannelOf(y.shape, i)] + bias[ChannelOf(y.shape, i)];
  return y;
}

// Calls f(first element, stride, count) for each line along `axis`.
template <typename F>
void ForEachLine(const Shape& shape, int64_t axis, F f) {
  if (shape.empty()) return f(int64_t{0}, int64_t{1}, int64_t{1});
  const int64_t size = shape[static_cast<size_t>(axis)], inner = Product(shape, axis + 1);
  for (int64_t l = 0; l < NumElements(shape) / size; ++l) f(l / inner * inner * size + l % inner, inner, size);
}

}  // namespace

Real Compute(const ir::BatchNorm& op, const Operands& operands) {
  Real y = operands[0];
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t c = ChannelOf(y.shape, i);
    y[i] = (y[i] - operands[3][c]) / std::sqrt(operands[4][c] + static_cast<double>(op.epsilon)) * operands[1][c] +
           operands[2][c];
  }
  return y;
}

Real Compute(const ir::LayerNorm& op, const Operands& operands) {
  const Shape& shape = operands[0].shape;
  Real y = Standardize(operands[0], Product(shape, op.axis), op.epsilon);
  for (int64_t i = 0; i < y.size(); ++i) {
    if (operands.Has(1)) y[i] *= Broadcast(operands[1], shape, i);
    if (operands.Has(2)) y[i] += Broadcast(operands[2], shape, i);
  }
  return y;
}

Real Compute(const ir::InstanceNorm& op, const Operands& operands) {
  return ScaleChannels(Standardize(operands[0], Product(operands[0].shape, 2), op.epsilon), operands[1], operands[2]);
}

Real Compute(const ir::GroupNorm& op, const Operands& operands) {
  const int64_t size = Product(operands[0].shape, 1) / op.groups;
  return ScaleChannels(Standardize(operands[0], size, op.epsilon), operands[1], operands[2]);
}

Real Compute(const ir::Lrn& op, const Operands& operands) {
  const Real& x = operands[0];
  Real y = x;
  const int64_t channels = x.shape[1], inner = Product(x.shape, 2);
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t c = ChannelOf(x.shape, i);
    double squares = 0;
    for (int64_t k = c - (op.size - 1) / 2; k <= c + op.size / 2; ++k) {
      if (k >= 0 && k < channels) squares += x[i + (k - c) * inner] * x[i + (k - c) * inner];
    }
    const double base =
        static_cast<double>(op.bias) + static_cast<double>(op.alpha) / static_cast<double>(op.size) * squares;
    y[i] = x[i] / std::pow(base, static_cast<double>(op.beta));
  }
  return y;
}

Real Compute(const ir::LpNorm& op, const Operands& operands) {
  Real y = operands[0];
  ForEachLine(y.shape, op.axis, [&](int64_t first, int64_t stride, int64_t count) {
    double norm = 0;
    for (int64_t i = 0; i < count; ++i) norm += std::pow(std::abs(y[first + i * stride]), static_cast<double>(op.p));
    norm = std::pow(norm, 1.0 / static_cast<double>(op.p));
    for (int64_t i = 0; i < count && norm != 0; ++i) y[first + i * stride] /= norm;
  });
  return y;
}

Real Compute(const ir::Softmax& op, const Operands& operands) {
  Real y = operands[0];
  ForEachLine(y.shape, op.axis, [&](int64_t first, int64_t stride, int64_t count) {
    double most = y[first], sum = 0;
    for (int64_t i = 0; i < count; ++i) most = std::max(most, y[first + i * stride]);
    for (int64_t i = 0; i < count; ++i) sum += std::exp(y[first + i * stride] - most);
    for (int64_t i = 0; i < count; ++i) {
      const double log_value = y[first + i * stride] - most - std::log(sum);
      y[first + i * stride] = op.log ? log_value : std::exp(log_value);
    }
  });
  return y;
}

}  // namespace precis::reference
