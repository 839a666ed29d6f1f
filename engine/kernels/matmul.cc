// Matrix products of any number type, by blocks of columns so that the second operand is read in rows.
#include <algorithm>
#include <array>
#include <memory>
#include <type_traits>
#include <utility>

#include "engine/ir/shape_rules.h"
#include "engine/kernels/element.h"
#include "engine/kernels/make.h"
#include "engine/kernels/nest.h"

namespace precis::kernels {
namespace {

constexpr int64_t kColumns = 64;  // accumulators of one block

struct Matrix {
  int64_t rows = 1, columns = 1, row_stride = 0, column_stride = 0;
};

// The last two dimensions as a matrix; a vector is a row (first operand) or a column (second).
Matrix MatrixOf(const Shape& shape, bool transpose, bool first) {
  if (shape.size() == 1) return first ? Matrix{1, shape[0], 0, 1} : Matrix{shape[0], 1, 1, 0};
  const int64_t rows = shape[shape.size() - 2], columns = shape.back();
  return transpose ? Matrix{columns, rows, 1, columns} : Matrix{rows, columns, columns, 1};
}

// Strides of an operand's matrices, and of the bias, over the output's batch dimensions.
std::vector<int64_t> BatchStrides(const Shape& shape, const Shape& batch) {
  if (shape.size() <= 2) return std::vector<int64_t>(batch.size(), 0);
  auto strides = ir::BroadcastStrides(Shape(shape.begin(), shape.end() - 2), batch);
  for (int64_t& stride : strides) stride *= shape[shape.size() - 2] * shape.back();
  return strides;
}

template <typename T>
using Accumulator = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;  // integers wrap

template <typename T>
void Multiply(const T* a, const Matrix& ma, const T* b, const Matrix& mb, T* y, float alpha) {
  using A = Accumulator<T>;
  std::array<A, kColumns> sums;
  for (int64_t m = 0; m < ma.rows; ++m) {
    for (int64_t first = 0; first < mb.columns; first += kColumns) {
      const int64_t width = std::min(kColumns, mb.columns - first);
      sums.fill(A{0});
      for (int64_t k = 0; k < ma.columns; ++k) {
        const A x = static_cast<A>(a[m * ma.row_stride + k * ma.column_stride]);
        const T* row = b + k * mb.row_stride + first * mb.column_stride;
        for (int64_t n = 0; n < width; ++n)
          sums[static_cast<size_t>(n)] += x * static_cast<A>(row[n * mb.column_stride]);
      }
      for (int64_t n = 0; n < width; ++n) {
        const A sum = sums[static_cast<size_t>(n)];
        T& result = y[m * mb.columns + first + n];
        if constexpr (std::is_floating_point_v<T>)
          result = static_cast<T>(static_cast<double>(alpha) * sum);
        else
          result = static_cast<T>(sum);
      }
    }
  }
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::MatMul& op, const KernelSpec& spec) {
  const Shape &a = spec.inputs[0].shape, &b = spec.inputs[1].shape, &out_shape = spec.outputs[0].shape;
  if (!IsFloat(spec.inputs[0].dtype) && op.alpha != 1.0f) return Unsupported(spec);
  const Matrix ma = MatrixOf(a, op.transpose_a, true), mb = MatrixOf(b, op.transpose_b, false);
  const Shape batch(out_shape.begin(), out_shape.end() - (a.size() > 1) - (b.size() > 1));
  auto out_strides = RowMajorStrides(batch);
  for (int64_t& stride : out_strides) stride *= ma.rows * mb.columns;
  const Nest nest(batch, {BatchStrides(a, batch), BatchStrides(b, batch), out_strides});
  const bool has_bias = spec.inputs.size() > 2 && spec.inputs[2].present;
  const Nest bias_nest(out_shape, {ir::BroadcastStrides(has_bias ? spec.inputs[2].shape : Shape{}, out_shape),
                                   RowMajorStrides(out_shape)});
  return VisitNumber(
      spec.inputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        using T = typename decltype(tag)::type;
        return Kernel([=, alpha = op.alpha](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
          const T *x = static_cast<const T*>(in[0].data), *weights = static_cast<const T*>(in[1].data);
          T* y = static_cast<T*>(out[0].data);
          Walk<3>(nest, 0, [&](const auto& at) { Multiply(x + at[0], ma, weights + at[1], mb, y + at[2], alpha); });
          if (!has_bias) return;
          const T* bias = static_cast<const T*>(in[2].data);
          Walk<2>(bias_nest, 0, [&](const auto& at) { y[at[1]] = static_cast<T>(y[at[1]] + bias[at[0]]); });
        });
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

}  // namespace precis::kernels
