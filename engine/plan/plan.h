#ifndef PRECIS_ENGINE_PLAN_PLAN_H_
#define PRECIS_ENGINE_PLAN_PLAN_H_

// A plan is a graph lowered to an ordered list of steps (oneDNN primitives and plain kernels) over one arena, with weights prepacked in the
// layouts the primitives chose. It is immutable and shared by all workers; exec/context.h holds what changes per run.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/ir/graph.h"

namespace precis::plan {

struct PlanOptions {
  int threads = 1;  // oneDNN chooses kernels for this many; contexts must run with as many
  std::vector<ir::ValueId> observed;  // values kept readable after their step, for calibration
};

struct LayerInfo {
  std::string name;            // node name
  std::string op;              // "Conv+Relu"
  std::string precision;       // "u8s8->u8", "f32", "bf16"…
  std::string implementation;  // oneDNN's impl_info_str(), or "plain" / "view"
  std::string note;            // why it is at this precision
  bool slow_reference = false; // a heavy layer on a `ref` implementation: a bug worth reporting
  int64_t weight_bytes = 0;    // read per run
  int64_t activation_bytes = 0;  // read and written per run
};

class Plan;

// Errors: Unimplemented names every node that cannot be lowered at its precision; ResourceExhausted when memory does not suffice.
absl::StatusOr<std::shared_ptr<const Plan>> BuildPlan(const ir::Graph& graph, const PlanOptions& options);

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_PLAN_H_
