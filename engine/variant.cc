// Plans per shape, sessions over them, and their measurements.
#include "engine/variant.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/input_probe.h"

namespace precis {
namespace {

// Sessions keep one context per plan they have run; a worker that meets many shapes drops the oldest.
constexpr size_t kContextsPerSession = 8;

class SessionImpl : public Session {
 public:
  // `plans` belong to the variant.
  SessionImpl(std::shared_ptr<const VariantImpl> variant, PlanCache& plans)
      : variant_(std::move(variant)), plans_(plans) {}

  absl::Status Run(const std::vector<TensorView>& inputs, std::vector<Tensor>* outputs) override {
    PRECIS_ASSIGN_OR_RETURN(exec::Context * context, Prepare(inputs));
    BindOutputs(context->plan(), outputs, &out_);
    return context->Run(in_, out_);
  }

  absl::Status RunPaced(const std::vector<TensorView>& inputs, std::vector<Tensor>* outputs,
                        absl::FunctionRef<bool()> between_layers) override {
    PRECIS_ASSIGN_OR_RETURN(exec::Context * context, Prepare(inputs));
    BindOutputs(context->plan(), outputs, &out_);
    return context->RunPaced(in_, out_, between_layers);
  }

  absl::StatusOr<std::vector<Layer>> Profile(const std::vector<TensorView>& inputs, int warm_up,
                                             int repetitions) override;
  absl::StatusOr<double> FloorMilliseconds(const std::vector<TensorView>& inputs) override;

 private:
  absl::StatusOr<exec::Context*> Prepare(const std::vector<TensorView>& inputs);

