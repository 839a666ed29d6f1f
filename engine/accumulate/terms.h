#ifndef PRECIS_ENGINE_ACCUMULATE_TERMS_H_
#define PRECIS_ENGINE_ACCUMULATE_TERMS_H_

// Where the terms of an operator's sums stand. The outputs of a convolution, its transpose or a matrix product fall into families (images
// times groups, or the batch), each of them a matrix product: output (row, column) of a family is the sum over j < k of a source element, which
// depends on row and j, times one of the weights, which depends on column and j. The order along K is that of the weights in memory: input
// channels, then window cells; cells outside of the source, in its padding, are terms too.
//
// Each class has, for a family's row or column, Source(family, row, f) and Weights(family, column, f), which call f(j, element) for each j; a
// source element of -1 is padding. Channel(family, column) is the column's index along the weights' output channels.

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "engine/ir/graph.h"
#include "engine/ir/shape_rules.h"
#include "engine/kernels/window.h"

namespace precis::accumulate {

// Which cells of the source the taps of a window read, for each output position: worked out once along each of the three dimensions.
class WindowCells {
 public:
  // `place(i, at, tap)` is where along dimension i of the source a tap of the output at `at` reads; any number outside of it for padding.
  template <typename Place>
  WindowCells(const kernels::Window3& window, const Place& place) : out_(window.out), taps_(window.kernel) {
    int64_t stride = 1;
    for (size_t i = 3; i-- > 0; stride *= window.in[i]) {
      for (int64_t at = 0; at < out_[i]; ++at) {
        for (int64_t tap = 0; tap < taps_[i]; ++tap) {
          const int64_t p = place(i, at, tap);
          steps_[i].push_back(p < 0 || p >= window.in[i] ? kOutside : p * stride);
        }
      }
    }
  }
  int64_t positions() const { return kernels::Window3::Size(out_); }
  int64_t taps() const { return kernels::Window3::Size(taps_); }

  // Calls f(tap, cell), -1 for a cell outside, for each tap at output `position`.
  template <typename F>
  void ForEach(int64_t position, F f) const {
    const int64_t line = position / out_[2];
    const int64_t* z = &steps_[0][static_cast<size_t>(line / out_[1] * taps_[0])];
    const int64_t* y = &steps_[1][static_cast<size_t>(line % out_[1] * taps_[1])];
    const int64_t* x = &steps_[2][static_cast<size_t>(position % out_[2] * taps_[2])];
    int64_t tap = 0;
    for (int64_t kz = 0; kz < taps_[0]; ++kz) {
      for (int64_t ky = 0; ky < taps_[1]; ++ky) {
        for (int64_t kx = 0; kx < taps_[2]; ++kx) f(tap++, std::max<int64_t>(z[kz] + y[ky] + x[kx], -1));
      }
    }
  }

 private:
  static constexpr int64_t kOutside = std::numeric_limits<int64_t>::min() / 4;

  const kernels::Window3::Dims out_, taps_;
  std::array<std::vector<int64_t>, 3> steps_;
};

// What a convolution and its transpose share: a family is an image's channels of one group, its rows are the output's positions.
class WindowTerms {
 public:
  int64_t families() const { return batch_ * groups_; }
  int64_t rows() const { return cells_.positions(); }
  int64_t columns() const { return filters_; }
  int64_t k() const { return channels_ * cells_.taps(); }
  int64_t Output(int64_t family, int64_t row, int64_t column) const {
    return (family * filters_ + column) * rows() + row;
  }

  template <typename F>
  void Source(int64_t family, int64_t row, F f) const {
    const int64_t taps = cells_.taps(), first = family * channels_ * source_cells_;
    cells_.ForEach(row, [&](int64_t tap, int64_t cell) {
      for (int64_t c = 0; c < channels_; ++c) f(c * taps + tap, cell < 0 ? -1 : first + c * source_cells_ + cell);
    });
  }

 protected:
  WindowTerms(WindowCells cells, const Shape& src, int64_t groups, int64_t filters)
      : cells_(std::move(cells)),
        groups_(groups),
        batch_(src[0]),
        channels_(src[1] / groups),
        filters_(filters),
        source_cells_(NumElements(src) == 0 ? 0 : NumElements(src) / (src[0] * src[1])) {}

  WindowCells cells_;
  int64_t groups_, batch_, channels_, filters_, source_cells_;  // channels and filters of a group
};

class ConvTerms : public WindowTerms {
 public:
  ConvTerms(const ir::Conv& op, const Shape& src, const Shape& /*weights*/, const Shape& dst)
      : WindowTerms(CellsOf(kernels::Window3(op.window, src, dst)), src, op.groups, dst[1] / op.groups) {}
  int64_t Channel(int64_t family, int64_t column) const { return family % groups_ * filters_ + column; }

