// One variant as the store serves it: what the engine is asked for, and what stands around the engine's variant.

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/config/precision_policy.h"
#include "server/config/scheduling.h"
#include "server/config/traffic.h"
#include "server/models/model_store.h"

namespace precis::server {
namespace {

// `warm` by input name, or else what config.pbtxt fixes. Errors: InvalidArgument for shapes that the model cannot take.
absl::StatusOr<std::vector<Shape>> ShapesToCompile(const std::vector<std::pair<std::string, Shape>>& warm,
                                                   const Signature& signature, const std::vector<TensorSpec>& specs) {
  if (warm.empty()) return WarmShapes(signature, specs);
  std::vector<Shape> shapes;
  for (const TensorSpec& spec : specs) {
    const auto it = std::find_if(warm.begin(), warm.end(), [&](const auto& w) { return w.first == spec.name; });
    if (it == warm.end() || warm.size() != specs.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("warm_shapes: want one for each of the ", specs.size(), " inputs, such as \"", spec.name, "\""));
    }
    bool fits = it->second.size() == spec.shape.size();
    for (size_t d = 0; fits && d < spec.shape.size(); ++d) {
      fits = it->second[d] >= 1 && (spec.shape[d] < 0 || spec.shape[d] == it->second[d]);
    }
    if (!fits) {
      return absl::InvalidArgumentError(absl::StrCat(
          "warm_shapes: input \"", spec.name, "\": ", ShapeToString(it->second), ", want ", ShapeToString(spec.shape)));
    }
    shapes.push_back(it->second);
  }
  return shapes;
}

// `fresh`: on samples that came one by one, which was logged then.
void LogCalibration(const VariantInfo& info, const std::string& name, const std::string& cache, bool fresh) {
  const auto took = info.load_ms.find("calibrate");
  if (took == info.load_ms.end()) return;
  if (!info.cache_warning.empty()) LOG(WARNING) << "calibration cache: " << info.cache_warning;
  if (!fresh) {
    LOG(INFO) << "calibration of " << name << ": "
              << (info.calibration_recalled ? "taken from " + cache : "measured, not taken from a cache") << ", "
              << static_cast<int64_t>(took->second) << " ms";
  }
  if (info.search_recalled) LOG(INFO) << "precisions of " << name << ": taken from " << cache;
}

}  // namespace

std::string ModelStore::CacheOf(const ModelSource& source) const {
  if (options_.calibration_cache.has_value()) return *options_.calibration_cache;
  const std::string folder = source.folder + "/.precis_cache";
  const bool exists = access(folder.c_str(), F_OK) == 0;
  return access((exists ? folder : source.folder).c_str(), W_OK | X_OK) == 0 ? folder : "";
}

absl::StatusOr<Parallelism> ModelStore::ParallelismOf(const ModelSource& source) const {
  PRECIS_ASSIGN_OR_RETURN(const Scheduling scheduling, MakeScheduling(source.config));
  return ChooseParallelism(options_.cores, scheduling.workers > 0 ? scheduling.workers : options_.workers,
                           options_.threads);
}

LoadOptions ModelStore::EngineOptions(const LoadPlan& plan, const Parallelism& parallel) const {
  LoadOptions options;
  options.variant = plan.variant;
  options.policy = plan.policy;
  options.threads = parallel.threads;
  options.calibration_dir = plan.source.calibration_dir;
  options.streamed = plan.streamed;
  options.cache = CacheOf(plan.source);
  return options;
}

absl::StatusOr<std::unique_ptr<ServedVariant>> ModelStore::MakeServed(const LoadPlan& plan, const Progress& progress) {
  PRECIS_ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model, Model::Open(plan.file));
  auto served = std::make_unique<ServedVariant>();
  served->model = plan.source.name;
  served->version = plan.version;
  served->version_text = absl::StrCat(plan.version);
  served->name = plan.variant;
  PRECIS_ASSIGN_OR_RETURN(served->signature, MakeSignature(plan.source.config, model->inputs(), model->outputs()));
  served->config = CompleteModelConfig(plan.source.config, plan.source.name, served->signature);
  WorkerPoolOptions pool;
  PRECIS_ASSIGN_OR_RETURN(pool.scheduling, MakeScheduling(plan.source.config));
  PRECIS_ASSIGN_OR_RETURN(const Parallelism parallel, ParallelismOf(plan.source));
  pool.workers = parallel.workers;
  LoadOptions options = EngineOptions(plan, parallel);
  PRECIS_ASSIGN_OR_RETURN(options.warm_shapes, ShapesToCompile(plan.warm_shapes, served->signature, model->inputs()));
  options.progress = progress;
  PRECIS_ASSIGN_OR_RETURN(served->variant, model->LoadVariant(options));
  LogCalibration(served->variant->info(), JoinModelName(plan.source.name, plan.variant), options.cache, plan.fresh);
  served->metrics = metrics_->ForVariant(served->model, served->version_text, served->name);
  served->drift = std::make_shared<DriftRecord>(
      DriftRecord::Names{served->model, served->version, served->name, BaselineOf(plan.source.precision)},
      served->variant, AlertOf(plan.source.precision, served->name), served->metrics);
  pool.queue_size = options_.queue_size;
  // A run on several threads makes a team of them for each thread that starts one: not for the network's threads.
  pool.allow_inline = options.threads == 1;
  PRECIS_ASSIGN_OR_RETURN(served->pool, WorkerPool::Create(served->variant, pool, served->metrics));
  if (const BatchPlan& batches = served->pool->batch_plan(); !batches.reason().empty()) {
    LOG(INFO) << JoinModelName(served->model, served->name) << ": " << batches.reason();
  }
  return served;
}

}  // namespace precis::server
