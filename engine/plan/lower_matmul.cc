// Matrix products on oneDNN's matmul. Products with a constant matrix run as one 2-D product with packed weights; products of two activations
// (attention) keep their batch dims and take transposed or head-split operands as strides, so that no copy is made.
// https://uxlfoundation.github.io/oneDNN/dev_guide_matmul.html
#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/plan/chunked_sum.h"
#include "engine/plan/lookup_product.h"
#include "engine/plan/post_ops.h"
#include "engine/plan/streamed_product.h"

namespace precis::plan {
namespace {

// `desc` with the last two dims swapped.
Desc Transposed(const Desc& desc) {
  std::vector<int> axes(static_cast<size_t>(desc.get_ndims()));
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int>(i);
  std::swap(axes[axes.size() - 1], axes[axes.size() - 2]);
  return desc.permute_axes(axes);
}

Shape Leading(const Shape& shape, size_t rank) {
  Shape padded(rank - shape.size(), 1);
  padded.insert(padded.end(), shape.begin(), shape.end());
  return padded;
}

struct Operands {
  Desc src, weights, dst;   // as the primitive sees them
  int src_memory = -1;      // row-major or strided memory to read src from
  int weights_memory = -1;  // -1: packed constant
  Desc weights_source;      // how a packed constant's bytes read
};

// 16-bit weights on f32 arithmetic are widened by the plan (UseWeights): oneDNN 3.7.2 takes f32 x f16 in one primitive, but its
// result at [1,1280] x [1280,1000] was wrong here (SQNR 2 dB, against 47 dB with widened weights).
DataType ArithmeticType(DataType stored) { return IsInt8(stored) ? DataType::kS8 : stored; }

// Operand `id` seen with rank `rank` and transposition, in its present strides when `strided`, else row-major.
std::pair<int, Desc> See(Builder& b, ir::ValueId id, size_t rank, bool transpose, bool strided) {
  const int m = strided ? b.Use(id) : b.UseRowMajor(id);
  Desc desc = b.memory(m).desc;
  if (static_cast<size_t>(desc.get_ndims()) < rank) desc = desc.reshape(Leading(Shape(desc.get_dims()), rank));
  return {m, transpose ? Transposed(desc) : desc};
}

// A network of fewer quantized weights than these keeps them in the cache, where oneDNN reads them fast and looking them up costs more: from eight
// layers of 128 x 128 (u8 x s4 at one row 1.5 times slower than oneDNN's u8 x s8) to eight of 1024 x 1024 (as fast); four of 4096 x 4096 are
// three times faster (Zen 4).
constexpr int64_t kCachedWeights = int64_t{1} << 24;

int64_t QuantizedWeights(const ir::Graph& graph) {
  int64_t count = 0;
  for (ir::ValueId id = 0; id < graph.num_values(); ++id) {
    const ir::Value& v = graph.value(id);
    if (v.constant != nullptr && v.dtype == DataType::kS8) count += NumElements(v.shape);
  }
  return count;
}

class MatMulLowering : public ChunkedNode {
 public:
  MatMulLowering(Builder& b, ir::NodeId id, const ir::MatMul& op) : b_(b), id_(id), op_(op), n_(b.graph().node(id)) {}

