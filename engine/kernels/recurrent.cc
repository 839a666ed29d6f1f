// LSTM, GRU and RNN, sequence by sequence and step by step, as ONNX's operator pages write the equations: for what oneDNN's primitives have
// no form of (lengths, clipping, other activations, peepholes), and for folding. Sums run in double.
#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/kernels/element.h"
#include "engine/kernels/make.h"
#include "engine/kernels/multiversion.h"
#include "engine/kernels/unary_math.h"

namespace precis::kernels {
namespace {

using ir::CellKind;

struct Sizes {
  int64_t steps, directions, batch, input, hidden, gates;
};

// y[row] += matrix[row] * x: each row's sum in double, in lanes that make vectors.
template <typename T>
struct AddProduct {
  [[gnu::always_inline]] static void Run(const T* matrix, const T* x, T* y, int64_t rows, int64_t columns) {
    constexpr int64_t kLanes = 16;
    for (int64_t row = 0; row < rows; ++row, matrix += columns) {
      double lanes[kLanes] = {}, sum = 0;
      int64_t i = 0;
      for (; i + kLanes <= columns; i += kLanes) {
        for (int64_t l = 0; l < kLanes; ++l)
          lanes[l] += static_cast<double>(matrix[i + l]) * static_cast<double>(x[i + l]);
      }
      for (; i < columns; ++i) sum += static_cast<double>(matrix[i]) * static_cast<double>(x[i]);
      for (double lane : lanes) sum += lane;
      y[row] += static_cast<T>(sum);
    }
  }
};

template <typename T>
void Activate(const ir::Unary& function, T* x, int64_t count) {
  VisitUnaryKind(function.kind, [&]<ir::UnaryKind K>() {
    for (int64_t i = 0; i < count; ++i)
      x[i] = UnaryValue<K, T>(x[i], static_cast<T>(function.alpha), static_cast<T>(function.beta));
  });
}

// One direction's parameters, and the state of the sequence being read.
template <typename T>
class Cell {
 public:
  Cell(const ir::Recurrent& op, const Sizes& sizes, std::span<const TensorView> in, int64_t direction)
      : op_(op), n_(sizes), h_(Count(sizes.hidden)), c_(Count(sizes.hidden)), sums_(Count(4 * sizes.hidden)) {
    const int64_t rows = n_.gates * n_.hidden;
    const auto of = [&](size_t input, int64_t per_direction) -> const T* {
      const bool given = input < in.size() && in[input].data != nullptr;
      return given ? static_cast<const T*>(in[input].data) + direction * per_direction : nullptr;
    };
    weights_ = of(1, rows * n_.input);
    recurrence_ = of(2, rows * n_.hidden);
    bias_ = of(3, op.linear_before_reset ? rows + n_.hidden : rows);
    initial_h_ = of(5, n_.batch * n_.hidden);
    initial_c_ = of(6, n_.batch * n_.hidden);
    peepholes_ = of(7, 3 * n_.hidden);
    const size_t functions = op.activations.size() / Count(n_.directions);
    functions_ = op.activations.data() + Count(direction) * functions;
  }

  void Begin(int64_t sequence) {
    Load(initial_h_, sequence, h_);
    Load(initial_c_, sequence, c_);
  }
  void Step(const T* x) {
    switch (op_.cell) {
      case CellKind::kLstm: return StepLstm(x);
      case CellKind::kGru: return StepGru(x);
      case CellKind::kRnn: break;
    }
    Sum(0, 1, x, h_.data());
    Clip(0, 1);
    Activate(functions_[0], Gate(0), n_.hidden);
    std::copy_n(Gate(0), n_.hidden, h_.data());
  }
  const std::vector<T>& h() const { return h_; }
  const std::vector<T>& c() const { return c_; }

 private:
  static size_t Count(int64_t n) { return static_cast<size_t>(n); }
  T* Gate(int64_t i) { return sums_.data() + i * n_.hidden; }

  void Load(const T* from, int64_t sequence, std::vector<T>& to) const {
    std::fill(to.begin(), to.end(), T{0});
    if (from != nullptr) std::copy_n(from + sequence * n_.hidden, n_.hidden, to.data());
  }

  // Gates [first, last): weights * x + recurrence * h + bias; h may be null.
  void Sum(int64_t first, int64_t last, const T* x, const T* h) {
    const int64_t row = first * n_.hidden, rows = (last - first) * n_.hidden;
    std::fill_n(Gate(first), rows, T{0});
    if (bias_ != nullptr) std::copy_n(bias_ + row, rows, Gate(first));
    add_product_(weights_ + row * n_.input, x, Gate(first), rows, n_.input);
    if (h != nullptr) add_product_(recurrence_ + row * n_.hidden, h, Gate(first), rows, n_.hidden);
  }
  void Clip(int64_t first, int64_t last) {
    const T bound = static_cast<T>(op_.clip);
    if (bound <= 0) return;
    for (T* x = Gate(first); x != Gate(last); ++x) *x = std::clamp(*x, -bound, bound);
  }
  // Adds a peephole's part: `part` counts ONNX's, input, output, forget.
  void Peep(int64_t gate, int64_t part) {
    if (peepholes_ == nullptr) return;
    for (int64_t i = 0; i < n_.hidden; ++i) Gate(gate)[i] += peepholes_[part * n_.hidden + i] * c_[Count(i)];
  }

