// Convolutions in chunks of input channels. Over a slice of a wider channels-last tensor oneDNN has only its reference convolution, so a chunk is
// either a convolution over a dense copy of its channels, or a product: a pointwise convolution reads a slice as a matrix whose rows lie
// apart, and a small image is written out as rows of windows. Where a kernel of ours fits (ChunkKernel), it takes their place. The last chunk is
// a convolution where post-ops have operands.
#include "engine/plan/chunked_conv.h"

#include <algorithm>

#include "engine/plan/channel_kernels.h"
#include "engine/plan/geometry.h"

namespace precis::plan {
namespace {

using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

// Rows of windows pay while they stay in the second-level cache beside the weights. On small images the convolution's matrices are short (7
// rows at 7x7), and each chunk pays for that anew: on Zen 4, 512 channels at 7x7 in 19 chunks took 760 us as convolutions.
constexpr int64_t kLargestRowsBytes = 512 << 10;

class ChunkedConv : public ChunkedNode {
 public:
  ChunkedConv(Builder& b, ir::NodeId id, const ir::Conv& op, const std::vector<Chunk>& chunks)
      : b_(b),
        n_(b.graph().node(id)),
        src_(b.value(n_.inputs[0])),
        weights_(b.value(n_.inputs[1])),
        dst_(b.value(n_.outputs[0])),
        bias_(b.graph().Input(id, 2)),
        window_(op.window) {
    const auto all = [](const ir::Ints& list, int64_t x) {
      return std::all_of(list.begin(), list.end(), [x](int64_t i) { return i == x; });
    };
    is_pointwise_ =
        all(window_.kernel, 1) && all(window_.strides, 1) && all(window_.pads_begin, 0) && all(window_.pads_end, 0);
    cells_ = NumElements(Shape(window_.kernel));
    positions_ = NumElements(dst_.shape) / dst_.shape[1];
    as_product_ = is_pointwise_ || (src_.shape.size() == 4 && positions_ * cells_ * src_.shape[1] <= kLargestRowsBytes);
    ends_as_product_ = as_product_ && std::all_of(n_.post_ops.begin(), n_.post_ops.end(), [](const ir::PostOp& p) {
                         return p.kind == ir::PostOp::Kind::kUnary;
                       });
    FoldZeroPoint(chunks.size() - (ends_as_product_ ? 0 : 1));
    if (src_.quant->zero_point() == 0 || (is_pointwise_ && !bias_values_.empty()))
      kernel_ = ChunkKernel::Fit(b_, id, window_, chunks);
    Cut(chunks);
  }

  // The kernel and what it reads.
  std::optional<KernelChunks> TakeKernel() {
    std::optional<KernelChunks> taken;
    if (kernel_) {
      const int source = b_.Use(n_.inputs[0], ChannelsLast(src_.shape, DataType::kU8));
      taken = KernelChunks{*kernel_, source, kernel_->finishes_node() && HasBias() ? Bias() : -1};
    }
    return taken;
  }

  void Prepare(const Chunk& chunk, Attributes& a) override {
    ir::QuantParams source = *src_.quant;
    if (IsProduct(chunk) && !bias_values_.empty()) source.zero_points.clear();
    AddQuantization(b_, a, source, DNNL_ARG_SRC, 0);
    AddQuantization(b_, a, chunk.weights, DNNL_ARG_WEIGHTS, IsProduct(chunk) ? 2 : 1);
  }

  Desc SeenBy(const Chunk& chunk, const Desc& dst) const override {
    return IsProduct(chunk) ? Desc({positions_, dst_.shape[1]}, dst.get_data_type(), Tag::ab) : dst;
  }

  ChunkPrimitive Make(const Chunk& chunk, Attributes& a, const Desc& dst) override {
    if (IsProduct(chunk)) {
      const Desc weights = AnyWeights({Depth(chunk), dst_.shape[1]});
      const dnnl::matmul::primitive_desc pd =
          chunk.is_last && HasBias()
              ? dnnl::matmul::primitive_desc(b_.engine(), RowsOf(chunk), weights, BiasOf(chunk), dst, a.Finish(),
                                             /*allow_empty=*/true)
              : dnnl::matmul::primitive_desc(b_.engine(), RowsOf(chunk), weights, dst, a.Finish(),
                                             /*allow_empty=*/true);
      return ChunkPrimitive::Of<dnnl::matmul::primitive_desc, dnnl::matmul>(pd, dst);
    }
    const Geometry g = GeometryOf(window_);
    const dnnl::convolution_forward::primitive_desc pd(
        b_.engine(), dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, SliceOf(chunk),
        AnyWeights(WeightsOf(chunk).get_dims()), chunk.is_last && HasBias() ? BiasOf(chunk) : Desc(), dst, g.strides,
        g.dilations, g.pads_begin, g.pads_end, a.Finish(), /*allow_empty=*/true);
    return ChunkPrimitive::Of<dnnl::convolution_forward::primitive_desc, dnnl::convolution_forward>(pd, dst);
  }

  std::vector<Argument> Arguments(const Chunk& chunk, const Desc& packed) override {
    const Desc weights = WeightsOf(chunk);
    std::vector<Argument> arguments = {{DNNL_ARG_SRC, sources_[chunk.index]}};
    if (IsProduct(chunk)) {
      // [outputs, inputs, window] as the matrix [window x inputs, outputs] that the rows want.
      std::vector<int> order(static_cast<size_t>(weights.get_ndims()));
      for (size_t i = 2; i < order.size(); ++i) order[i] = static_cast<int>(i) - 2;
      order[1] = static_cast<int>(order.size()) - 2;
      order[0] = static_cast<int>(order.size()) - 1;
      arguments.push_back(
          {DNNL_ARG_WEIGHTS, b_.UseWeightMatrix(n_.inputs[1], weights.permute_axes(order), Depth(chunk), packed)});
    } else {
      arguments.push_back({DNNL_ARG_WEIGHTS, b_.UseWeights(n_.inputs[1], weights, packed)});
    }
    if (chunk.is_last && HasBias()) arguments.push_back({DNNL_ARG_BIAS, b_.AddMemoryOver(Bias(), BiasOf(chunk))});
    return arguments;
  }

