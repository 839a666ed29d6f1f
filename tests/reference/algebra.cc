// Matrix products, elementwise functions and reductions, straight from their definitions.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/ir/shape_rules.h"
#include "tests/reference/real_tensor.h"

namespace precis::reference {
namespace {

double Logistic(double x) { return 1 / (1 + std::exp(-x)); }

double Value(const ir::Unary& op, double x) {
  using enum ir::UnaryKind;
  const auto a = static_cast<double>(op.alpha), b = static_cast<double>(op.beta);
  switch (op.kind) {
    case kRelu: return std::max(x, 0.0);
    case kLeakyRelu: return x < 0 ? a * x : x;
    case kElu: return x < 0 ? a * (std::exp(x) - 1) : x;
    case kSelu: return x > 0 ? b * x : b * a * (std::exp(x) - 1);
    case kCelu: return std::max(0.0, x) + std::min(0.0, a * (std::exp(x / a) - 1));
    case kThresholdedRelu: return x > a ? x : 0;
    case kClip: return std::min(std::max(x, a), b);
    case kSigmoid: return Logistic(x);
    case kHardSigmoid: return std::clamp(a * x + b, 0.0, 1.0);
    case kHardSwish: return x * std::clamp(x / 6 + 0.5, 0.0, 1.0);
    case kSilu: return x * Logistic(x);
    case kMish: return x * std::tanh(std::log1p(std::exp(x)));
    case kTanh: return std::tanh(x);
    case kGeluErf: return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case kGeluTanh: return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case kSoftplus: return x > 30 ? x : std::log1p(std::exp(x));
    case kSoftsign: return x / (1 + std::abs(x));
    case kErf: return std::erf(x);
    case kExp: return std::exp(x);
    case kLog: return std::log(x);
    case kSqrt: return std::sqrt(x);
    case kReciprocal: return 1 / x;
    case kAbs: return std::abs(x);
    case kNeg: return -x;
    case kSign: return x > 0 ? 1 : x < 0 ? -1 : 0;
    case kFloor: return std::floor(x);
    case kCeil: return std::ceil(x);
    case kRound: return std::nearbyint(x);
    case kSin: return std::sin(x);
    case kCos: return std::cos(x);
    case kTan: return std::tan(x);
    case kAsin: return std::asin(x);
    case kAcos: return std::acos(x);
    case kAtan: return std::atan(x);
    case kSinh: return std::sinh(x);
    case kCosh: return std::cosh(x);
    case kAsinh: return std::asinh(x);
    case kAcosh: return std::acosh(x);
    case kAtanh: return std::atanh(x);
    case kNot: return x == 0;
    case kBitwiseNot: return static_cast<double>(~static_cast<int64_t>(x));
    case kIsNan: return std::isnan(x);
    case kIsInf: return std::isinf(x) && (x < 0 ? a != 0 : b != 0);
    case kLinear: return a * x + b;
    case kShrink: return x < -a ? x + b : x > a ? x - b : 0;
  }
  return x;
}

double Value(ir::BinaryKind kind, double a, double b) {
  using enum ir::BinaryKind;
  const auto i = static_cast<int64_t>(a), j = static_cast<int64_t>(b);
  switch (kind) {
    case kAdd: return a + b;
    case kSub: return a - b;
    case kMul: return a * b;
    case kDiv: return a / b;
    case kPow: return std::pow(a, b);
    case kMin: return std::min(a, b);
    case kMax: return std::max(a, b);
    case kMod: return a - std::floor(a / b) * b;
    case kFmod: return std::fmod(a, b);
    case kPrelu: return a < 0 ? a * b : a;
    case kAnd: return a != 0 && b != 0;
    case kOr: return a != 0 || b != 0;
    case kXor: return (a != 0) != (b != 0);
    case kEqual: return a == b;
    case kLess: return a < b;
    case kLessEqual: return a <= b;
    case kGreater: return a > b;
    case kGreaterEqual: return a >= b;
    case kBitwiseAnd: return static_cast<double>(i & j);
    case kBitwiseOr: return static_cast<double>(i | j);
    case kBitwiseXor: return static_cast<double>(i ^ j);
    case kShiftLeft: return static_cast<double>(i << j);
    case kShiftRight: return static_cast<double>(i >> j);
  }
  return a;
}

// As a matrix with leading dimensions: [batch…, rows, columns]; a vector gets the dimension that it lacks.
Real AsMatrices(const Real& x, bool transpose, bool first) {
  Real m = x;
  if (x.shape.size() == 1) {
    m.shape.insert(first ? m.shape.begin() : m.shape.end(), 1);
    return m;
  }
  if (!transpose) return m;
  const int64_t rows = x.shape[x.shape.size() - 2], columns = x.shape.back();
  std::swap(m.shape[m.shape.size() - 1], m.shape[m.shape.size() - 2]);
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t matrix = i / (rows * columns), r = i / columns % rows, c = i % columns;
    m[matrix * rows * columns + c * rows + r] = x[i];
  }
  return m;
}

}  // namespace

