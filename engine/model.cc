// The facade: opens a file, takes it through the pipeline, hands out variants.
#include "engine/model.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "absl/strings/match.h"
#include "engine/base/status_macros.h"
#include "engine/calibration.h"
#include "engine/machine.h"
#include "engine/pipeline.h"
#include "engine/plan/cpu_features.h"
#include "engine/plan_compiler.h"
#include "engine/search/search.h"
#include "engine/search/search_cache.h"
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
  bool RecallsCalibration(const LoadOptions& options) const override;
  absl::StatusOr<std::unique_ptr<CalibrationRun>> StartCalibration(const LoadOptions& options) const override {
    return MakeCalibrationRun(file_, options);
  }

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

// Sets the policy and the report of a mixed variant: those of the cache, where there is one and it has them; else a search's, which go there.
absl::Status SearchPrecisions(const ir::Graph& graph, const quant::CalibrationTable& table,
                              const CalibrationSource& calibration, const std::string& folder, const Phases& phases,
                              VariantInfo* info) {
  const cache::Digest key = search::KeyOfSearch(calibration.key(), info->policy, MachineName(), info->threads);
  absl::StatusOr<search::Found> known = absl::NotFoundError("no cache");
  if (!folder.empty()) known = search::ReadSearch(folder, key, info->policy);
  info->search_recalled = known.ok();
  if (known.ok()) {
    info->policy = std::move(known->policy);
    info->search = std::make_shared<const search::Report>(std::move(known->report));
    return absl::OkStatus();
  }
  if (!absl::IsNotFound(known.status())) info->cache_warning = std::string(known.status().message());
  PRECIS_ASSIGN_OR_RETURN(const quant::SampleSource* samples, calibration.Samples());
  PlanCompiler compiler(graph, &table, info->threads);
  PRECIS_ASSIGN_OR_RETURN(search::Found found,
                          search::Search(graph, info->policy, compiler, *samples,
                                         [&](const std::string&, double fraction) { phases.Report(fraction); }));
  info->policy = found.policy;
  if (found.report.points.empty()) return absl::OkStatus();  // there was nothing to choose
  if (!folder.empty()) {
    if (const absl::Status written = search::WriteSearch(folder, key, found); !written.ok())
      info->cache_warning = std::string(written.message());
  }
  info->search = std::make_shared<const search::Report>(std::move(found.report));
  return absl::OkStatus();
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

bool ModelImpl::RecallsCalibration(const LoadOptions& options) const {
  const auto calibration = CalibrationSource::Open(*file_, options);
  if (!calibration.ok()) return false;
  if (options.policy.precision != quant::Precision::kMixed || (*calibration)->Samples().ok()) return true;
  if (options.cache.empty()) return false;
  const cache::Digest key =
      search::KeyOfSearch((*calibration)->key(), options.policy, MachineName(), std::max(1, options.threads));
  return search::ReadSearch(options.cache, key, options.policy).ok();
}

absl::StatusOr<std::shared_ptr<const Variant>> ModelImpl::LoadVariant(const LoadOptions& options) const {
  VariantInfo info;
  info.name = options.variant;
  info.policy = options.policy;
  info.threads = std::max(1, options.threads);
  info.load_ms["parse"] = parse_ms_;
  Phases phases(options, info);

  std::vector<Shape> shapes = options.warm_shapes.empty() ? DefaultShapes(inputs()) : options.warm_shapes;
  std::unique_ptr<CalibrationSource> calibration;  // null: the policy needs none
  if (quant::NeedsCalibration(options.policy)) {
    PRECIS_ASSIGN_OR_RETURN(calibration, CalibrationSource::Open(*file_, options));
    if (options.warm_shapes.empty()) shapes = calibration->shapes();
  }

  phases.Begin("parse");
  PRECIS_ASSIGN_OR_RETURN(ir::Graph graph, Optimise(*file_, shapes));
  PRECIS_RETURN_IF_ERROR(quant::CheckOverrides(graph, options.policy));
  std::shared_ptr<const quant::CalibrationTable> table;
  if (calibration != nullptr) {
    phases.Begin("calibrate");
    std::optional<ir::Graph> other_shapes;
    if (calibration->shapes() != shapes) {
      PRECIS_ASSIGN_OR_RETURN(other_shapes, Optimise(*file_, calibration->shapes()));
    }
    const ir::Graph& calibrated = other_shapes.has_value() ? *other_shapes : graph;
    PRECIS_ASSIGN_OR_RETURN(table,
                            calibration->Table(calibrated, [&](double fraction) { phases.Report(fraction); }, &info));
    if (options.policy.precision == quant::Precision::kMixed) {
      phases.Begin("search");
      PRECIS_RETURN_IF_ERROR(SearchPrecisions(calibrated, *table, *calibration, options.cache, phases, &info));
    }
  }

  auto plans = std::make_unique<PlanCache>(file_, info.policy, table, info.threads, options.max_cached_plans);
  PRECIS_ASSIGN_OR_RETURN(const auto plan,
                          plans->Compile(std::move(graph), [&](const std::string& phase) { phases.Begin(phase); }));
  phases.End();
  for (const plan::LayerInfo& layer : plan->layers) {
    info.weight_bytes_per_run += layer.weight_bytes;
    info.activation_bytes_per_run += layer.activation_bytes;
    info.emulated_layers += absl::StartsWith(layer.implementation, plan::kEmulated) ? 1 : 0;
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
