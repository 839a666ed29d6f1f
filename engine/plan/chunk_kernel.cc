// Decides which chunks the kernel sums, and gives it weights, scales and the result's levels.
#include "engine/plan/chunk_kernel.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "engine/plan/post_ops.h"

namespace precis::plan {

std::optional<ChunkKernel> ChunkKernel::Fit(const Builder& b, ir::NodeId id, const ir::Window& window,
                                            const std::vector<Chunk>& chunks) {
  const ir::Node& n = b.graph().node(id);
  const ir::Value &src = b.value(n.inputs[0]), &dst = b.value(n.outputs[0]);
  if (b.Stored(n.inputs[0]) != DataType::kU8 || src.shape.size() != 4) return std::nullopt;
  // The kernel reads four channels at once.
  const auto reads_beyond_pixel = [&](const Chunk& chunk) {
    return chunk.inputs.first + (chunk.inputs.count + 3) / 4 * 4 > src.shape[1];
  };
  const bool finishes = KernelCanFinish(b, id) && !reads_beyond_pixel(chunks.back());
  std::vector<ChannelRange> ranges;
  std::vector<float> scales;
  for (const Chunk& chunk : chunks) {
    if (chunk.is_last && !finishes) break;
    if (reads_beyond_pixel(chunk)) return std::nullopt;
    ranges.push_back(chunk.inputs);
    for (float scale : chunk.weights.scales) scales.push_back(scale * src.quant->scale());
  }
  auto sums = WindowSums::Of(src.shape, window, {dst.shape[2], dst.shape[3]}, dst.shape[1], std::move(ranges));
  if (!sums) return std::nullopt;
  ChunkKernel kernel(id, *std::move(sums));
  kernel.scales_ = kernel.sums_.PadScales(scales);
  kernel.chunk_count_ = chunks.size() - (finishes ? 0 : 1);
  kernel.finishes_node_ = finishes;
  return kernel;
}

void ChunkKernel::Emit(Builder& b, int source, int bias, int dst) const {
  const ir::Node& n = b.graph().node(id_);
  // Nodes may share weights and differ in what the kernel does of them.
  const std::string layout = absl::StrCat("windows ", chunk_count_, " of ", b.value(n.inputs[1]).quant->chunk);
  const int weights = b.UsePacked(n.inputs[1], layout, sums_.packed_bytes(), [&](void* packed) {
    const auto levels = b.value(n.inputs[1]).constant->As<int8_t>();
    sums_.Pack(levels.data(), static_cast<int8_t*>(packed));
  });
  const QuantizedOperand y = finishes_node_ ? KernelResult(b, id_) : QuantizedOperand{DataType::kF32, {}};
  b.EmitKernel(sums_.Sums(y, finishes_node_ && !n.post_ops.empty()),
               {source, weights, b.ConstantF32(scales_), finishes_node_ ? bias : -1}, {dst},
               "windows:avx512_core_vnni");
}

}  // namespace precis::plan
