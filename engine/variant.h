#ifndef PRECIS_ENGINE_VARIANT_H_
#define PRECIS_ENGINE_VARIANT_H_

// The implementation behind model.h's Variant and Session.

#include <list>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "engine/exec/context.h"
#include "engine/pipeline.h"

namespace precis {

// Compiled plans of one variant, one per concrete set of input shapes, least recently used dropped first. Thread-safe; a plan in use
// outlives its place in the cache.
class PlanCache {
 public:
  PlanCache(std::shared_ptr<const ModelFile> file, quant::Policy policy,
            std::shared_ptr<const quant::CalibrationTable> table, int threads, int capacity);

  // The plan for `shapes`, compiled if need be (one compilation at a time).
  absl::StatusOr<std::shared_ptr<const plan::Plan>> Get(const std::vector<Shape>& shapes);

  const ModelFile& file() const { return *file_; }
  const quant::Policy& policy() const { return policy_; }
  const quant::CalibrationTable* table() const { return table_.get(); }  // null: the policy needs none
  // Plans of one thread for the same variant, to be compiled in the background: those that this cache has it takes from there, others it makes
  // for itself alone, so that a thread of low importance never holds the lock that a request's compilation waits for. Not to outlive this.
  std::unique_ptr<PlanCache> ForBackground();
  void Drop(const std::vector<Shape>& shapes);

  // Quantizes and compiles `graph` (optimised, f32) and keeps the plan. `begin_phase` hears "quantize" and "compile".
  absl::StatusOr<std::shared_ptr<const plan::Plan>> Compile(ir::Graph graph,
                                                            absl::FunctionRef<void(const std::string&)> begin_phase);

 private:
  std::shared_ptr<const plan::Plan> Find(const std::vector<Shape>& shapes);

  const std::shared_ptr<const ModelFile> file_;
  const quant::Policy policy_;
  const std::shared_ptr<const quant::CalibrationTable> table_;
  const int threads_;
  const size_t capacity_;
  PlanCache* elder_ = nullptr;  // looked into first; may be null
  plan::WeightStore store_;
  absl::Mutex compile_mutex_;  // held while compiling: keeps memory to one set of float weights
  absl::Mutex mutex_;
  std::list<std::shared_ptr<const plan::Plan>> plans_ ABSL_GUARDED_BY(mutex_);  // most recent first
};

class VariantImpl : public Variant, public std::enable_shared_from_this<VariantImpl> {
 public:
  VariantImpl(std::shared_ptr<const ModelFile> file, std::unique_ptr<PlanCache> plans, VariantInfo info);

  const VariantInfo& info() const override { return info_; }
  const std::vector<TensorSpec>& inputs() const override { return file_->inputs(); }
  const std::vector<TensorSpec>& outputs() const override { return file_->outputs(); }
  absl::StatusOr<std::unique_ptr<Session>> NewSession() const override;
  absl::StatusOr<std::unique_ptr<Session>> NewBackgroundSession() const override;
  absl::StatusOr<std::unique_ptr<InputProbe>> NewInputProbe() const override;
  absl::StatusOr<std::vector<Layer>> DescribePlan(const std::vector<Shape>& input_shapes) const override;
  void DropPlan(const std::vector<Shape>& input_shapes) const override { plans_->Drop(input_shapes); }

  // Before the variant is published.
  void SetLoadTime(const std::string& phase, double milliseconds) { info_.load_ms[phase] = milliseconds; }

 private:
  const std::shared_ptr<const ModelFile> file_;
  const std::unique_ptr<PlanCache> plans_;
  VariantInfo info_;
  mutable absl::Mutex background_mutex_;
  mutable std::unique_ptr<PlanCache> background_plans_ ABSL_GUARDED_BY(background_mutex_);  // made when first needed
};

}  // namespace precis

#endif  // PRECIS_ENGINE_VARIANT_H_
