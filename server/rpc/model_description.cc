#include "server/rpc/model_description.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/config/precision_policy.h"

namespace precis::server {
namespace {

using v1::VariantStatus;

void FillTensor(const WireTensor& tensor, inference::ModelMetadataResponse::TensorMetadata* out) {
  out->set_name(tensor.name);
  out->set_datatype(std::string(KServeName(tensor.dtype)));
  for (int64_t dim : tensor.shape) out->add_shape(dim);
}

void FillDuration(const StatisticsSnapshot::Sum& sum, inference::StatisticDuration* out) {
  out->set_count(sum.count);
  out->set_ns(static_cast<uint64_t>(absl::ToInt64Nanoseconds(sum.time)));
}

VariantStatus::State StateOf(VariantState state) {
  switch (state) {
    case VariantState::kLoading: return VariantStatus::LOADING;
    case VariantState::kReady: return VariantStatus::READY;
    case VariantState::kUnloading: return VariantStatus::UNLOADING;
    case VariantState::kUnloaded: return VariantStatus::UNLOADED;
    case VariantState::kFailed: return VariantStatus::FAILED;
  }
  return VariantStatus::STATE_UNSPECIFIED;
}

}  // namespace

void DescribeMetadata(const std::string& name, const ServedVariant& served, const std::vector<std::string>& versions,
                      inference::ModelMetadataResponse* response) {
  response->set_name(name);
  response->set_platform(served.config.platform());
  for (const std::string& version : versions) response->add_versions(version);
  for (const WireTensor& tensor : served.signature.inputs) FillTensor(tensor, response->add_inputs());
  for (const WireTensor& tensor : served.signature.outputs) FillTensor(tensor, response->add_outputs());
}

void DescribeStatistics(const std::string& name, const std::string& version, const StatisticsSnapshot& sums,
                        inference::ModelStatistics* statistics) {
  statistics->set_name(name);
  statistics->set_version(version);
  statistics->set_last_inference(static_cast<uint64_t>(absl::ToUnixMillis(sums.last_inference)));
  statistics->set_inference_count(sums.inferences);
  statistics->set_execution_count(sums.executions);
  inference::InferStatistics& total = *statistics->mutable_inference_stats();
  FillDuration(sums.success, total.mutable_success());
  FillDuration(sums.fail, total.mutable_fail());
  FillDuration(sums.queue, total.mutable_queue());
  FillDuration(sums.input, total.mutable_compute_input());
  FillDuration(sums.compute, total.mutable_compute_infer());
  FillDuration(sums.output, total.mutable_compute_output());
  total.mutable_cache_hit();
  total.mutable_cache_miss();
  for (const auto& [size, batch] : sums.batches) {
    inference::InferBatchStatistics& proto = *statistics->add_batch_stats();
    proto.set_batch_size(static_cast<uint64_t>(size));
    FillDuration(batch.input, proto.mutable_compute_input());
    FillDuration(batch.compute, proto.mutable_compute_infer());
    FillDuration(batch.output, proto.mutable_compute_output());
  }
}

void DescribeIndex(const VersionReport& report, inference::RepositoryIndexResponse::ModelIndex* index) {
  index->set_name(report.model);
  if (report.version != 0) index->set_version(absl::StrCat(report.version));
  if (report.ready()) {
    index->set_state("READY");
    return;
  }
  index->set_reason(report.reason);
  if (!report.reason.empty()) index->set_state("UNAVAILABLE");
  for (const VariantReport& variant : report.variants) {
    switch (variant.state) {
      case VariantState::kLoading: index->set_state("LOADING"); return;
      case VariantState::kUnloading: index->set_state("UNLOADING"); return;
      case VariantState::kUnloaded:
        if (index->state().empty()) {
          index->set_state("UNAVAILABLE");
          index->set_reason("unloaded");
        }
        break;
      case VariantState::kReady:
      case VariantState::kFailed: break;
    }
  }
}

void DescribeVariant(const VariantReport& report, VariantStatus* status) {
  status->set_name(report.name);
  status->set_state(StateOf(report.state));
  status->set_reason(report.reason);
  *status->mutable_policy() = PolicyToProto(report.policy);
  if (report.state != VariantState::kReady) return;
  const VariantInfo& info = report.info;
  for (const auto& [phase, ms] : info.load_ms) (*status->mutable_load_ms())[phase] = ms;
  status->set_weight_bytes(info.weight_bytes);
  status->set_arena_bytes(info.arena_bytes);
  status->set_weight_bytes_per_run(info.weight_bytes_per_run);
  status->set_activation_bytes_per_run(info.activation_bytes_per_run);
  status->set_threads(info.threads);
  status->set_workers(report.workers);
  status->set_inference_count(report.inferences);
  status->set_weight_bytes_moved(report.memory.weight_bytes);
  status->set_activation_bytes_moved(report.memory.activation_bytes);
  status->set_items_run(report.memory.items);
  status->set_compute_seconds(absl::ToDoubleSeconds(report.memory.compute));
  status->set_emulated_layers(info.emulated_layers);
  if (report.memory.measured_bytes) status->set_measured_bytes_moved(*report.memory.measured_bytes);
}

void DescribeVersion(const VersionReport& report, v1::ModelVariants* model) {
  model->set_name(report.model);
  if (report.version != 0) model->set_version(absl::StrCat(report.version));
  model->set_default_variant(report.default_variant);
  for (const VariantReport& variant : report.variants) DescribeVariant(variant, model->add_variants());
  for (const std::string& policy : report.policies) model->add_policies(policy);
  if (report.precision.has_preprocessing()) *model->mutable_preprocessing() = report.precision.preprocessing();
  *model->mutable_traffic() = report.traffic;
}

v1::VariantStatus DescribeLoaded(const ModelStore& store, const ModelName& name, int64_t version) {
  v1::VariantStatus status;
  const auto reports = store.List(name.model, version);
  if (!reports.ok() || reports->empty()) return status;
  const VersionReport& report = reports->back();  // the highest version
  const std::string& wanted = name.variant.empty() ? report.default_variant : name.variant;
  for (const VariantReport& variant : report.variants) {
    if (variant.name == wanted) DescribeVariant(variant, &status);
  }
  return status;
}

void DescribeLayer(const Layer& layer, v1::PlanLayer* proto) {
  proto->set_name(layer.name);
  proto->set_op(layer.op);
  proto->set_precision(layer.precision);
  proto->set_implementation(layer.implementation);
  proto->set_note(layer.note);
  proto->set_slow_reference(layer.slow_reference);
  proto->set_weight_bytes(layer.weight_bytes);
  proto->set_activation_bytes(layer.activation_bytes);
  proto->set_time_us(layer.time_us);
}

v1::LoadVariantProgress::Phase PhaseOf(const std::string& phase) {
  auto value = v1::LoadVariantProgress::PHASE_UNSPECIFIED;
  v1::LoadVariantProgress::Phase_Parse(absl::AsciiStrToUpper(phase), &value);
  return value;
}

}  // namespace precis::server