 private:
  // The zero point's part in the products, as a part of the bias: their padding holds the zero point, so that no cell is missing.
  void FoldZeroPoint(size_t products) {
    if (!as_product_ || src_.quant->zero_point() == 0) return;
    if (bias_ != ir::kNoValue && !b_.graph().IsConstant(bias_)) return;
    bias_values_ = ZeroPointTerm(src_, weights_, products);
    if (bias_ == ir::kNoValue) return;
    const std::vector<float> bias = b_.ConstantValues(bias_);
    for (size_t i = 0; i < bias.size(); ++i) bias_values_[i] += bias[i];
  }

  // Lays out every chunk's source.
  void Cut(const std::vector<Chunk>& chunks) {
    const DataType stored = b_.Stored(n_.inputs[0]);
    const int whole = b_.Use(n_.inputs[0], ChannelsLast(src_.shape, stored));
    std::vector<ChannelRange> ranges;
    std::vector<int64_t> row_counts;
    std::vector<int> slices, row_slices, rows;
    for (const Chunk& chunk : chunks) {
      if (kernel_ && chunk.index < kernel_->chunk_count()) {
        sources_.push_back(-1);
        continue;
      }
      if (is_pointwise_ && IsProduct(chunk)) {
        sources_.push_back(b_.AddMemoryOver(whole, RowsOf(chunk), chunk.inputs.first));
        continue;
      }
      ranges.push_back(chunk.inputs);
      slices.push_back(b_.Temporary(SliceOf(chunk)));
      sources_.push_back(slices.back());
      if (!IsProduct(chunk)) continue;
      row_counts.push_back(chunk.inputs.count);
      row_slices.push_back(slices.back());
      rows.push_back(b_.Temporary(RowsOf(chunk)));
      sources_.back() = rows.back();
    }
    const Shape& shape = src_.shape;
    if (!slices.empty()) {
      b_.EmitKernel(SplitChannels(NumElements(shape) / shape[1], shape[1], ranges, /*element_bytes=*/1), {whole},
                    std::move(slices), "slices");
    }
    if (rows.empty()) return;
    const auto padding = static_cast<uint8_t>(src_.quant->zero_point());
    b_.EmitKernel(
        WindowRows({shape[0], shape[2], shape[3]}, window_, {dst_.shape[2], dst_.shape[3]}, padding, row_counts),
        std::move(row_slices), std::move(rows), "rows");
  }

  bool IsProduct(const Chunk& chunk) const { return chunk.is_last ? ends_as_product_ : as_product_; }
  bool HasBias() const { return bias_ != ir::kNoValue || !bias_values_.empty(); }
  int Bias() {
    return bias_values_.empty() ? b_.UseFloat(bias_, RowMajor({dst_.shape[1]}, DataType::kF32))
                                : b_.ConstantF32(bias_values_);
  }
  Desc BiasOf(const Chunk& chunk) const {
    return RowMajor(IsProduct(chunk) ? Shape{1, dst_.shape[1]} : Shape{dst_.shape[1]}, DataType::kF32);
  }
  int64_t Depth(const Chunk& chunk) const { return cells_ * chunk.inputs.count; }
  static Desc AnyWeights(const dnnl::memory::dims& dims) { return {dims, Type::s8, Tag::any}; }

  // The chunk's channels, dense.
  Desc SliceOf(const Chunk& chunk) const {
    Shape shape = src_.shape;
    shape[1] = chunk.inputs.count;
    return ChannelsLast(shape, b_.Stored(n_.inputs[0]));
  }
  // The chunk's windows, one row per cell of the result.
  Desc RowsOf(const Chunk& chunk) const {
    const Type type = DnnlType(b_.Stored(n_.inputs[0]));
    return {{positions_, Depth(chunk)}, type, dnnl::memory::dims{is_pointwise_ ? src_.shape[1] : Depth(chunk), 1}};
  }
  Desc WeightsOf(const Chunk& chunk) const {
    Shape dims = weights_.shape, offsets(dims.size(), 0);
    const Desc all = RowMajor(dims, DataType::kS8);
    dims[1] = chunk.inputs.count;
    offsets[1] = chunk.inputs.first;
    return all.submemory_desc(dims, offsets);
  }

  Builder& b_;
  const ir::Node& n_;
  const ir::Value &src_, &weights_, &dst_;
  const ir::ValueId bias_;
  const ir::Window& window_;
  bool is_pointwise_ = false;
  bool as_product_ = false;       // all chunks but the last
  bool ends_as_product_ = false;  // the last one too
  int64_t cells_ = 1, positions_ = 0;
  std::optional<ChunkKernel> kernel_;
  std::vector<float> bias_values_;  // with the zero point's part; empty: every primitive takes the zero point
  std::vector<int> sources_;        // per chunk
};

}  // namespace

absl::Status LowerChunkedConv(Builder& b, ir::NodeId id, const ir::Conv& op, const std::vector<Chunk>& chunks) {
  const Desc sums = ChannelsLast(b.value(b.graph().node(id).outputs[0]).shape, DataType::kF32);
  ChunkedConv conv(b, id, op, chunks);
  return EmitChunks(b, id, chunks, sums, conv, conv.TakeKernel());
}

}  // namespace precis::plan
