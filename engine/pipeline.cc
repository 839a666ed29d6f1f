// The stages in order, and calibration's way of running a network.
#include "engine/pipeline.h"

#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/exec/context.h"
#include "engine/onnx/importer.h"
#include "engine/passes/pipeline.h"
#include "engine/plan/cpu_features.h"

namespace precis {
namespace {

// Size and modification time: what tells one file from the one that replaced it.
std::string FingerprintOf(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return "";
  return absl::StrCat(info.st_ino, ":", info.st_size, ":", info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec);
}

std::vector<TensorSpec> SpecsOf(const ir::Graph& graph, const std::vector<ir::Port>& ports) {
  std::vector<TensorSpec> specs;
  for (const ir::Port& port : ports) {
    const ir::Value& v = graph.value(port.value);
    specs.push_back({v.name, v.dtype, v.shape, port.dim_names});
  }
  return specs;
}

class CalibrationRunner : public quant::Runner {
 public:
  CalibrationRunner(const ir::Graph& graph, int threads) : graph_(graph), threads_(threads) {}

  absl::Status Run(const std::vector<Tensor>& inputs, const std::vector<ir::ValueId>& watched,
                   absl::FunctionRef<void(const quant::Observation&)> observe) override {
    if (context_ == nullptr || watched != watched_) PRECIS_RETURN_IF_ERROR(Prepare(watched));
    std::vector<const void*> in;
    for (const Tensor& t : inputs) in.push_back(t.data());
    return context_->RunObserved(in, out_, [&](const exec::ObservedValue& v) {
      observe(quant::Observation{v.value, v.data, v.shape, v.strides});
    });
  }

 private:
  absl::Status Prepare(const std::vector<ir::ValueId>& watched) {
    watched_ = watched;
    plan::PlanOptions options;
    options.threads = threads_;
    options.observed = watched;
    PRECIS_ASSIGN_OR_RETURN(auto plan, plan::BuildPlan(graph_, options, store_));
    BindOutputs(*plan, &outputs_, &out_);
    context_ = std::make_unique<exec::Context>(std::move(plan));
    return absl::OkStatus();
  }

  const ir::Graph& graph_;
  const int threads_;
  plan::WeightStore store_;
  std::vector<ir::ValueId> watched_;
  std::unique_ptr<exec::Context> context_;
  std::vector<Tensor> outputs_;
  std::vector<void*> out_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const ModelFile>> ModelFile::Open(const std::string& path) {
  const std::shared_ptr<ModelFile> file(new ModelFile(path));
  file->fingerprint_ = FingerprintOf(path);
  PRECIS_ASSIGN_OR_RETURN(ir::Graph graph, onnx_import::ImportFile(path));
  file->inputs_ = SpecsOf(graph, graph.inputs);
  file->outputs_ = SpecsOf(graph, graph.outputs);
  absl::MutexLock lock(&file->mutex_);
  file->first_ = std::make_unique<ir::Graph>(std::move(graph));
  return file;
}

absl::StatusOr<ir::Graph> ModelFile::Graph() const {
  {
    absl::MutexLock lock(&mutex_);
    if (first_ != nullptr) return std::move(*std::exchange(first_, nullptr));
  }
  if (FingerprintOf(path_) != fingerprint_) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, ": the file has changed since it was loaded; load the model again"));
  }
  return onnx_import::ImportFile(path_);
}

absl::StatusOr<ir::Graph> Optimise(const ModelFile& file, const std::vector<Shape>& shapes) {
  PRECIS_ASSIGN_OR_RETURN(ir::Graph graph, file.Graph());
  PRECIS_RETURN_IF_ERROR(passes::Specialize(graph, shapes));
  PRECIS_RETURN_IF_ERROR(passes::RunPasses(graph).status());
  return graph;
}

absl::Status CheckInputs(const std::vector<TensorSpec>& specs, const std::vector<TensorView>& inputs) {
  if (inputs.size() != specs.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the model has ", specs.size(), " inputs, the request ", inputs.size()));
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    const TensorSpec& spec = specs[i];
    if (inputs[i].dtype != spec.dtype) {
      return absl::InvalidArgumentError(absl::StrCat("input \"", spec.name, "\": want ", KServeName(spec.dtype),
                                                     ", got ", KServeName(inputs[i].dtype)));
    }
    const bool fits =
        std::equal(spec.shape.begin(), spec.shape.end(), inputs[i].shape.begin(), inputs[i].shape.end(),
                   [](int64_t want, int64_t got) { return got >= 0 && (want == kUnknownDim || want == got); });
    if (!fits) {
      return absl::InvalidArgumentError(absl::StrCat("input \"", spec.name, "\": want shape ",
                                                     ShapeToString(spec.shape), ", got ",
                                                     ShapeToString(inputs[i].shape)));
    }
  }
  return absl::OkStatus();
}

std::vector<Shape> DefaultShapes(const std::vector<TensorSpec>& inputs) {
  std::vector<Shape> shapes;
  for (const TensorSpec& spec : inputs) {
    shapes.push_back(spec.shape);
    for (int64_t& d : shapes.back()) d = d == kUnknownDim ? 1 : d;
  }
  return shapes;
}

std::unique_ptr<quant::Runner> MakeCalibrationRunner(const ir::Graph& graph, int threads) {
  return std::make_unique<CalibrationRunner>(graph, threads);
}

void BindOutputs(const plan::Plan& plan, std::vector<Tensor>* outputs, std::vector<void*>* addresses) {
  outputs->resize(plan.output_memories.size());
  addresses->clear();
  for (size_t i = 0; i < outputs->size(); ++i) {
    const plan::Memory& m = plan.memories[static_cast<size_t>(plan.output_memories[i])];
    Tensor& t = (*outputs)[i];
    if (t.dtype() != m.dtype || t.shape() != m.shape || t.data() == nullptr) t = Tensor(m.dtype, m.shape);
    addresses->push_back(t.data());
  }
}

quant::Target CpuTarget() {
  quant::Target target;
  target.has_vnni = plan::CpuHasVnni();
  target.has_bf16 = plan::CpuHasBf16();
  return target;
}

}  // namespace precis
