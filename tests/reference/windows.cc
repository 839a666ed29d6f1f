// Convolutions and pooling, cell by cell, in any number of spatial dimensions.
#include <algorithm>
#include <limits>

#include "tests/reference/real_tensor.h"

namespace precis::reference {
namespace {

Shape Spatial(const Shape& shape) { return Shape(shape.begin() + 2, shape.end()); }

// Position number `index` of a box, as coordinates.
Shape Unravel(int64_t index, const Shape& box) {
  Shape at(box.size());
  for (size_t i = box.size(); i-- > 0; index /= box[i]) at[i] = index % box[i];
  return at;
}

// Cell of `box` under tap `k` of a window placed at `at`, or -1 outside.
int64_t CellUnder(const ir::Window& w, const Shape& box, const Shape& at, const Shape& k) {
  int64_t cell = 0;
  for (size_t i = 0; i < box.size(); ++i) {
    const int64_t p = at[i] * w.strides[i] + k[i] * w.dilations[i] - w.pads_begin[i];
    if (p < 0 || p >= box[i]) return -1;
    cell = cell * box[i] + p;
  }
  return cell;
}

}  // namespace

Real Compute(const ir::Conv& op, const Operands& operands) {
  const Real &x = operands[0], &weights = operands[1];
  Real y(operands.out);
  const Shape in = Spatial(x.shape), out = Spatial(y.shape), kernel = Spatial(weights.shape);
  const int64_t in_cells = NumElements(in), out_cells = NumElements(out), taps = NumElements(kernel);
  const int64_t channels = weights.shape[1], filters = y.shape[1], group_filters = filters / op.groups;
  for (int64_t p = 0; p < out_cells; ++p) {
    for (int64_t k = 0; k < taps; ++k) {
      const int64_t cell = CellUnder(op.window, in, Unravel(p, out), Unravel(k, kernel));
      if (cell < 0) continue;
      for (int64_t n = 0; n < y.shape[0]; ++n) {
        for (int64_t f = 0; f < filters; ++f) {
          double sum = 0;
          const int64_t first = n * x.shape[1] + f / group_filters * channels;
          for (int64_t c = 0; c < channels; ++c)
            sum += x[(first + c) * in_cells + cell] * weights[(f * channels + c) * taps + k];
          y[(n * filters + f) * out_cells + p] += sum;
        }
      }
    }
  }
  for (int64_t i = 0; operands.Has(2) && i < y.size(); ++i) y[i] += operands[2][i / out_cells % filters];
  return y;
}

Real Compute(const ir::ConvTranspose& op, const Operands& operands) {
  const Real &x = operands[0], &weights = operands[1];
  Real y(operands.out);
  const Shape in = Spatial(x.shape), out = Spatial(y.shape), kernel = Spatial(weights.shape);
  const int64_t in_cells = NumElements(in), out_cells = NumElements(out), taps = NumElements(kernel);
  const int64_t channels = x.shape[1], filters = y.shape[1];
  const int64_t group_channels = channels / op.groups, group_filters = weights.shape[1];
  for (int64_t p = 0; p < in_cells; ++p) {
    for (int64_t k = 0; k < taps; ++k) {
      const int64_t cell = CellUnder(op.window, out, Unravel(p, in), Unravel(k, kernel));
      if (cell < 0) continue;
      for (int64_t nc = 0; nc < x.shape[0] * channels; ++nc) {
        const int64_t n = nc / channels, c = nc % channels;
        for (int64_t f = 0; f < group_filters; ++f) {
          const int64_t filter = c / group_channels * group_filters + f;
          y[(n * filters + filter) * out_cells + cell] +=
              x[nc * in_cells + p] * weights[(c * group_filters + f) * taps + k];
        }
      }
    }
  }
  for (int64_t i = 0; operands.Has(2) && i < y.size(); ++i) y[i] += operands[2][i / out_cells % filters];
  return y;
}

Real Compute(const ir::Pool& op, const Operands& operands) {
  const Real& x = operands[0];
  Real y(operands.out);
  const ir::Window& w = op.window;
  const Shape in = Spatial(x.shape), out = Spatial(y.shape);
  const int64_t in_cells = NumElements(in), out_cells = NumElements(out), taps = NumElements(w.kernel);
  // The source with its pads: what kAverageIncludePad counts.
  ir::Window whole = w;
  Shape padded = in;
  for (size_t i = 0; i < in.size(); ++i) {
    padded[i] += w.pads_begin[i] + w.pads_end[i];
    whole.pads_begin[i] = 0;
  }
  for (int64_t i = 0; i < y.size(); ++i) {
    const Shape at = Unravel(i % out_cells, out);
    double sum = 0, most = -std::numeric_limits<double>::infinity();
    int64_t count = 0;
    for (int64_t k = 0; k < taps; ++k) {
      const Shape tap = Unravel(k, w.kernel);
      const int64_t cell = CellUnder(w, in, at, tap);
      if (cell >= 0) {
        sum += x[i / out_cells * in_cells + cell];
        most = std::max(most, x[i / out_cells * in_cells + cell]);
      }
      count += op.kind == ir::PoolKind::kAverageIncludePad ? CellUnder(whole, padded, at, tap) >= 0 : cell >= 0;
    }
    const double mean =
        count > 0 ? sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN();  // of nothing: 0 / 0
    y[i] = op.kind == ir::PoolKind::kMax ? most : mean;
  }
  return y;
}

Real Compute(const ir::GlobalPool& op, const Operands& operands) {
  const Real& x = operands[0];
  Real y(operands.out);
  if (y.size() == 0) return y;
  const int64_t cells = x.size() / y.size();
  for (int64_t i = 0; i < y.size(); ++i) {
    double sum = 0, most = x[i * cells];
    for (int64_t c = 0; c < cells; ++c) {
      sum += x[i * cells + c];
      most = std::max(most, x[i * cells + c]);
    }
    y[i] = op.kind == ir::PoolKind::kMax ? most : sum / static_cast<double>(cells);
  }
  return y;
}

}  // namespace precis::reference