  template <typename F>
  void Weights(int64_t family, int64_t column, F f) const {
    const int64_t count = k(), first = Channel(family, column) * count;
    for (int64_t j = 0; j < count; ++j) f(j, first + j);
  }

 private:
  static WindowCells CellsOf(const kernels::Window3& w) {
    return {w,
            [&w](size_t i, int64_t at, int64_t tap) { return at * w.strides[i] + tap * w.dilations[i] - w.pads[i]; }};
  }
};

class ConvTransposeTerms : public WindowTerms {
 public:
  ConvTransposeTerms(const ir::ConvTranspose& op, const Shape& src, const Shape& weights, const Shape& dst)
      : WindowTerms(CellsOf(kernels::Window3(op.window, src, dst)), src, op.groups, weights[1]) {}
  int64_t Channel(int64_t /*family*/, int64_t column) const { return column; }

  template <typename F>
  void Weights(int64_t family, int64_t column, F f) const {
    const int64_t taps = cells_.taps(), count = k(), first = family % groups_ * channels_;
    for (int64_t j = 0; j < count; ++j) f(j, ((first + j / taps) * filters_ + column) * taps + j % taps);
  }

 private:
  // A tap lands on an output from the source cell that stands a whole number of strides before it.
  static WindowCells CellsOf(const kernels::Window3& w) {
    return {w, [&w](size_t i, int64_t at, int64_t tap) -> int64_t {
              const int64_t p = at + w.pads[i] - tap * w.dilations[i];
              return p < 0 || p % w.strides[i] != 0 ? -1 : p / w.strides[i];
            }};
  }
};

class MatMulTerms {
 public:
  MatMulTerms(const ir::MatMul& op, const Shape& a, const Shape& b, const Shape& dst)
      : a_(Matrix(a, op.transpose_a, true)), b_(Matrix(b, op.transpose_b, false)) {
    const Shape batch(dst.begin(), dst.end() - (a.size() > 1) - (b.size() > 1));
    families_ = NumElements(batch);
    batch_ = batch;
    a_batch_ = BatchStrides(a, batch);
    b_batch_ = BatchStrides(b, batch);
  }
  int64_t families() const { return families_; }
  int64_t rows() const { return a_.others; }
  int64_t columns() const { return b_.others; }
  int64_t k() const { return a_.k; }
  int64_t Output(int64_t family, int64_t row, int64_t column) const {
    return (family * rows() + row) * columns() + column;
  }
  int64_t Channel(int64_t /*family*/, int64_t column) const { return column; }

  template <typename F>
  void Source(int64_t family, int64_t row, F f) const {
    const int64_t first = Start(family, a_batch_) + row * a_.other_stride;
    for (int64_t j = 0; j < a_.k; ++j) f(j, first + j * a_.k_stride);
  }
  template <typename F>
  void Weights(int64_t family, int64_t column, F f) const {
    const int64_t first = Start(family, b_batch_) + column * b_.other_stride;
    for (int64_t j = 0; j < a_.k; ++j) f(j, first + j * b_.k_stride);
  }

 private:
  // `others` rows or columns of k elements.
  struct Operand {
    int64_t k = 1, k_stride = 1, others = 1, other_stride = 0;
  };

  static Operand Matrix(const Shape& shape, bool transpose, bool first) {
    if (shape.size() == 1) return {shape[0], 1, 1, 0};
    const int64_t rows = shape[shape.size() - 2], columns = shape.back();
    return first != transpose ? Operand{columns, 1, rows, columns} : Operand{rows, columns, columns, 1};
  }
  // Over the output's batch dimensions, in elements.
  static ir::Ints BatchStrides(const Shape& shape, const Shape& batch) {
    if (shape.size() <= 2) return ir::Ints(batch.size(), 0);
    ir::Ints strides = ir::BroadcastStrides(Shape(shape.begin(), shape.end() - 2), batch);
    for (int64_t& stride : strides) stride *= shape[shape.size() - 2] * shape.back();
    return strides;
  }
  int64_t Start(int64_t family, const ir::Ints& strides) const {
    int64_t start = 0;
    for (size_t i = batch_.size(); i-- > 0; family /= batch_[i]) start += family % batch_[i] * strides[i];
    return start;
  }

  const Operand a_, b_;
  int64_t families_ = 1;
  Shape batch_;
  ir::Ints a_batch_, b_batch_;
};

using Terms = std::variant<ConvTerms, ConvTransposeTerms, MatMulTerms>;

// True for Conv, ConvTranspose and MatMul.
bool HasDots(const ir::Op& op);

// The terms of node `id` of a specialised graph; nullopt for other operators, and for windows over more than three dimensions.
std::optional<Terms> TermsOf(const ir::Graph& graph, ir::NodeId id);

}  // namespace precis::accumulate

#endif  // PRECIS_ENGINE_ACCUMULATE_TERMS_H_
