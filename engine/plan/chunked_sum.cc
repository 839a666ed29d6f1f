// The chunks that end in f32 accumulate in place; one that ends in the node's final type reads the sum so far as a post-op's operand.
#include "engine/plan/chunked_sum.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace precis::plan {
namespace {

struct ChunkStep {
  Attributes attributes;
  ChunkPrimitive made;
  bool IsFast() const { return made.descriptor && !IsReference(made.descriptor); }
};

// One more chunk onto the f32 sum.
ChunkStep Accumulate(ChunkedNode& node, const Chunk& chunk, const Desc& sums) {
  ChunkStep step;
  if (chunk.index > 0) step.attributes.ops.append_sum();
  node.Prepare(chunk, step.attributes);
  step.made = node.Make(chunk, step.attributes, node.SeenBy(chunk, sums));
  return step;
}

// The last chunk with all that follows the sum, which `partial` holds.
ChunkStep Finish(Builder& b, ir::NodeId id, ChunkedNode& node, const Chunk& chunk, const Desc& sums, int partial) {
  const ir::ValueId output = b.graph().node(id).outputs[0];
  const DataType stored = b.Stored(output);
  const bool in_place = stored == DataType::kF32;
  const Desc dst = node.SeenBy(chunk, {sums.get_dims(), DnnlType(stored), sums.get_strides()});
  ChunkStep step;
  Attributes& a = step.attributes;
  if (in_place) {
    a.ops.append_sum();
  } else {
    const Desc seen = node.SeenBy(chunk, sums);
    a.ops.append_binary(dnnl::algorithm::binary_add, seen);
    a.arguments.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, b.AddMemoryOver(partial, seen)});
  }
  node.Prepare(chunk, a);
  if (IsInt8(stored)) AddQuantization(b, a, output, DNNL_ARG_DST, 0);
  AddPostOps(b, a, id, dst, /*allow_sum=*/!in_place);
  step.made = node.Make(chunk, a, dst);
  return step;
}

}  // namespace

std::vector<Chunk> ChunksOf(const ir::Value& weights, int64_t inputs) {
  std::vector<Chunk> chunks;
  if (!weights.quant || weights.quant->chunk == 0 || weights.quant->chunk >= inputs) return chunks;
  const ir::QuantParams& all = *weights.quant;
  const auto channels = static_cast<std::ptrdiff_t>(weights.shape[static_cast<size_t>(all.axis)]);
  for (int64_t first = 0; first < inputs; first += all.chunk) {
    Chunk chunk;
    chunk.index = chunks.size();
    chunk.inputs = {first, std::min(all.chunk, inputs - first)};
    chunk.is_last = first + chunk.inputs.count == inputs;
    const auto scales = all.scales.begin() + static_cast<std::ptrdiff_t>(chunk.index) * channels;
    chunk.weights.scales.assign(scales, scales + channels);
    chunk.weights.axis = all.axis;
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

std::vector<float> ZeroPointTerm(const ir::Value& source, const ir::Value& weights, size_t chunks) {
  const ir::QuantParams& q = *weights.quant;
  const Shape& shape = weights.shape;
  const std::vector<int64_t> strides = RowMajorStrides(shape);
  const auto axis = static_cast<size_t>(q.axis);
  const int64_t cells = strides[1];
  const int8_t* levels = weights.constant->As<int8_t>().data();
  std::vector<float> term(static_cast<size_t>(shape[axis]));
  std::vector<int64_t> sums(q.scales.size(), 0);
  for (int64_t i = 0; i < shape[0]; ++i) {
    for (int64_t j = 0; j < shape[1]; ++j) {
      const int64_t channel = axis == 0 ? i : j, input = axis == 0 ? j : i;
      int64_t& sum = sums[static_cast<size_t>(input / q.chunk * shape[axis] + channel)];
      for (int64_t cell = 0; cell < cells; ++cell) sum += *levels++;
    }
  }
  const double unit = -static_cast<double>(source.quant->scale()) * source.quant->zero_point();
  for (size_t c = 0; c < term.size(); ++c) {
    double total = 0;
    for (size_t at = c; at < chunks * term.size(); at += term.size())
      total += static_cast<double>(q.scales[at]) * static_cast<double>(sums[at]);
    term[c] = static_cast<float>(unit * total);
  }
  return term;
}

absl::Status EmitChunks(Builder& b, ir::NodeId id, const std::vector<Chunk>& chunks, const Desc& sums,
                        ChunkedNode& node, const std::optional<KernelChunks>& kernel) {
  const ir::Node& n = b.graph().node(id);
  const ir::ValueId output = n.outputs[0];
  const DataType stored = b.Stored(output);
  if (kernel && kernel->kernel.finishes_node()) {
    const int dst = b.Define(output, {sums.get_dims(), DnnlType(stored), sums.get_strides()});
    kernel->kernel.Emit(b, kernel->source, kernel->bias, dst);
    return absl::OkStatus();
  }
  const size_t by_kernel = kernel ? kernel->kernel.chunk_count() : 0;
  std::vector<ChunkStep> steps;
  for (const Chunk& chunk : chunks) {
    if (chunk.index < by_kernel) {
      steps.emplace_back();
      continue;
    }
    steps.push_back(Accumulate(node, chunk, sums));
    if (!steps.back().IsFast())
      return absl::UnimplementedError(absl::StrCat("node \"", n.name, "\": no fast primitive for a chunk of its sum"));
  }
  const bool in_place = stored == DataType::kF32;
  const int partial = in_place ? b.Define(output, sums) : b.Temporary(sums);
  ChunkStep finish = Finish(b, id, node, chunks.back(), sums, partial);
  // Post-ops that did not fit follow an f32 result, but not one of levels.
  const bool fused = finish.IsFast() && (in_place || finish.attributes.attached == n.post_ops.size());
  if (fused) steps.back() = std::move(finish);
  if (kernel) kernel->kernel.Emit(b, kernel->source, /*bias=*/-1, partial);
  for (const Chunk& chunk : chunks) {
    if (chunk.index < by_kernel) continue;
    auto& [attributes, made] = steps[chunk.index];
    std::vector<Argument> arguments = node.Arguments(chunk, made.weights);
    const bool is_result = chunk.is_last && fused && !in_place;
    // A residual that is accumulated onto has the primitive's own dims.
    if (is_result && attributes.sum != ir::kNoValue)
      return EmitWithPostOps(b, id, attributes, made.primitive, made.descriptor, made.dst, std::move(arguments));
    const int dst = is_result ? b.Define(output, {sums.get_dims(), DnnlType(stored), sums.get_strides()}) : partial;
    arguments.insert(arguments.end(), attributes.arguments.begin(), attributes.arguments.end());
    arguments.push_back({DNNL_ARG_DST, b.AddMemoryOver(dst, made.dst)});
    b.EmitPrimitive(made.primitive, made.descriptor, std::move(arguments), /*heavy=*/true);
    if (is_result) return EmitPostOps(b, id, attributes.attached, dst);
  }
  return EmitRest(b, id, fused ? steps.back().attributes.attached : 0, partial);
}

}  // namespace precis::plan
