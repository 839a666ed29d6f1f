// LSTM, GRU and RNN: the equations of ONNX's operator pages, a number at a time.
#include <algorithm>
#include <cmath>

#include "tests/reference/real_tensor.h"

namespace precis::reference {
namespace {

double Apply(const ir::Unary& function, double x) {
  Real one{Shape{1}};
  one[0] = x;
  return Compute(function, Operands{{&one}, {1}})[0];
}

}  // namespace

Real Compute(const ir::Recurrent& op, const Operands& operands) {
  const Real &x = operands[0], &w = operands[1], &r = operands[2];
  const int64_t steps = x.shape[0], batch = x.shape[1], inputs = x.shape[2], directions = w.shape[0],
                hidden = r.shape[2], rows = w.shape[1], bias_rows = op.linear_before_reset ? rows + hidden : rows;
  const size_t functions = op.activations.size() / static_cast<size_t>(directions);
  Real y(operands.out);
  for (int64_t d = 0; d < directions; ++d) {
    const auto function = [&](size_t i, double v) {
      return Apply(op.activations[static_cast<size_t>(d) * functions + i], v);
    };
    for (int64_t b = 0; b < batch; ++b) {
      const auto initial = [&](size_t i, int64_t j) {
        return operands.Has(i) ? operands[i][(d * batch + b) * hidden + j] : 0.0;
      };
      std::vector<double> h, c;
      for (int64_t j = 0; j < hidden; ++j) h.push_back(initial(5, j)), c.push_back(initial(6, j));
      const int64_t length = operands.Has(4) ? static_cast<int64_t>(operands[4][b]) : steps;
      for (int64_t t = 0; t < length; ++t) {
        const bool backwards = op.direction == ir::Direction::kReverse || d == 1;
        const int64_t s = backwards ? length - 1 - t : t;
        const auto bias = [&](int64_t row) { return operands.Has(3) ? operands[3][d * bias_rows + row] : 0.0; };
        const auto from_x = [&](int64_t row) {
          double sum = bias(row);
          for (int64_t i = 0; i < inputs; ++i)
            sum += w[(d * rows + row) * inputs + i] * x[(s * batch + b) * inputs + i];
          return sum;
        };
        const auto from_h = [&](int64_t row, auto value) {
          double sum = 0;
          for (int64_t j = 0; j < hidden; ++j) sum += r[(d * rows + row) * hidden + j] * value(j);
          return sum;
        };
        const auto state = [&](int64_t j) { return h[static_cast<size_t>(j)]; };
        const auto gate = [&](int64_t g, int64_t j, double peephole = 0) {
          const double sum = from_x(g * hidden + j) + from_h(g * hidden + j, state) + peephole;
          return op.clip > 0 ? std::clamp(sum, -double{op.clip}, double{op.clip}) : sum;
        };
        const auto peep = [&](int64_t part, int64_t j, double cell) {
          return operands.Has(7) ? operands[7][(d * 3 + part) * hidden + j] * cell : 0.0;
        };
        std::vector<double> next = h;
        for (int64_t j = 0; j < hidden; ++j) {
          const auto at = static_cast<size_t>(j);
          if (op.cell == ir::CellKind::kRnn) {
            next[at] = function(0, gate(0, j));
          } else if (op.cell == ir::CellKind::kLstm) {
            const double in = function(0, gate(0, j, peep(0, j, c[at])));
            const double forget = op.input_forget ? 1 - in : function(0, gate(1, j, peep(2, j, c[at])));
            c[at] = forget * c[at] + in * function(1, gate(2, j));
            next[at] = function(0, gate(3, j, peep(1, j, c[at]))) * function(2, c[at]);
          } else {
            const int64_t row = 2 * hidden + j;
            const auto reset_state = [&](int64_t k) { return function(0, gate(1, k)) * h[static_cast<size_t>(k)]; };
            const double update = function(0, gate(0, j));
            const double candidate =
                op.linear_before_reset
                    ? from_x(row) + function(0, gate(1, j)) * (from_h(row, state) + bias(3 * hidden + j))
                    : from_x(row) + from_h(row, reset_state);
            next[at] = (1 - update) * function(1, candidate) + update * h[at];
          }
        }
        h = next;
        for (int64_t j = 0; j < hidden; ++j)
          y[((s * directions + d) * batch + b) * hidden + j] = h[static_cast<size_t>(j)];
      }
    }
  }
  return y;
}

}  // namespace precis::reference
