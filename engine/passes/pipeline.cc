// Runs the one list of rewrites. Canonical spellings come first, so that each fusion has one form to match; folding into weights
// comes before post-ops, because a node with post-ops no longer folds; quantized graphs keep their Convert nodes as opaque
// borders until the end.
#include "engine/passes/pipeline.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

struct Pass {
  const char* name;
  int (*run)(ir::Graph&);
};

constexpr Pass kPasses[] = {
    {"convert_qdq", ConvertQdq},
    {"remove_no_ops", RemoveNoOps},
    {"eliminate_common_subexpressions", EliminateCommonSubexpressions},
    {"simplify_scalar_arithmetic", SimplifyScalarArithmetic},
    {"recognize_activations", RecognizeActivations},
    {"fuse_layer_norm", FuseLayerNorm},
    {"recognize_group_norm", RecognizeGroupNorm},
    {"recognize_global_pool", RecognizeGlobalPool},
    {"fold_batch_norm", FoldBatchNorm},
    {"remove_no_ops", RemoveNoOps},  // transposes that batch norm no longer separates
    {"fold_pad", FoldPad},
    {"fold_output_scale", FoldOutputScale},
    {"fold_input_scale", FoldInputScale},
    {"fold_matmul_scale", FoldMatMulScale},
    {"fold_matmul_transpose", FoldMatMulTranspose},
    {"fuse_activation", FuseActivation},
    {"fuse_residual_add", FuseResidualAdd},
    {"absorb_qdq", AbsorbQdq},
};

// Rewrites leave constants behind that nothing reads any more; their memory goes here.
void ReleaseUnusedConstants(ir::Graph& graph) {
  for (ir::ValueId id = 0; id < graph.num_values(); ++id) {
    if (graph.consumers(id).empty() && !graph.IsGraphOutput(id)) graph.value(id).constant.reset();
  }
}

}  // namespace

absl::StatusOr<std::vector<PassReport>> RunPasses(
    ir::Graph& graph, const std::function<void(const std::string&, const ir::Graph&)>& dump) {
  std::vector<PassReport> reports;
  for (const Pass& pass : kPasses) {
    const auto begin = std::chrono::steady_clock::now();
    const int fired = pass.run(graph);
    if (const absl::Status status = graph.Verify(); !status.ok()) {
      return absl::InternalError(absl::StrCat("pass ", pass.name, ": ", status.message()));
    }
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - begin;
    reports.push_back({pass.name, fired, elapsed.count()});
    if (dump) dump(pass.name, graph);
  }
  ReleaseUnusedConstants(graph);
  return reports;
}

}  // namespace precis::passes
