// An f32 plan whose watched values are the inputs of the quantized variant's integer layers: what calibration does at load, on the
// data of today. Which values, and what their levels cover, comes from quantizing the graph once more; both graphs are gone when the
// plan is made.

#include "engine/input_probe.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/exec/context.h"
#include "engine/quant/layer_inputs.h"

namespace precis {
namespace {

class InputProbeImpl final : public InputProbe {
 public:
  InputProbeImpl(std::shared_ptr<const plan::Plan> plan, std::vector<quant::LayerInput> watched)
      : context_(std::move(plan)), watched_(std::move(watched)) {
    for (size_t i = 0; i < watched_.size(); ++i) {
      layers_.push_back({watched_[i].layer, watched_[i].expected});
      index_[watched_[i].value] = i;
    }
    for (const int m : context_.plan().output_memories) {
      const plan::Memory& memory = context_.plan().memories[static_cast<size_t>(m)];
      outputs_.emplace_back(memory.dtype, memory.shape);
      out_.push_back(outputs_.back().data());
    }
  }

  const std::vector<LayerInput>& layers() const override { return layers_; }

  absl::StatusOr<std::vector<LayerInputCounts>> Run(const std::vector<TensorView>& inputs,
                                                    absl::FunctionRef<bool()> between_layers) override {
    PRECIS_RETURN_IF_ERROR(Check(inputs));
    std::vector<const void*> in;
    for (const TensorView& input : inputs) in.push_back(input.data);
    std::vector<LayerInputCounts> counts(layers_.size());
    const auto count = [&](const exec::ObservedValue& seen) {
      between_layers();
      const size_t i = index_.at(seen.value);
      quant::LayerInputCounts one =
          quant::CountLayerInput(watched_[i], {seen.value, seen.data, seen.shape, seen.strides});
      counts[i] = {one.elements, one.clipped, std::move(one.shares)};
    };
    PRECIS_RETURN_IF_ERROR(context_.RunObserved(in, out_, count));
    return counts;
  }

 private:
  // The first rows of a larger batch are a batch of the plan's size, as tensors are row-major.
  absl::Status Check(const std::vector<TensorView>& inputs) const {
    const std::vector<Shape>& shapes = context_.plan().input_shapes;
    bool fits = inputs.size() == shapes.size();
    for (size_t i = 0; fits && i < shapes.size(); ++i) {
      const Shape &want = shapes[i], &got = inputs[i].shape;
      fits = got == want || (got.size() == want.size() && !want.empty() && got[0] >= want[0] &&
                             std::equal(want.begin() + 1, want.end(), got.begin() + 1));
    }
    if (fits) return absl::OkStatus();
    return absl::InvalidArgumentError("inputs of other shapes than those that were compiled at load");
  }

  exec::Context context_;
  const std::vector<quant::LayerInput> watched_;
  std::vector<LayerInput> layers_;
  absl::flat_hash_map<ir::ValueId, size_t> index_;
  std::vector<Tensor> outputs_;
  std::vector<void*> out_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<InputProbe>> MakeInputProbe(const ModelFile& file, const quant::Policy& policy,
                                                           const quant::CalibrationTable& table,
                                                           const std::vector<Shape>& shapes) {
  PRECIS_ASSIGN_OR_RETURN(const ir::Graph graph, Optimise(file, shapes));
  ir::Graph quantized = graph;
  PRECIS_RETURN_IF_ERROR(quant::ApplyPolicy(quantized, policy, &table, CpuTarget()));
  std::vector<quant::LayerInput> watched = quant::LayerInputs(graph, quantized, table, policy);
  if (watched.empty()) return std::unique_ptr<InputProbe>();
  plan::PlanOptions options;
  for (const quant::LayerInput& input : watched) options.observed.push_back(input.value);
  plan::WeightStore store;
  PRECIS_ASSIGN_OR_RETURN(auto plan, plan::BuildPlan(graph, options, store));
  return std::unique_ptr<InputProbe>(std::make_unique<InputProbeImpl>(std::move(plan), std::move(watched)));
}

}  // namespace precis
