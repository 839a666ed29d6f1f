#ifndef PRECIS_ENGINE_QUANT_CHUNKS_H_
#define PRECIS_ENGINE_QUANT_CHUNKS_H_

#include <string>

#include "engine/ir/graph.h"
#include "engine/quant/policy.h"
#include "engine/quant/weights.h"

namespace precis::quant {

struct Chunking {
  Chunks chunks;     // size 0: the sum stays whole
  std::string note;  // what was done, or why nothing; empty when nothing was asked for
};

// How the sums of an integer Conv or MatMul with constant weights are cut under the policy. K counts input channels times window cells; a
// chunk is a range of input channels with their whole windows, of at most chunk_size elements of K. Left whole: grouped convolutions, a K
// that fits a chunk, and windows that alone exceed one.
//
// Sums that are emulated are cut where the accumulation says, not here, unless chunks have scales of their own.
//
// Weights with scales per group along K are such chunks with scales of their own: one sum in s32 has one scale.
Chunking ChunkingOf(const ir::Graph& graph, ir::NodeId id, const LayerPolicy& policy);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_CHUNKS_H_