  absl::Status Run() {
    const ir::ValueId a = n_.inputs[0], w = n_.inputs[1];
    const Shape &sa = b_.value(a).shape, &sw = b_.value(w).shape;
    if (sa.size() < 2 || sw.size() < 2 || !TypesFit()) return absl::UnimplementedError("");
    const bool constant = b_.graph().IsConstant(w) && sw.size() == 2;
    const std::vector<Chunk> chunks = constant ? ChunksOf(b_.value(w), sa.back()) : std::vector<Chunk>();
    if (constant && MayHaveFewRows(chunks)) {
      const int64_t rows = NumElements(sa) / sa.back(), group = GroupOf(chunks);
      const auto streamed = StreamedProduct::Of(rows, Levels(), group);
      const auto lookup = LookupProduct::Of(rows, Levels(), group);
      // What reads the fewest bits; at as many, tables are the faster ones for whole sums, and the slower ones for groups.
      if (lookup &&
          (!streamed || lookup->bits() < streamed->bits() || (lookup->bits() == streamed->bits() && group == 0)))
        return EmitPacked(*lookup, chunks);
      if (streamed) return EmitPacked(*streamed, chunks);
    }
    if (!chunks.empty()) {
      ChooseOperands(constant, /*strided=*/true);
      FoldZeroPoint(chunks.size());
      return EmitChunks(b_, id_, chunks, RowMajor(b_.value(n_.outputs[0]).shape, DataType::kF32), *this,
                        /*kernel=*/std::nullopt);
    }
    Choose(constant, /*strided=*/true);
    if (!pd_ || IsReference(pd_)) Choose(constant, /*strided=*/false);
    if (!pd_) return absl::UnimplementedError(absl::StrCat("node \"", n_.name, "\": oneDNN has no such matmul"));
    std::vector<Argument> arguments;
    arguments.push_back({DNNL_ARG_SRC, b_.AddMemoryOver(o_.src_memory, o_.src)});
    const int weights = constant ? b_.UseWeights(w, o_.weights_source, pd_.weights_desc())
                                 : b_.AddMemoryOver(o_.weights_memory, o_.weights);
    arguments.push_back({DNNL_ARG_WEIGHTS, weights});
    if (bias_memory_ >= 0) arguments.push_back({DNNL_ARG_BIAS, bias_memory_});
    return EmitWithPostOps(b_, id_, attributes_, dnnl::matmul(pd_), pd_, o_.dst, std::move(arguments));
  }

  // The chunks of a product: columns of the source, which may lie apart, and rows of the weights. alpha goes into the scales.
  void Prepare(const Chunk& chunk, Attributes& a) override {
    ir::QuantParams weights = chunk.weights;
    for (float& s : weights.scales) s *= op_.alpha;
    ir::QuantParams source = *b_.value(n_.inputs[0]).quant;
    if (!folded_bias_.empty()) source.zero_points.clear();
    AddQuantization(b_, a, source, DNNL_ARG_SRC, 0);
    AddQuantization(b_, a, weights, DNNL_ARG_WEIGHTS, 1 << (o_.weights.get_ndims() - 1));
    bias_memory_ = -1;
    if (!chunk.is_last) return;
    if (const ir::ValueId bias = b_.graph().Input(id_, 2); !folded_bias_.empty()) {
      Shape dims(static_cast<size_t>(o_.dst.get_ndims()), 1);
      dims.back() = static_cast<int64_t>(folded_bias_.size());
      bias_desc_ = RowMajor(dims, DataType::kF32);
      bias_memory_ = b_.AddMemoryOver(b_.ConstantF32(folded_bias_), bias_desc_);
    } else if (bias != ir::kNoValue) {
      AddBias(bias, a, /*alpha=*/1.0f);
    }
  }
  Desc SeenBy(const Chunk& /*chunk*/, const Desc& dst) const override {
    return RowMajor(Shape(o_.dst.get_dims()), TypeOf(dst));
  }
  ChunkPrimitive Make(const Chunk& chunk, Attributes& a, const Desc& dst) override {
    const Desc weights(WeightsOf(chunk).get_dims(), dnnl::memory::data_type::s8, dnnl::memory::format_tag::any);
    return ChunkPrimitive::Of<dnnl::matmul::primitive_desc, dnnl::matmul>(Describe(SourceOf(chunk), weights, dst, a),
                                                                          dst);
  }
  std::vector<Argument> Arguments(const Chunk& chunk, const Desc& packed) override {
    const int64_t offset_bytes = chunk.inputs.first * o_.src.get_strides().back();
    std::vector<Argument> arguments = {{DNNL_ARG_SRC, b_.AddMemoryOver(o_.src_memory, SourceOf(chunk), offset_bytes)},
                                       {DNNL_ARG_WEIGHTS, b_.UseWeights(n_.inputs[1], WeightsOf(chunk), packed)}};
    if (chunk.is_last && bias_memory_ >= 0) arguments.push_back({DNNL_ARG_BIAS, bias_memory_});
    return arguments;
  }

