// An output's dot product is gathered term by term: slow, but these are hundreds of products, not a layer's millions.
#include "engine/accumulate/layer_dots.h"

#include "absl/strings/str_cat.h"
#include "engine/ir/shape_rules.h"
#include "engine/kernels/window.h"

namespace precis::accumulate {
namespace {

using kernels::Window3;

// Element `index` of a row-major tensor of `shape`, by dimension.
std::vector<int64_t> Unravel(int64_t index, const Shape& shape) {
  std::vector<int64_t> at(shape.size());
  for (size_t i = shape.size(); i-- > 0; index /= shape[i]) at[i] = index % shape[i];
  return at;
}

Window3::Dims SpatialPlace(const std::vector<int64_t>& at) {
  Window3::Dims place{0, 0, 0};
  for (size_t i = 2; i < at.size(); ++i) place[3 - at.size() + i] = at[i];
  return place;
}

// Where the terms of an output stand: Gather(output, f) calls f(source element or -1, weights element) for each.
class ConvTerms {
 public:
  ConvTerms(const ir::Conv& op, const Shape& src, const Shape& weights, const Shape& dst)
      : window_(op.window, src, dst),
        dst_(dst),
        channels_(src[1]),
        group_channels_(weights[1]),
        group_filters_(dst[1] / op.groups) {}
  int64_t k() const { return group_channels_ * Window3::Size(window_.kernel); }

  template <typename F>
  void Gather(int64_t output, F f) const {
    const std::vector<int64_t> at = Unravel(output, dst_);
    const int64_t first = at[0] * channels_ + at[1] / group_filters_ * group_channels_;
    const int64_t cells = Window3::Size(window_.in), taps = Window3::Size(window_.kernel);
    for (int64_t c = 0; c < group_channels_; ++c) {
      Window3::ForEach(window_.kernel, [&](const Window3::Dims& tap, int64_t t) {
        const int64_t cell = window_.Cell(window_.in, SpatialPlace(at), tap);
        f(cell < 0 ? -1 : (first + c) * cells + cell, (at[1] * group_channels_ + c) * taps + t);
      });
    }
  }

 private:
  const Window3 window_;
  const Shape dst_;
  const int64_t channels_, group_channels_, group_filters_;
};

class ConvTransposeTerms {
 public:
  ConvTransposeTerms(const ir::ConvTranspose& op, const Shape& src, const Shape& weights, const Shape& dst)
      : window_(op.window, src, dst),
        dst_(dst),
        channels_(src[1]),
        group_channels_(src[1] / op.groups),
        group_filters_(weights[1]) {}
  int64_t k() const { return group_channels_ * Window3::Size(window_.kernel); }

  template <typename F>
  void Gather(int64_t output, F f) const {
    const std::vector<int64_t> at = Unravel(output, dst_);
    const int64_t group = at[1] / group_filters_, cells = Window3::Size(window_.in);
    const int64_t taps = Window3::Size(window_.kernel);
    for (int64_t c = group * group_channels_; c < (group + 1) * group_channels_; ++c) {
      Window3::ForEach(window_.kernel, [&](const Window3::Dims& tap, int64_t t) {
        const int64_t cell = SourceCell(SpatialPlace(at), tap);
        f(cell < 0 ? -1 : (at[0] * channels_ + c) * cells + cell,
          (c * group_filters_ + at[1] % group_filters_) * taps + t);
      });
    }
  }

 private:
  // The source cell whose tap lands on the output at `at`, or -1.
  int64_t SourceCell(const Window3::Dims& at, const Window3::Dims& tap) const {
    int64_t index = 0;
    for (size_t i = 0; i < 3; ++i) {
      const int64_t p = at[i] + window_.pads[i] - tap[i] * window_.dilations[i];
      if (p < 0 || p % window_.strides[i] != 0 || p / window_.strides[i] >= window_.in[i]) return -1;
      index = index * window_.in[i] + p / window_.strides[i];
    }
    return index;
  }

  const Window3 window_;
  const Shape dst_;
  const int64_t channels_, group_channels_, group_filters_;
};

class MatMulTerms {
 public:
  MatMulTerms(const ir::MatMul& op, const Shape& a, const Shape& b, const Shape& dst)
      : a_(Matrix(a, op.transpose_a, true)),
        b_(Matrix(b, op.transpose_b, false)),
        dst_(dst),
        has_row_(a.size() > 1),
        has_column_(b.size() > 1) {
    const Shape batch(dst.begin(), dst.end() - has_row_ - has_column_);
    a_batch_ = BatchStrides(a, batch);
    b_batch_ = BatchStrides(b, batch);
  }
  int64_t k() const { return a_.k; }

