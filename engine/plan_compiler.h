#ifndef PRECIS_ENGINE_PLAN_COMPILER_H_
#define PRECIS_ENGINE_PLAN_COMPILER_H_

#include <memory>

#include "engine/ir/graph.h"
#include "engine/plan/weight_store.h"
#include "engine/quant/quantize.h"
#include "engine/search/compiler.h"

namespace precis {

// How the search for mixed precision compiles and runs a network: as plans of one graph (optimised, f32) that share packed weights. The
// graph and the table, which may be null where no policy asks for int8, must outlive it and all that it compiles. Not thread-safe.
class PlanCompiler : public search::Compiler {
 public:
  PlanCompiler(const ir::Graph& graph, const quant::CalibrationTable* table, int threads)
      : graph_(graph), table_(table), threads_(threads) {}

  absl::StatusOr<std::unique_ptr<search::CompiledNetwork>> Compile(const quant::Policy& policy) override;

 private:
  const ir::Graph& graph_;
  const quant::CalibrationTable* const table_;
  const int threads_;
  plan::WeightStore store_;
};

}  // namespace precis

#endif  // PRECIS_ENGINE_PLAN_COMPILER_H_