 private:
  // The constant matrix as it multiplies.
  LevelMatrix Levels() const {
    const ir::Value& w = b_.value(n_.inputs[1]);
    const LevelMatrix matrix{w.constant->As<int8_t>().data(), w.shape[0], w.shape[1], w.shape[1], 1};
    return op_.transpose_b ? LevelMatrix{matrix.levels, matrix.n, matrix.k, 1, matrix.k_stride} : matrix;
  }

  // Elements of K that share a scale, as the kernels for few rows count them.
  int64_t GroupOf(const std::vector<Chunk>& chunks) const {
    return chunks.empty() ? 0 : b_.value(n_.inputs[1]).quant->chunk;
  }

  // Whether a kernel of ours for few rows could compute this product, and would be faster, if the rows are few.
  bool MayHaveFewRows(const std::vector<Chunk>& chunks) const {
    const ir::Value &src = b_.value(n_.inputs[0]), &w = b_.value(n_.inputs[1]);
    const ir::ValueId bias = b_.graph().Input(id_, 2);
    if (!IsInt8(src.dtype) || op_.transpose_a || !FitsCollapsed()) return false;
    if (src.dtype == DataType::kS8 && !chunks.empty()) return false;
    if (absl::c_any_of(w.quant->zero_points, [](int32_t z) { return z != 0; })) return false;
    if (bias != ir::kNoValue && (!b_.graph().IsConstant(bias) || b_.value(bias).shape != Shape{Levels().n}))
      return false;
    return QuantizedWeights(b_.graph()) >= kCachedWeights;
  }

  template <typename Product>
  absl::Status EmitPacked(const Product& product, const std::vector<Chunk>& chunks) {
    const ir::Value &src = b_.value(n_.inputs[0]), &w = b_.value(n_.inputs[1]);
    const ir::ValueId bias = b_.graph().Input(id_, 2), output = n_.outputs[0];
    ChooseOperands(/*constant=*/true, /*strided=*/true);
    if (!chunks.empty()) FoldZeroPoint(chunks.size());
    std::vector<float> added = folded_bias_;
    if (added.empty() && bias != ir::kNoValue) added = b_.ConstantValues(bias);
    // The scales of groups lie with the weights.
    std::vector<float> scales(static_cast<size_t>(o_.dst.get_dims().back()), src.quant->scale() * op_.alpha);
    if (chunks.empty()) {
      for (size_t i = 0; i < scales.size(); ++i) scales[i] *= w.quant->scales[w.quant->per_tensor() ? 0 : i];
    }
    const bool finishes = KernelCanFinish(b_, id_);
    const Desc dst = RowMajor(b_.value(output).shape, finishes ? b_.Stored(output) : DataType::kF32);
    const int result = b_.Stored(output) == TypeOf(dst) ? b_.Define(output, dst) : b_.Temporary(dst);
    // Nodes may share weights.
    const std::string layout =
        absl::StrCat(product.implementation(), " of ", Levels().k, op_.transpose_b ? " transposed" : "", ", groups of ",
                     GroupOf(chunks), " ", chunks.empty() ? 0 : absl::HashOf(w.quant->scales));
    const int weights = b_.UsePacked(n_.inputs[1], layout, product.packed_bytes(),
                                     [&](void* packed) { product.Pack(Levels(), w.quant->scales, packed); });
    std::vector<int> outputs = {result};
    if (const int64_t bytes = product.scratch_bytes(src.dtype); bytes > 0) outputs.push_back(b_.TemporaryBytes(bytes));
    b_.EmitKernel(product.Product(src.dtype, src.quant->zero_point(),
                                  finishes ? KernelResult(b_, id_) : QuantizedOperand{DataType::kF32, {}},
                                  finishes && !n_.post_ops.empty()),
                  {o_.src_memory, weights, b_.ConstantF32(scales), added.empty() ? -1 : b_.ConstantF32(added)},
                  std::move(outputs), product.implementation());
    return finishes ? absl::OkStatus() : EmitRest(b_, id_, 0, result);
  }

