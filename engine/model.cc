// The facade: opens a file, takes it through the pipeline, hands out variants.
#include "engine/model.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "engine/base/status_macros.h"
#include "engine/pipeline.h"
#include "engine/plan/cpu_features.h"
#include "engine/plan_compiler.h"
#include "engine/quant/calibration_cache.h"
#include "engine/quant/samples.h"
#include "engine/search/search.h"
#include "engine/variant.h"

namespace precis {
namespace {

using Clock = std::chrono::steady_clock;

// Runs before a variant is handed out, so that the first request finds caches and page tables warm.
constexpr int kWarmUpRuns = 2;

class ModelImpl : public Model {
 public:
  ModelImpl(std::shared_ptr<const ModelFile> file, double parse_ms) : file_(std::move(file)), parse_ms_(parse_ms) {}

  const std::string& path() const override { return file_->path(); }
  const std::vector<TensorSpec>& inputs() const override { return file_->inputs(); }
  const std::vector<TensorSpec>& outputs() const override { return file_->outputs(); }
  absl::StatusOr<std::shared_ptr<const Variant>> LoadVariant(const LoadOptions& options) const override;

 private:
  const std::shared_ptr<const ModelFile> file_;
  const double parse_ms_;
};

// Times the phases of one load and reports them.
class Phases {
 public:
  Phases(const LoadOptions& options, VariantInfo& info) : options_(options), info_(info) {}
  void Begin(const std::string& phase) {
    End();
    phase_ = phase;
    start_ = Clock::now();
    Report(0.0);
  }
  void Report(double fraction) const {
    if (options_.progress) options_.progress(phase_, fraction);
  }
  void End() {
    if (phase_.empty()) return;
    info_.load_ms[phase_] += std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
    Report(1.0);
    phase_.clear();
  }