  void StepLstm(const T* x) {
    T *input = Gate(0), *forget = Gate(1), *cell = Gate(2), *output = Gate(3);
    Sum(0, 4, x, h_.data());
    Peep(0, 0);
    Peep(1, 2);
    Clip(0, 3);
    Activate(functions_[0], input, 2 * n_.hidden);
    Activate(functions_[1], cell, n_.hidden);
    for (int64_t i = 0; i < n_.hidden; ++i) {
      const T kept = op_.input_forget ? T{1} - input[i] : forget[i];
      c_[Count(i)] = kept * c_[Count(i)] + input[i] * cell[i];
    }
    Peep(3, 1);
    Clip(3, 4);
    Activate(functions_[0], output, n_.hidden);
    std::copy(c_.begin(), c_.end(), h_.begin());
    Activate(functions_[2], h_.data(), n_.hidden);
    for (int64_t i = 0; i < n_.hidden; ++i) h_[Count(i)] *= output[i];
  }

  void StepGru(const T* x) {
    T *update = Gate(0), *reset = Gate(1), *hidden = Gate(2), *scratch = Gate(3);
    Sum(0, 2, x, h_.data());
    Clip(0, 2);
    Activate(functions_[0], update, 2 * n_.hidden);
    Sum(2, 3, x, nullptr);
    const T* recurrence = recurrence_ + 2 * n_.hidden * n_.hidden;
    if (op_.linear_before_reset) {
      std::fill_n(scratch, n_.hidden, T{0});
      if (bias_ != nullptr) std::copy_n(bias_ + 3 * n_.hidden, n_.hidden, scratch);
      add_product_(recurrence, h_.data(), scratch, n_.hidden, n_.hidden);
      for (int64_t i = 0; i < n_.hidden; ++i) hidden[i] += reset[i] * scratch[i];
    } else {
      for (int64_t i = 0; i < n_.hidden; ++i) scratch[i] = reset[i] * h_[Count(i)];
      add_product_(recurrence, scratch, hidden, n_.hidden, n_.hidden);
    }
    Clip(2, 3);
    Activate(functions_[1], hidden, n_.hidden);
    for (int64_t i = 0; i < n_.hidden; ++i) h_[Count(i)] = (T{1} - update[i]) * hidden[i] + update[i] * h_[Count(i)];
  }

  const ir::Recurrent& op_;
  const Sizes& n_;
  const T *weights_, *recurrence_, *bias_, *initial_h_, *initial_c_, *peepholes_;
  const ir::Unary* functions_;
  void (*add_product_)(const T*, const T*, T*, int64_t, int64_t) = Best<AddProduct<T>>(AddProduct<T>::Run);
  std::vector<T> h_, c_, sums_;
};

int64_t LengthOf(std::span<const TensorView> in, int64_t sequence, int64_t steps) {
  if (in.size() < 5 || in[4].data == nullptr) return steps;
  return std::clamp<int64_t>(IndexAt(in[4], sequence), 0, steps);
}

template <typename T>
void Run(const ir::Recurrent& op, const Sizes& n, std::span<const TensorView> in,
         std::span<const MutableTensorView> out) {
  const auto store = [&](size_t output, int64_t place, const T* from) {
    if (output < out.size() && out[output].data != nullptr)
      std::copy_n(from, n.hidden, static_cast<T*>(out[output].data) + place * n.hidden);
  };
  const std::vector<T> zeros(static_cast<size_t>(n.hidden));
  for (int64_t d = 0; d < n.directions; ++d) {
    const bool backwards = op.direction == ir::Direction::kReverse || d == 1;
    Cell<T> cell(op, n, in, d);
    for (int64_t b = 0; b < n.batch; ++b) {
      cell.Begin(b);
      const int64_t length = LengthOf(in, b, n.steps);
      for (int64_t t = 0; t < length; ++t) {
        const int64_t s = backwards ? length - 1 - t : t;
        cell.Step(static_cast<const T*>(in[0].data) + (s * n.batch + b) * n.input);
        store(0, (s * n.directions + d) * n.batch + b, cell.h().data());
      }
      for (int64_t s = length; s < n.steps; ++s) store(0, (s * n.directions + d) * n.batch + b, zeros.data());
      store(1, d * n.batch + b, cell.h().data());
      store(2, d * n.batch + b, cell.c().data());
    }
  }
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::Recurrent& op, const KernelSpec& spec) {
  const Shape &x = spec.inputs[0].shape, &recurrence = spec.inputs[2].shape;
  const Sizes n{x[0], recurrence[0], x[1], x[2], op.hidden_size, recurrence[1] / op.hidden_size};
  return VisitFloat(
      spec.inputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        return Kernel([op, n](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
          Run<typename decltype(tag)::type>(op, n, in, out);
        });
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

}  // namespace precis::kernels