  // The source's zero point, as a part of the bias, where that is a constant per column.
  void FoldZeroPoint(size_t chunks) {
    const ir::Value &src = b_.value(n_.inputs[0]), &weights = b_.value(n_.inputs[1]);
    if (src.quant->zero_point() == 0) return;
    const ir::ValueId bias = b_.graph().Input(id_, 2);
    std::vector<float> values;
    if (bias != ir::kNoValue) {
      if (!b_.graph().IsConstant(bias) || b_.value(bias).shape != Shape{o_.dst.get_dims().back()}) return;
      values = b_.ConstantValues(bias);
    }
    folded_bias_ = ZeroPointTerm(src, weights, chunks);
    for (float& f : folded_bias_) f *= op_.alpha;
    for (size_t i = 0; i < values.size(); ++i) folded_bias_[i] += values[i];
  }

  // The chunk's columns; where they begin is the memory's affair.
  Desc SourceOf(const Chunk& chunk) const {
    dnnl::memory::dims dims = o_.src.get_dims();
    dims.back() = chunk.inputs.count;
    return {dims, o_.src.get_data_type(), o_.src.get_strides()};
  }
  Desc WeightsOf(const Chunk& chunk) const {
    dnnl::memory::dims dims = o_.weights_source.get_dims(), offsets(dims.size(), 0);
    dims[dims.size() - 2] = chunk.inputs.count;
    offsets[dims.size() - 2] = chunk.inputs.first;
    return o_.weights_source.submemory_desc(dims, offsets);
  }

  bool TypesFit() const {
    const ir::Value &a = b_.value(n_.inputs[0]), &w = b_.value(n_.inputs[1]);
    const bool quantized = IsInt8(a.dtype);
    if (quantized != a.quant.has_value()) return false;
    if (!HasUsableZeroPoints(w)) return false;
    if (quantized)
      return IsInt8(w.dtype) && w.quant && (b_.graph().IsConstant(n_.inputs[1]) ? w.dtype == DataType::kS8 : true);
    return IsFloat(a.dtype) && IsFloat(w.dtype) && a.dtype != DataType::kF64 && w.dtype != DataType::kF64;
  }

  // Whether everything added to the result can be seen as two-dimensional once the leading dims are one.
  bool FitsCollapsed() const {
    const Shape& out = b_.value(n_.outputs[0]).shape;
    const Shape collapsed = {NumElements(out) / out.back(), out.back()};
    return std::all_of(n_.inputs.begin() + 2, n_.inputs.end(), [&](ir::ValueId v) {
      return v == ir::kNoValue || OperandDims(b_.value(v).shape, out, collapsed).has_value();
    });
  }

  // Makes the primitive descriptor with all that fits fused.
  void Choose(bool constant, bool strided) {
    ChooseOperands(constant, strided);
    MakePrimitive();
  }

  void ChooseOperands(bool constant, bool strided) {
    const ir::ValueId a = n_.inputs[0], w = n_.inputs[1], output = n_.outputs[0];
    const Shape &sa = b_.value(a).shape, &sw = b_.value(w).shape, &out = b_.value(output).shape;
    const DataType src_type = b_.Stored(a);
    if (constant && !op_.transpose_a && FitsCollapsed()) {
      const int64_t k = sa.back();
      o_.src_memory = b_.UseRowMajor(a);
      o_.src = b_.memory(o_.src_memory).desc.reshape({NumElements(sa) / k, k});
      o_.dst = RowMajor({NumElements(out) / out.back(), out.back()}, b_.Stored(output));
    } else {
      const size_t rank = std::max(sa.size(), sw.size());
      std::tie(o_.src_memory, o_.src) = See(b_, a, rank, op_.transpose_a, strided);
      o_.dst = RowMajor(out, b_.Stored(output));
      if (const auto wanted = b_.WantedLayout(output); strided && wanted) o_.dst = *wanted;
    }
    if (constant) {
      o_.weights_source = RowMajor(sw, b_.value(w).dtype);
      if (op_.transpose_b) o_.weights_source = Transposed(o_.weights_source);
      Shape dims(static_cast<size_t>(o_.src.get_ndims()) - 2, 1);
      const auto kn = o_.weights_source.get_dims();
      dims.insert(dims.end(), kn.begin(), kn.end());
      o_.weights_source = o_.weights_source.reshape(dims);
      o_.weights = AnyLayout(dims, ArithmeticType(src_type));
    } else {
      std::tie(o_.weights_memory, o_.weights) =
          See(b_, w, static_cast<size_t>(o_.src.get_ndims()), op_.transpose_b, strided);
    }
  }