  const std::shared_ptr<const VariantImpl> variant_;
  PlanCache& plans_;
  std::list<std::unique_ptr<exec::Context>> contexts_;  // most recent first
  std::vector<const void*> in_;
  std::vector<void*> out_;
};

bool SameShapes(const plan::Plan& plan, const std::vector<TensorView>& inputs) {
  return std::equal(inputs.begin(), inputs.end(), plan.input_shapes.begin(), plan.input_shapes.end(),
                    [](const TensorView& t, const Shape& s) { return t.shape == s; });
}

absl::StatusOr<exec::Context*> SessionImpl::Prepare(const std::vector<TensorView>& inputs) {
  PRECIS_RETURN_IF_ERROR(CheckInputs(variant_->inputs(), inputs));
  auto it =
      std::find_if(contexts_.begin(), contexts_.end(), [&](const auto& c) { return SameShapes(c->plan(), inputs); });
  if (it == contexts_.end()) {
    std::vector<Shape> shapes;
    for (const TensorView& t : inputs) shapes.push_back(t.shape);
    PRECIS_ASSIGN_OR_RETURN(auto plan, plans_.Get(shapes));
    try {
      contexts_.push_front(std::make_unique<exec::Context>(std::move(plan)));
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError("not enough memory for the activations of these input shapes");
    }
    if (contexts_.size() > kContextsPerSession) contexts_.pop_back();
  } else if (it != contexts_.begin()) {
    contexts_.splice(contexts_.begin(), contexts_, it);
  }
  in_.clear();
  for (const TensorView& t : inputs) in_.push_back(t.data);
  return contexts_.front().get();
}

std::vector<Layer> LayersOf(const plan::Plan& plan) {
  std::vector<Layer> layers;
  for (const plan::LayerInfo& l : plan.layers) {
    layers.push_back({l.name, l.op, l.precision, l.implementation, l.note, l.slow_reference, l.weight_bytes,
                      l.activation_bytes, 0.0});
  }
  return layers;
}

absl::StatusOr<std::vector<Layer>> SessionImpl::Profile(const std::vector<TensorView>& inputs, int warm_up,
                                                        int repetitions) {
  std::vector<Tensor> outputs;
  for (int i = 0; i < warm_up; ++i) PRECIS_RETURN_IF_ERROR(Run(inputs, &outputs));
  PRECIS_ASSIGN_OR_RETURN(exec::Context * context, Prepare(inputs));
  const plan::Plan& plan = context->plan();
  BindOutputs(plan, &outputs, &out_);
  std::vector<std::vector<double>> samples(plan.layers.size());  // per layer, per repetition
  for (int r = 0; r < repetitions; ++r) {
    std::vector<double> step_us;
    PRECIS_RETURN_IF_ERROR(context->RunTimed(in_, out_, step_us));
    for (auto& s : samples) s.push_back(0.0);
    for (size_t i = 0; i < step_us.size(); ++i) samples[static_cast<size_t>(plan.steps[i].layer)].back() += step_us[i];
  }
  std::vector<Layer> layers = LayersOf(plan);
  for (size_t i = 0; i < layers.size() && repetitions > 0; ++i) {
    std::nth_element(samples[i].begin(), samples[i].begin() + repetitions / 2, samples[i].end());
    layers[i].time_us = samples[i][static_cast<size_t>(repetitions / 2)];
  }
  return layers;
}

absl::StatusOr<double> SessionImpl::FloorMilliseconds(const std::vector<TensorView>& inputs) {
  constexpr int kRepetitions = 21;
  std::vector<Tensor> outputs;
  PRECIS_RETURN_IF_ERROR(Run(inputs, &outputs));
  exec::Context& context = *contexts_.front();
  double total_us = 0;
  for (size_t i = 0; i < context.plan().steps.size(); ++i) {
    if (context.plan().steps[i].kernel) continue;
    PRECIS_ASSIGN_OR_RETURN(const double us, context.TimeStepAlone(i, kRepetitions));
    total_us += us;
  }
  return total_us / 1e3;
}

}  // namespace

PlanCache::PlanCache(std::shared_ptr<const ModelFile> file, quant::Policy policy,
                     std::shared_ptr<const quant::CalibrationTable> table, int threads, int capacity)
    : file_(std::move(file)),
      policy_(std::move(policy)),
      table_(std::move(table)),
      threads_(threads),
      capacity_(static_cast<size_t>(std::max(1, capacity))) {}

std::shared_ptr<const plan::Plan> PlanCache::Find(const std::vector<Shape>& shapes) {
  absl::MutexLock lock(&mutex_);
  const auto it = std::find_if(plans_.begin(), plans_.end(), [&](const auto& p) { return p->input_shapes == shapes; });
  if (it == plans_.end()) return nullptr;
  plans_.splice(plans_.begin(), plans_, it);
  return plans_.front();
}

void PlanCache::Drop(const std::vector<Shape>& shapes) {
  absl::MutexLock lock(&mutex_);
  plans_.remove_if([&](const auto& plan) { return plan->input_shapes == shapes; });
}

absl::StatusOr<std::shared_ptr<const plan::Plan>> PlanCache::Get(const std::vector<Shape>& shapes) {
  if (elder_ != nullptr) {
    if (auto plan = elder_->Find(shapes)) return plan;
  }
  if (auto plan = Find(shapes)) return plan;
  absl::MutexLock compiling(&compile_mutex_);
  if (auto plan = Find(shapes)) return plan;  // somebody else has just made it
  PRECIS_ASSIGN_OR_RETURN(ir::Graph graph, Optimise(*file_, shapes));
  return Compile(std::move(graph), [](const std::string&) {});
}

absl::StatusOr<std::shared_ptr<const plan::Plan>> PlanCache::Compile(
    ir::Graph graph, absl::FunctionRef<void(const std::string&)> begin_phase) {
  begin_phase("quantize");
  PRECIS_RETURN_IF_ERROR(quant::ApplyPolicy(graph, policy_, table_.get(), CpuTarget()));
  begin_phase("compile");
  plan::PlanOptions options;
  options.threads = threads_;
  PRECIS_ASSIGN_OR_RETURN(auto plan, plan::BuildPlan(graph, options, store_));
  absl::MutexLock lock(&mutex_);
  plans_.push_front(plan);
  if (plans_.size() > capacity_) plans_.pop_back();
  return plan;
}

VariantImpl::VariantImpl(std::shared_ptr<const ModelFile> file, std::unique_ptr<PlanCache> plans, VariantInfo info)
    : file_(std::move(file)), plans_(std::move(plans)), info_(std::move(info)) {}

std::unique_ptr<PlanCache> PlanCache::ForBackground() {
  auto plans = std::make_unique<PlanCache>(file_, policy_, table_, 1, static_cast<int>(capacity_));
  if (threads_ == 1) plans->elder_ = this;
  return plans;
}

absl::StatusOr<std::unique_ptr<Session>> VariantImpl::NewSession() const {
  return std::unique_ptr<Session>(std::make_unique<SessionImpl>(shared_from_this(), *plans_));
}

absl::StatusOr<std::unique_ptr<Session>> VariantImpl::NewBackgroundSession() const {
  absl::MutexLock lock(&background_mutex_);
  if (background_plans_ == nullptr) background_plans_ = plans_->ForBackground();
  return std::unique_ptr<Session>(std::make_unique<SessionImpl>(shared_from_this(), *background_plans_));
}

absl::StatusOr<std::unique_ptr<InputProbe>> VariantImpl::NewInputProbe() const {
  if (plans_->table() == nullptr) return std::unique_ptr<InputProbe>();
  return MakeInputProbe(plans_->file(), plans_->policy(), *plans_->table(), info_.input_shapes);
}

absl::StatusOr<std::vector<Layer>> VariantImpl::DescribePlan(const std::vector<Shape>& input_shapes) const {
  PRECIS_ASSIGN_OR_RETURN(const auto plan, plans_->Get(input_shapes.empty() ? info_.input_shapes : input_shapes));
  return LayersOf(*plan);
}

}  // namespace precis
