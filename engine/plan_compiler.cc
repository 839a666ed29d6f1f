// One plan and one context per policy asked for.
#include "engine/plan_compiler.h"

#include <utility>
#include <vector>

#include "engine/base/status_macros.h"
#include "engine/exec/context.h"
#include "engine/pipeline.h"

namespace precis {
namespace {

class CompiledPlan : public search::CompiledNetwork {
 public:
  explicit CompiledPlan(std::shared_ptr<const plan::Plan> plan) : context_(std::move(plan)) {
    for (const plan::LayerInfo& layer : Plan().layers) layers_.push_back({layer.name, layer.weight_bytes});
  }

  const std::vector<search::CompiledLayer>& layers() const override { return layers_; }

  absl::Status Run(const std::vector<Tensor>& sample, std::vector<Tensor>* outputs) override {
    Bind(sample, outputs);
    return context_.Run(in_, out_);
  }

  absl::Status RunTimed(const std::vector<Tensor>& sample, std::vector<Tensor>* outputs,
                        std::vector<double>* layer_us) override {
    Bind(sample, outputs);
    step_us_.clear();
    PRECIS_RETURN_IF_ERROR(context_.RunTimed(in_, out_, step_us_));
    layer_us->assign(layers_.size(), 0.0);
    for (size_t i = 0; i < step_us_.size(); ++i) (*layer_us)[static_cast<size_t>(Plan().steps[i].layer)] += step_us_[i];
    return absl::OkStatus();
  }

 private:
  const plan::Plan& Plan() const { return context_.plan(); }

  void Bind(const std::vector<Tensor>& sample, std::vector<Tensor>* outputs) {
    in_.clear();
    for (const Tensor& t : sample) in_.push_back(t.data());
    BindOutputs(Plan(), outputs, &out_);
  }

  exec::Context context_;
  std::vector<search::CompiledLayer> layers_;
  std::vector<const void*> in_;
  std::vector<void*> out_;
  std::vector<double> step_us_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<search::CompiledNetwork>> PlanCompiler::Compile(const quant::Policy& policy) {
  ir::Graph graph = graph_;
  PRECIS_RETURN_IF_ERROR(quant::ApplyPolicy(graph, policy, table_, CpuTarget()));
  plan::PlanOptions options;
  options.threads = threads_;
  PRECIS_ASSIGN_OR_RETURN(auto plan, plan::BuildPlan(graph, options, store_));
  return std::make_unique<CompiledPlan>(std::move(plan));
}

}  // namespace precis