  void MakePrimitive() {
    Build(/*fused=*/true, b_.Stored(n_.outputs[0]));
    const bool complete = attributes_.attached == n_.post_ops.size();
    if (complete && pd_ && !IsReference(pd_)) return;
    // The product alone into f32, the rest behind it.
    if (n_.post_ops.empty() && b_.Stored(n_.outputs[0]) == DataType::kF32) return;
    o_.dst = RowMajor(Shape(o_.dst.get_dims()), DataType::kF32);
    Build(/*fused=*/false, DataType::kF32);
  }

  void Build(bool fused, DataType dst_type) {
    const ir::ValueId bias = b_.graph().Input(id_, 2);
    attributes_ = Attributes();
    bias_memory_ = -1;
    AddQuantization(b_, attributes_, n_.inputs[0], DNNL_ARG_SRC, 0);
    AddQuantization(b_, attributes_, n_.inputs[1], DNNL_ARG_WEIGHTS, 1 << (o_.weights.get_ndims() - 1));
    if (IsInt8(dst_type)) AddQuantization(b_, attributes_, n_.outputs[0], DNNL_ARG_DST, 0);
    if (op_.alpha != 1.0f) attributes_.ops.append_eltwise(dnnl::algorithm::eltwise_linear, op_.alpha, 0.0f);
    if (bias != ir::kNoValue) AddBias(bias, attributes_, op_.alpha);
    if (fused)
      AddPostOps(b_, attributes_, id_, o_.dst,
                 /*allow_sum=*/Shape(o_.dst.get_dims()) == b_.value(n_.outputs[0]).shape || IsDense());
    pd_ = Describe(o_.src, o_.weights, o_.dst, attributes_);
  }

  dnnl::matmul::primitive_desc Describe(const Desc& src, const Desc& weights, const Desc& dst, Attributes& a) const {
    constexpr bool kAllowEmpty = true;
    if (bias_memory_ < 0) return {b_.engine(), src, weights, dst, a.Finish(), kAllowEmpty};
    return {b_.engine(), src, weights, bias_desc_, dst, a.Finish(), kAllowEmpty};
  }

  bool IsDense() const { return DenseOrder(o_.dst).has_value(); }

  // oneDNN adds its bias before post-ops: right only without alpha, and for a [N] bias; otherwise it is a binary post-op.
  void AddBias(ir::ValueId bias, Attributes& a, float alpha) {
    const Shape& shape = b_.value(bias).shape;
    const Shape dst(o_.dst.get_dims());
    const Shape dims = *OperandDims(shape, b_.value(n_.outputs[0]).shape, dst);
    const bool per_column = dims.back() == dst.back() && NumElements(dims) == dst.back();
    const Desc seen = RowMajor(dims, DataType::kF32);
    const int m = b_.AddMemoryOver(b_.UseFloat(bias, RowMajor(shape, DataType::kF32)), seen);
    if (alpha == 1.0f && per_column) {
      bias_desc_ = seen;
      bias_memory_ = m;
      return;
    }
    a.ops.append_binary(dnnl::algorithm::binary_add, seen);
    a.arguments.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(a.ops.len() - 1) | DNNL_ARG_SRC_1, m});
  }

  Builder& b_;
  const ir::NodeId id_;
  const ir::MatMul& op_;
  const ir::Node& n_;
  Operands o_;
  Attributes attributes_;
  dnnl::matmul::primitive_desc pd_;
  int bias_memory_ = -1;  // -1: none, or a post-op
  Desc bias_desc_;
  std::vector<float> folded_bias_;  // with the zero point's part; empty: the primitives take the zero point
};

}  // namespace

absl::Status LowerMatMul(Builder& b, ir::NodeId id, const ir::MatMul& op) { return MatMulLowering(b, id, op).Run(); }

}  // namespace precis::plan
