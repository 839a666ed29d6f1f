// Where sums are cut: after whole input channels, so that a chunk is a convolution or product over fewer channels.
#include "engine/quant/chunks.h"

#include "absl/strings/str_cat.h"
#include "engine/quant/operators.h"

namespace precis::quant {
namespace {

// Integer dot products take four elements at a time.
constexpr int64_t kDotProduct = 4;

}  // namespace

Chunking ChunkingOf(const ir::Graph& graph, ir::NodeId id, const LayerPolicy& policy) {
  const bool grouped = policy.weights.granularity == Granularity::kPerGroup;
  const int64_t size = grouped ? policy.weights.group_size : policy.accumulation.chunk_size;
  const bool own_scales = grouped || policy.accumulation.per_chunk_scales;
  const bool emulated = policy.accumulation.emulated.has_value();
  if (size == 0 || (emulated && !own_scales)) return {};
  const Shape& weights = graph.value(graph.node(id).inputs[1]).shape;
  const int64_t inputs = weights[OutputChannelAxis(graph, id) == 0 ? 1 : 0];
  int64_t window = 1;
  if (const auto* conv = std::get_if<ir::Conv>(&graph.node(id).op)) {
    if (conv->groups > 1) return {{}, "sums whole: a grouped convolution"};
    for (size_t i = 2; i < weights.size(); ++i) window *= weights[i];
  }
  if (inputs * window <= size)
    return {{}, absl::StrCat("sums whole: K of ", inputs * window, " fits a chunk of ", size)};
  if (window > size) return {{}, absl::StrCat("sums whole: a window of ", window, " exceeds a chunk of ", size)};
  Chunking result;
  result.chunks.size = size / window;
  if (result.chunks.size > kDotProduct) result.chunks.size -= result.chunks.size % kDotProduct;
  result.chunks.own_scales = own_scales;
  if (emulated) return result;  // SetAccumulators says how they are summed
  result.note = absl::StrCat("s32 sums of ", result.chunks.size * window, ", f32 across ",
                             (inputs + result.chunks.size - 1) / result.chunks.size, " chunks",
                             own_scales ? " with scales of their own" : "");
  return result;
}

}  // namespace precis::quant