 private:
  const LoadOptions& options_;
  VariantInfo& info_;
  std::string phase_;
  Clock::time_point start_;
};

// The table of the cache, where there is one and it has it; else a new one, which goes there.
absl::StatusOr<std::shared_ptr<const quant::CalibrationTable>> RecallOrCalibrate(
    const ModelFile& file, const ir::Graph& graph, const LoadOptions& options, const quant::SampleSource& samples,
    const Phases& phases, VariantInfo& info) {
  const std::string& folder = options.calibration_cache;
  quant::CalibrationKey key{};
  if (!folder.empty()) {
    PRECIS_ASSIGN_OR_RETURN(key, quant::KeyOfCalibration(file.path(), graph, options.policy, samples));
    auto table = quant::ReadCalibration(folder, key);
    info.calibration_recalled = table.ok();
    if (table.ok()) return table;
    if (!absl::IsNotFound(table.status())) info.calibration_cache_warning = std::string(table.status().message());
  }
  auto runner = MakeCalibrationRunner(graph, info.threads);
  PRECIS_ASSIGN_OR_RETURN(auto table,
                          quant::Calibrate(graph, options.policy, *runner, samples,
                                           [&](const std::string&, double fraction) { phases.Report(fraction); }));
  if (folder.empty()) return table;
  if (const absl::Status written = quant::WriteCalibration(folder, key, *table); !written.ok())
    info.calibration_cache_warning = std::string(written.message());
  return table;
}

absl::Status WarmUp(const Variant& variant, const std::vector<Shape>& shapes) {
  PRECIS_ASSIGN_OR_RETURN(auto session, variant.NewSession());
  std::vector<Tensor> zeros;
  std::vector<TensorView> views;
  for (size_t i = 0; i < shapes.size(); ++i) {
    zeros.emplace_back(variant.inputs()[i].dtype, shapes[i]);
    std::fill_n(static_cast<char*>(zeros.back().data()), zeros.back().size_bytes(), 0);
    views.push_back(zeros.back().view());
  }
  std::vector<Tensor> outputs;
  for (int i = 0; i < kWarmUpRuns; ++i) PRECIS_RETURN_IF_ERROR(session->Run(views, &outputs));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Variant>> ModelImpl::LoadVariant(const LoadOptions& options) const {
  VariantInfo info;
  info.name = options.variant;
  info.policy = options.policy;
  info.threads = std::max(1, options.threads);
  info.load_ms["parse"] = parse_ms_;
  Phases phases(options, info);

  std::unique_ptr<quant::SampleSource> samples;
  std::vector<Shape> shapes = options.warm_shapes.empty() ? DefaultShapes(inputs()) : options.warm_shapes;
  std::vector<Shape> sample_shapes;  // those that calibration runs at
  const bool calibrates = quant::NeedsCalibration(options.policy);
  if (calibrates) {
    std::vector<quant::SampleInput> wanted;
    for (const TensorSpec& spec : inputs()) wanted.push_back({spec.name, spec.dtype, spec.shape});
    PRECIS_ASSIGN_OR_RETURN(samples, quant::OpenSamples(options.calibration_dir, wanted));
    PRECIS_ASSIGN_OR_RETURN(const std::vector<Tensor> first, samples->Sample(0));
    for (const Tensor& input : first) sample_shapes.push_back(input.shape());
    if (options.warm_shapes.empty()) shapes = sample_shapes;
  }

  phases.Begin("parse");
  PRECIS_ASSIGN_OR_RETURN(ir::Graph graph, Optimise(*file_, shapes));
  PRECIS_RETURN_IF_ERROR(quant::CheckOverrides(graph, options.policy));
  std::shared_ptr<const quant::CalibrationTable> table;
  if (calibrates) {
    phases.Begin("calibrate");
    std::optional<ir::Graph> other_shapes;
    if (sample_shapes != shapes) {
      PRECIS_ASSIGN_OR_RETURN(other_shapes, Optimise(*file_, sample_shapes));
    }
    const ir::Graph& calibrated = other_shapes.has_value() ? *other_shapes : graph;
    PRECIS_ASSIGN_OR_RETURN(table, RecallOrCalibrate(*file_, calibrated, options, *samples, phases, info));
    if (options.policy.precision == quant::Precision::kMixed) {
      phases.Begin("search");
      PlanCompiler compiler(calibrated, table.get(), info.threads);
      PRECIS_ASSIGN_OR_RETURN(search::Found found,
                              search::Search(calibrated, options.policy, compiler, *samples,
                                             [&](const std::string&, double fraction) { phases.Report(fraction); }));
      info.policy = std::move(found.policy);
      if (!found.report.points.empty()) info.search = std::make_shared<const search::Report>(std::move(found.report));
    }
  }

  auto plans = std::make_unique<PlanCache>(file_, info.policy, table, info.threads, options.max_cached_plans);
  PRECIS_ASSIGN_OR_RETURN(const auto plan,
                          plans->Compile(std::move(graph), [&](const std::string& phase) { phases.Begin(phase); }));
  phases.End();
  for (const plan::LayerInfo& layer : plan->layers) {
    info.weight_bytes_per_run += layer.weight_bytes;
    info.activation_bytes_per_run += layer.activation_bytes;
  }
  info.weight_bytes = plan->weight_bytes;
  info.arena_bytes = plan->arena_bytes;
  info.input_shapes = shapes;

  const auto start = Clock::now();
  if (options.progress) options.progress("warm_up", 0.0);
  auto variant = std::make_shared<VariantImpl>(file_, std::move(plans), std::move(info));
  PRECIS_RETURN_IF_ERROR(WarmUp(*variant, shapes));
  variant->SetLoadTime("warm_up", std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  if (options.progress) options.progress("warm_up", 1.0);
  return std::shared_ptr<const Variant>(std::move(variant));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Model>> Model::Open(const std::string& path) {
  const auto start = Clock::now();
  PRECIS_ASSIGN_OR_RETURN(auto file, ModelFile::Open(path));
  const double parse_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  return std::shared_ptr<const Model>(std::make_shared<ModelImpl>(std::move(file), parse_ms));
}

std::string CpuIsaName() { return plan::CpuIsaName(); }
std::string OneDnnVersion() { return plan::OneDnnVersion(); }

}  // namespace precis