  template <typename F>
  void Gather(int64_t output, F f) const {
    const std::vector<int64_t> at = Unravel(output, dst_);
    int64_t a = has_row_ ? at[a_batch_.size()] * a_.other_stride : 0;
    int64_t b = has_column_ ? at.back() * b_.other_stride : 0;
    for (size_t i = 0; i < a_batch_.size(); ++i) {
      a += at[i] * a_batch_[i];
      b += at[i] * b_batch_[i];
    }
    for (int64_t j = 0; j < a_.k; ++j) f(a + j * a_.k_stride, b + j * b_.k_stride);
  }

 private:
  struct Operand {
    int64_t k = 1, k_stride = 1, other_stride = 0;
  };

  static Operand Matrix(const Shape& shape, bool transpose, bool first) {
    if (shape.size() == 1) return {shape[0], 1, 0};
    const int64_t rows = shape[shape.size() - 2], columns = shape.back();
    return first != transpose ? Operand{columns, 1, columns} : Operand{rows, columns, 1};
  }
  // Over the output's batch dimensions, in elements.
  static ir::Ints BatchStrides(const Shape& shape, const Shape& batch) {
    if (shape.size() <= 2) return ir::Ints(batch.size(), 0);
    ir::Ints strides = ir::BroadcastStrides(Shape(shape.begin(), shape.end() - 2), batch);
    for (int64_t& stride : strides) stride *= shape[shape.size() - 2] * shape.back();
    return strides;
  }

  const Operand a_, b_;
  const Shape dst_;
  const bool has_row_, has_column_;
  ir::Ints a_batch_, b_batch_;
};

template <typename Terms>
absl::Status Draw(const Terms& terms, int64_t outputs, const TensorView& src, const TensorView& weights, int64_t count,
                  std::mt19937& random, Dots& dots) {
  if (dots.count > 0 && dots.k != terms.k()) {
    return absl::InternalError(absl::StrCat("dot products of ", terms.k(), " terms among ones of ", dots.k));
  }
  dots.k = terms.k();
  const auto a = src.As<float>(), b = weights.As<float>();
  std::uniform_int_distribution<int64_t> draw(0, outputs - 1);
  for (int64_t i = 0; i < count; ++i) {
    terms.Gather(draw(random), [&](int64_t source, int64_t weight) {
      dots.a.push_back(source < 0 ? 0.0f : a[static_cast<size_t>(source)]);
      dots.b.push_back(b[static_cast<size_t>(weight)]);
    });
  }
  dots.count += count;
  return absl::OkStatus();
}

}  // namespace

bool HasDots(const ir::Op& op) {
  return std::holds_alternative<ir::Conv>(op) || std::holds_alternative<ir::ConvTranspose>(op) ||
         std::holds_alternative<ir::MatMul>(op);
}

absl::Status AddLayerDots(const ir::Graph& graph, ir::NodeId id, const TensorView& src, const TensorView& weights,
                          int64_t count, std::mt19937& random, Dots& dots) {
  const ir::Node& node = graph.node(id);
  const Shape& dst = graph.value(node.outputs[0]).shape;
  const int64_t outputs = NumElements(dst);
  if (outputs == 0) return absl::OkStatus();
  const auto draw = [&](const auto& terms) { return Draw(terms, outputs, src, weights, count, random, dots); };
  const bool fits = Window3::Fits(src.shape);
  if (const auto* conv = std::get_if<ir::Conv>(&node.op); conv != nullptr && fits) {
    return draw(ConvTerms(*conv, src.shape, weights.shape, dst));
  }
  if (const auto* transpose = std::get_if<ir::ConvTranspose>(&node.op); transpose != nullptr && fits) {
    return draw(ConvTransposeTerms(*transpose, src.shape, weights.shape, dst));
  }
  if (const auto* product = std::get_if<ir::MatMul>(&node.op)) {
    return draw(MatMulTerms(*product, src.shape, weights.shape, dst));
  }
  return absl::UnimplementedError(absl::StrCat("node \"", node.name, "\": dot products of ", ir::OpName(node.op),
                                               " over ", ShapeToString(src.shape)));
}

}  // namespace precis::accumulate
