#ifndef PRECIS_ENGINE_PLAN_CHUNKED_SUM_H_
#define PRECIS_ENGINE_PLAN_CHUNKED_SUM_H_

// Integer convolutions and products whose sums are cut into chunks of input channels (ir::QuantParams::chunk): one primitive per chunk, exact in
// s32 and with scales of its own, joined in f32 by a `sum` post-op onto the same memory, or one kernel for all (ChunkKernel). Bias, the node's post-ops and the quantization of its
// result come once, with the last chunk.

#include <optional>
#include <vector>

#include "engine/plan/chunk_kernel.h"
#include "engine/plan/post_ops.h"

namespace precis::plan {

// The chunks of weights with `inputs` input channels; empty when their sums are not cut in two or more.
std::vector<Chunk> ChunksOf(const ir::Value& weights, int64_t inputs);

// What products of the source's levels themselves, taken without their zero point, are off by over the first `chunks` chunks: one f32 per
// output channel, to be added once. A primitive that knows the zero point pays for it in every chunk (13 % at chunks of 64, Zen 4).
std::vector<float> ZeroPointTerm(const ir::Value& source, const ir::Value& weights, size_t chunks);

// The primitive of one chunk; `descriptor` is empty where oneDNN has none.
struct ChunkPrimitive {
  dnnl::primitive_desc_base descriptor;
  dnnl::primitive primitive;
  Desc weights;  // the layout it wants
  Desc dst;      // the result as it sees it

  template <typename Descriptor, typename Primitive>
  static ChunkPrimitive Of(const Descriptor& pd, const Desc& dst) {
    return pd ? ChunkPrimitive{pd, Primitive(pd), pd.weights_desc(), dst} : ChunkPrimitive{};
  }
};

// What EmitChunks asks of an operator.
class ChunkedNode {
 public:
  virtual ~ChunkedNode() = default;
  // Adds the scales of the chunk's operands, and a bias that is no operand of the primitive.
  virtual void Prepare(const Chunk& chunk, Attributes& attributes) = 0;
  // The node's result, laid out as `dst`, as the chunk's primitive sees it.
  virtual Desc SeenBy(const Chunk& chunk, const Desc& dst) const = 0;
  // A primitive for a result `dst`, as it sees it; with the bias on the last chunk.
  virtual ChunkPrimitive Make(const Chunk& chunk, Attributes& attributes, const Desc& dst) = 0;
  // Source, weights (packed as `weights`) and bias.
  virtual std::vector<Argument> Arguments(const Chunk& chunk, const Desc& weights) = 0;
};

// How a kernel sums chunks of a node, and what it reads.
struct KernelChunks {
  ChunkKernel kernel;
  int source = -1, bias = -1;  // memories
};

// Emits the chunks of node `id`, whose f32 result is laid out as `sums`: the first ones by `kernel` where there is one. Unimplemented when
// oneDNN has no fast primitive for a chunk.
absl::Status EmitChunks(Builder& b, ir::NodeId id, const std::vector<Chunk>& chunks, const Desc& sums,
                        ChunkedNode& node, const std::optional<KernelChunks>& kernel);

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_CHUNKED_SUM_H_
