#ifndef PRECIS_ENGINE_PLAN_CHUNK_KERNEL_H_
#define PRECIS_ENGINE_PLAN_CHUNK_KERNEL_H_

#include <optional>
#include <utility>
#include <vector>

#include "engine/plan/builder.h"
#include "engine/plan/channel_kernels.h"
#include "engine/plan/window_sums.h"

namespace precis::plan {

struct Chunk {
  size_t index = 0;
  ChannelRange inputs;
  ir::QuantParams weights;  // scales per output channel
  bool is_last = false;
};

// Sums the chunks of a convolution by one kernel (WindowSums): all of them, bias and quantization of the result included, where no more than a
// Relu follows and the result is f32, u8 or s8; else all but the last, which a primitive finishes with what follows the sum.
class ChunkKernel {
 public:
  // For a source without a zero point, or with one that the bias makes up for. nullopt where the kernel does not fit or the CPU has none.
  static std::optional<ChunkKernel> Fit(const Builder& b, ir::NodeId id, const ir::Window& window,
                                        const std::vector<Chunk>& chunks);

  size_t chunk_count() const { return chunk_count_; }
  bool finishes_node() const { return finishes_node_; }
  // `source`: u8, channels last. `bias`: f32, -1 for none, counts when the kernel finishes the node. `dst`: f32 or the node's result.
  void Emit(Builder& b, int source, int bias, int dst) const;

 private:
  ChunkKernel(ir::NodeId id, WindowSums sums) : id_(id), sums_(std::move(sums)) {}

  ir::NodeId id_;
  WindowSums sums_;
  std::vector<float> scales_;  // of the products, [chunk][output channel]
  size_t chunk_count_ = 0;
  bool finishes_node_ = false;
};

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_CHUNK_KERNEL_H_
