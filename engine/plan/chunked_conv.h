#ifndef PRECIS_ENGINE_PLAN_CHUNKED_CONV_H_
#define PRECIS_ENGINE_PLAN_CHUNKED_CONV_H_

#include <vector>

#include "engine/plan/chunked_sum.h"

namespace precis::plan {

// Lowers an integer convolution without groups whose sum is cut into `chunks`.
absl::Status LowerChunkedConv(Builder& b, ir::NodeId id, const ir::Conv& op, const std::vector<Chunk>& chunks);

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_CHUNKED_CONV_H_
