#include "server/rpc/inference_service.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/config/model_name.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/infer_calls.h"
#include "server/rpc/load_call.h"
#include "server/rpc/load_parameters.h"
#include "server/rpc/model_description.h"

namespace precis::server {
namespace {

// perf_analyzer looks for "statistics" and "max_batch_size".
constexpr const char* kExtensions[] = {"model_repository",   "model_configuration", "statistics",        "parameters",
                                       "binary_tensor_data", "max_batch_size",      "precision_variants"};

grpc::ServerUnaryReactor* Reply(grpc::CallbackServerContext* call, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

absl::Status FillStatistics(const ModelStore& store, const inference::ModelStatisticsRequest& request,
                            inference::ModelStatisticsResponse* response) {
  PRECIS_ASSIGN_OR_RETURN(const int64_t version, ParseVersion(request.version()));
  if (!request.name().empty()) {
    PRECIS_ASSIGN_OR_RETURN(const VariantPin pin, store.Pin(request.name(), request.version()));
    PRECIS_ASSIGN_OR_RETURN(const StatisticsSnapshot sums, store.StatisticsOf(request.name(), version));
    DescribeStatistics(request.name(), pin->version_text, sums, response->add_model_stats());
    return absl::OkStatus();
  }
  PRECIS_ASSIGN_OR_RETURN(const auto reports, store.List("", version));
  for (const VersionReport& report : reports) {
    if (!report.ready()) continue;
    const auto sums = store.StatisticsOf(report.model, report.version);
    if (!sums.ok()) continue;  // unloaded since
    DescribeStatistics(report.model, absl::StrCat(report.version), *sums, response->add_model_stats());
  }
  return absl::OkStatus();
}

absl::Status FillMetadata(const ModelStore& store, const inference::ModelMetadataRequest& request,
                          inference::ModelMetadataResponse* response) {
  PRECIS_ASSIGN_OR_RETURN(const VariantPin pin, store.Pin(request.name(), request.version()));
  PRECIS_ASSIGN_OR_RETURN(const auto reports, store.List(pin->model, 0));
  std::vector<std::string> versions;
  for (const VersionReport& report : reports) {
    if (report.ready()) versions.push_back(absl::StrCat(report.version));
  }
  DescribeMetadata(request.name(), *pin, versions, response);
  return absl::OkStatus();
}

}  // namespace

InferenceService::InferenceService(ModelStore* store, Lifecycle* lifecycle, ServerMetrics* metrics,
                                   SharedMemory* shared_memory, ControlMode mode)
    : store_(store), shared_memory_(shared_memory), context_{store, lifecycle, metrics, shared_memory}, mode_(mode) {}

grpc::ServerUnaryReactor* InferenceService::ServerLive(grpc::CallbackServerContext* call,
                                                       const inference::ServerLiveRequest*,
                                                       inference::ServerLiveResponse* response) {
  response->set_live(true);
  return Reply(call, absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceService::ServerReady(grpc::CallbackServerContext* call,
                                                        const inference::ServerReadyRequest*,
                                                        inference::ServerReadyResponse* response) {
  response->set_ready(context_.lifecycle->ready());
  return Reply(call, absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceService::ModelReady(grpc::CallbackServerContext* call,
                                                       const inference::ModelReadyRequest* request,
                                                       inference::ModelReadyResponse* response) {
  const auto pin = store_->Pin(request->name(), request->version());
  response->set_ready(pin.ok() && !context_.lifecycle->draining());
  // As in Triton, an unknown model is not ready rather than an error; a malformed name is one.
  return Reply(call, absl::IsInvalidArgument(pin.status()) ? pin.status() : absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceService::ServerMetadata(grpc::CallbackServerContext* call,
                                                           const inference::ServerMetadataRequest*,
                                                           inference::ServerMetadataResponse* response) {
  response->set_name("precis");
  response->set_version(PRECIS_VERSION);
  for (const char* extension : kExtensions) response->add_extensions(extension);
  if (shared_memory_->allowed()) response->add_extensions("system_shared_memory");
  return Reply(call, absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceService::ModelMetadata(grpc::CallbackServerContext* call,
                                                          const inference::ModelMetadataRequest* request,
                                                          inference::ModelMetadataResponse* response) {
  return Reply(call, FillMetadata(*store_, *request, response));
}

grpc::ServerUnaryReactor* InferenceService::ModelConfig(grpc::CallbackServerContext* call,
                                                        const inference::ModelConfigRequest* request,
                                                        inference::ModelConfigResponse* response) {
  const auto pin = store_->Pin(request->name(), request->version());
  if (pin.ok()) {
    *response->mutable_config() = (*pin)->config;
    response->mutable_config()->set_name(request->name());
  }
  return Reply(call, pin.status());
}

grpc::ServerUnaryReactor* InferenceService::ModelStatistics(grpc::CallbackServerContext* call,
                                                            const inference::ModelStatisticsRequest* request,
                                                            inference::ModelStatisticsResponse* response) {
  return Reply(call, FillStatistics(*store_, *request, response));
}

absl::Status InferenceService::CheckMayChange(const std::string& repository) const {
  if (!repository.empty()) return absl::UnimplementedError("repository_name: there is one repository, without a name");
  if (context_.lifecycle->draining()) return absl::UnavailableError("the server is draining");
  if (mode_ == ControlMode::kExplicit) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("models are not loaded or unloaded by request under --model_control_mode=",
                                             mode_ == ControlMode::kPoll ? "poll" : "none"));
}

grpc::ServerUnaryReactor* InferenceService::RepositoryIndex(grpc::CallbackServerContext* call,
                                                            const inference::RepositoryIndexRequest* request,
                                                            inference::RepositoryIndexResponse* response) {
  if (!request->repository_name().empty()) {
    return Reply(call, absl::UnimplementedError("repository_name: there is one repository, without a name"));
  }
  if (mode_ == ControlMode::kExplicit) {  // a model put there since then can be loaded, so it is listed
    if (absl::Status status = store_->RefreshIndex(); !status.ok()) return Reply(call, status);
  }
  const auto reports = store_->List("", 0);
  if (!reports.ok()) return Reply(call, reports.status());
  for (const VersionReport& report : *reports) {
    if (!request->ready() || report.ready()) DescribeIndex(report, response->add_models());
  }
  return Reply(call, absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceService::RepositoryModelLoad(grpc::CallbackServerContext* call,
                                                                const inference::RepositoryModelLoadRequest* request,
                                                                inference::RepositoryModelLoadResponse*) {
  if (absl::Status status = CheckMayChange(request->repository_name()); !status.ok()) return Reply(call, status);
  auto load = MakeLoadRequest(*request);
  if (!load.ok()) return Reply(call, load.status());
  return new LoadCall(store_, *std::move(load));
}

grpc::ServerUnaryReactor* InferenceService::RepositoryModelUnload(
    grpc::CallbackServerContext* call, const inference::RepositoryModelUnloadRequest* request,
    inference::RepositoryModelUnloadResponse*) {
  if (absl::Status status = CheckMayChange(request->repository_name()); !status.ok()) return Reply(call, status);
  auto name = ParseModelName(request->model_name());
  if (!name.ok()) return Reply(call, name.status());
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  store_->Unload(*std::move(name), 0, [reactor](const absl::Status& status) { reactor->Finish(ToGrpcStatus(status)); });
  return reactor;
}

grpc::ServerUnaryReactor* InferenceService::SystemSharedMemoryStatus(
    grpc::CallbackServerContext* call, const inference::SystemSharedMemoryStatusRequest* request,
    inference::SystemSharedMemoryStatusResponse* response) {
  const auto regions = shared_memory_->List(request->name());
  if (!regions.ok()) return Reply(call, regions.status());
  for (const auto& [name, region] : *regions) {
    auto& status = (*response->mutable_regions())[name];
    status.set_name(name);
    status.set_key(region->key());
    status.set_offset(region->offset());
    status.set_byte_size(region->byte_size());
  }
  return Reply(call, absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceService::SystemSharedMemoryRegister(
    grpc::CallbackServerContext* call, const inference::SystemSharedMemoryRegisterRequest* request,
    inference::SystemSharedMemoryRegisterResponse*) {
  return Reply(call,
               shared_memory_->Register(request->name(), request->key(), request->offset(), request->byte_size()));
}

grpc::ServerUnaryReactor* InferenceService::SystemSharedMemoryUnregister(
    grpc::CallbackServerContext* call, const inference::SystemSharedMemoryUnregisterRequest* request,
    inference::SystemSharedMemoryUnregisterResponse*) {
  return Reply(call, shared_memory_->Unregister(request->name()));
}

// There is no GPU here and so never a region of one. Clients of Triton that use shared memory ask for both kinds all the same.
grpc::ServerUnaryReactor* InferenceService::CudaSharedMemoryStatus(grpc::CallbackServerContext* call,
                                                                   const inference::CudaSharedMemoryStatusRequest*,
                                                                   inference::CudaSharedMemoryStatusResponse*) {
  return Reply(call, shared_memory_->CheckAllowed());
}

grpc::ServerUnaryReactor* InferenceService::CudaSharedMemoryUnregister(
    grpc::CallbackServerContext* call, const inference::CudaSharedMemoryUnregisterRequest*,
    inference::CudaSharedMemoryUnregisterResponse*) {
  return Reply(call, shared_memory_->CheckAllowed());
}

grpc::ServerUnaryReactor* InferenceService::ModelInfer(grpc::CallbackServerContext* call,
                                                       const grpc::ByteBuffer* request, grpc::ByteBuffer* response) {
  // gRPC keeps the request for this call alone: its bytes may be taken.
  return StartUnaryInfer(context_, call, const_cast<grpc::ByteBuffer*>(request), response);
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* InferenceService::ModelStreamInfer(
    grpc::CallbackServerContext* call) {
  return new StreamInferCall(context_, absl::FromChrono(call->deadline()));
}

}  // namespace precis::server