double Broadcast(const Real& x, const Shape& shape, int64_t position) {
  const auto strides = ir::BroadcastStrides(x.shape, shape);
  int64_t at = 0;
  for (size_t d = shape.size(); d-- > 0; position /= shape[d]) at += position % shape[d] * strides[d];
  return x[at];
}

Real Compute(const ir::MatMul& op, const Operands& operands) {
  const Real a = AsMatrices(operands[0], op.transpose_a, true), b = AsMatrices(operands[1], op.transpose_b, false);
  const int64_t rows = a.shape[a.shape.size() - 2], inner = a.shape.back(), columns = b.shape.back();
  Real y(operands.out);
  const Shape batch(y.shape.begin(), y.shape.end() - (operands[0].shape.size() > 1) - (operands[1].shape.size() > 1));
  // Number of the matrix of an operand that a matrix of the output is made from.
  const auto matrix_of = [&batch](const Real& x, int64_t index) {
    Real numbers(Shape(x.shape.begin(), x.shape.end() - 2));
    for (int64_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i);
    return static_cast<int64_t>(Broadcast(numbers, batch, index));
  };
  for (int64_t matrix = 0; matrix < NumElements(batch); ++matrix) {
    const int64_t ma = matrix_of(a, matrix) * rows * inner, mb = matrix_of(b, matrix) * inner * columns;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t k = 0; k < inner; ++k) {
        const double left = a[ma + r * inner + k] * static_cast<double>(op.alpha);
        for (int64_t c = 0; c < columns; ++c) y[(matrix * rows + r) * columns + c] += left * b[mb + k * columns + c];
      }
    }
  }
  for (int64_t i = 0; operands.Has(2) && i < y.size(); ++i) y[i] += Broadcast(operands[2], y.shape, i);
  return y;
}

Real Compute(const ir::Unary& op, const Operands& operands) {
  Real y = operands[0];
  for (double& value : y.values) value = Value(op, value);
  return y;
}

Real Compute(const ir::Binary& op, const Operands& operands) {
  Real y(operands.out);
  for (int64_t i = 0; i < y.size(); ++i) {
    y[i] = Value(op.kind, Broadcast(operands[0], y.shape, i), Broadcast(operands[1], y.shape, i));
  }
  return y;
}

Real Compute(const ir::Reduce& op, const Operands& operands) {
  using enum ir::ReduceKind;
  const Real& x = operands[0];
  ir::Ints axes;
  if (operands.Has(1)) axes.assign(operands[1].values.begin(), operands[1].values.end());
  const std::vector<bool> reduced = *ir::ResolveReduction(x.shape.size(), &axes, op.noop_with_empty_axes);
  Shape kept = x.shape;
  for (size_t d = 0; d < kept.size(); ++d) kept[d] = reduced[d] ? 1 : kept[d];
  // Every element is listed under the result that it goes into.
  std::vector<std::vector<double>> lists(static_cast<size_t>(NumElements(kept)));
  const Shape strides = ir::BroadcastStrides(kept, x.shape);
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t at = 0, rest = i;
    for (size_t d = kept.size(); d-- > 0; rest /= x.shape[d]) at += rest % x.shape[d] * strides[d];
    lists[static_cast<size_t>(at)].push_back(x[i]);
  }
  Real y(operands.out);
  for (size_t r = 0; r < lists.size(); ++r) {
    double sum = 0, absolute = 0, squares = 0, product = 1, exponentials = 0;
    double most = -std::numeric_limits<double>::infinity(), least = -most;
    for (double v : lists[r]) {
      sum += v, absolute += std::abs(v), squares += v * v, product *= v, exponentials += std::exp(v);
      most = std::max(most, v), least = std::min(least, v);
    }
    const double values[] = {sum,
                             sum / static_cast<double>(lists[r].size()),
                             most,
                             least,
                             product,
                             absolute,
                             std::sqrt(squares),
                             squares,
                             std::log(sum),
                             std::log(exponentials)};
    y.values[r] = values[static_cast<size_t>(op.kind)];
  }
  return y;
}

}  // namespace precis::reference
