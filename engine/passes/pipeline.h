#ifndef PRECIS_ENGINE_PASSES_PIPELINE_H_
#define PRECIS_ENGINE_PASSES_PIPELINE_H_

// The one list of graph rewrites, in order. Each pass is a file of its own with a function `int Run…(ir::Graph&)`: returns how many times it
// fired, keeps the graph verified, and is idempotent. After the list, the graph computes the same f32 numbers as before
// (up to rounding of folded weights) with fewer, larger nodes.

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ir/graph.h"

namespace precis::passes {

struct PassReport {
  std::string name;
  int fired = 0;
  double milliseconds = 0;
};

// Makes every value of `graph` typed for the given concrete input shapes (one per graph input, in order), folds everything that
// is constant, and removes what became dead. Equal dimension names must agree.
// Errors: InvalidArgument names the input and what was expected and what came; errors of ir::InferNode.
absl::Status Specialize(ir::Graph& graph, const std::vector<Shape>& input_shapes);

// Runs the list on a specialised graph; verifies after each pass (Internal error names the pass). `dump`, when set, gets each pass' name
// and the graph after it.
absl::StatusOr<std::vector<PassReport>> RunPasses(
    ir::Graph& graph, const std::function<void(const std::string&, const ir::Graph&)>& dump = nullptr);

}  // namespace precis::passes

#endif  // PRECIS_ENGINE_PASSES_PIPELINE_H_
