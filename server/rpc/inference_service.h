#ifndef PRECIS_SERVER_RPC_INFERENCE_SERVICE_H_
#define PRECIS_SERVER_RPC_INFERENCE_SERVICE_H_

// inference.GRPCInferenceService on gRPC's callback API. Inferences arrive and leave as bytes, so that tensors are not copied
// on the way; every other call as messages.

#include "grpcpp/grpcpp.h"
#include "inference/grpc_service.grpc.pb.h"
#include "server/config/server_options.h"
#include "server/rpc/infer_execution.h"
#include "server/rpc/shared_memory.h"

namespace precis::server {

// The two inference calls take and give bytes, the others messages; those that nobody overrides answer UNIMPLEMENTED.
namespace wire {
using S = inference::GRPCInferenceService;
using Inference = S::WithRawCallbackMethod_ModelInfer<S::WithRawCallbackMethod_ModelStreamInfer<S::Service>>;
using Descriptions = S::WithCallbackMethod_ServerLive<S::WithCallbackMethod_ServerReady<
    S::WithCallbackMethod_ModelReady<S::WithCallbackMethod_ServerMetadata<S::WithCallbackMethod_ModelMetadata<
        S::WithCallbackMethod_ModelConfig<S::WithCallbackMethod_ModelStatistics<Inference>>>>>>>;
using Repository = S::WithCallbackMethod_RepositoryIndex<
    S::WithCallbackMethod_RepositoryModelLoad<S::WithCallbackMethod_RepositoryModelUnload<Descriptions>>>;
using All = S::WithCallbackMethod_SystemSharedMemoryStatus<S::WithCallbackMethod_SystemSharedMemoryRegister<
    S::WithCallbackMethod_SystemSharedMemoryUnregister<S::WithCallbackMethod_CudaSharedMemoryStatus<
        S::WithCallbackMethod_CudaSharedMemoryRegister<S::WithCallbackMethod_CudaSharedMemoryUnregister<
            S::WithCallbackMethod_TraceSetting<S::WithCallbackMethod_LogSettings<Repository>>>>>>>>;
}  // namespace wire

// Thread-safe.
class InferenceService final : public wire::All {
 public:
  // All outlive the service. `mode` decides whether the repository RPCs may change anything.
  InferenceService(ModelStore* store, Lifecycle* lifecycle, ServerMetrics* metrics, SharedMemory* shared_memory,
                   ControlMode mode);

  grpc::ServerUnaryReactor* ServerLive(grpc::CallbackServerContext* call, const inference::ServerLiveRequest* request,
                                       inference::ServerLiveResponse* response) override;
  grpc::ServerUnaryReactor* ServerReady(grpc::CallbackServerContext* call, const inference::ServerReadyRequest* request,
                                        inference::ServerReadyResponse* response) override;
  grpc::ServerUnaryReactor* ModelReady(grpc::CallbackServerContext* call, const inference::ModelReadyRequest* request,
                                       inference::ModelReadyResponse* response) override;
  grpc::ServerUnaryReactor* ServerMetadata(grpc::CallbackServerContext* call,
                                           const inference::ServerMetadataRequest* request,
                                           inference::ServerMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelMetadata(grpc::CallbackServerContext* call,
                                          const inference::ModelMetadataRequest* request,
                                          inference::ModelMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelConfig(grpc::CallbackServerContext* call, const inference::ModelConfigRequest* request,
                                        inference::ModelConfigResponse* response) override;
  grpc::ServerUnaryReactor* ModelStatistics(grpc::CallbackServerContext* call,
                                            const inference::ModelStatisticsRequest* request,
                                            inference::ModelStatisticsResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryIndex(grpc::CallbackServerContext* call,
                                            const inference::RepositoryIndexRequest* request,
                                            inference::RepositoryIndexResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryModelLoad(grpc::CallbackServerContext* call,
                                                const inference::RepositoryModelLoadRequest* request,
                                                inference::RepositoryModelLoadResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryModelUnload(grpc::CallbackServerContext* call,
                                                  const inference::RepositoryModelUnloadRequest* request,
                                                  inference::RepositoryModelUnloadResponse* response) override;

  grpc::ServerUnaryReactor* SystemSharedMemoryStatus(grpc::CallbackServerContext* call,
                                                     const inference::SystemSharedMemoryStatusRequest* request,
                                                     inference::SystemSharedMemoryStatusResponse* response) override;
  grpc::ServerUnaryReactor* SystemSharedMemoryRegister(
      grpc::CallbackServerContext* call, const inference::SystemSharedMemoryRegisterRequest* request,
      inference::SystemSharedMemoryRegisterResponse* response) override;
  grpc::ServerUnaryReactor* SystemSharedMemoryUnregister(
      grpc::CallbackServerContext* call, const inference::SystemSharedMemoryUnregisterRequest* request,
      inference::SystemSharedMemoryUnregisterResponse* response) override;
  grpc::ServerUnaryReactor* CudaSharedMemoryStatus(grpc::CallbackServerContext* call,
                                                   const inference::CudaSharedMemoryStatusRequest* request,
                                                   inference::CudaSharedMemoryStatusResponse* response) override;
  grpc::ServerUnaryReactor* CudaSharedMemoryUnregister(
      grpc::CallbackServerContext* call, const inference::CudaSharedMemoryUnregisterRequest* request,
      inference::CudaSharedMemoryUnregisterResponse* response) override;

  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext* call, const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override;
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* ModelStreamInfer(
      grpc::CallbackServerContext* call) override;

 private:
  absl::Status CheckMayChange(const std::string& repository) const;

  ModelStore* const store_;
  SharedMemory* const shared_memory_;
  const InferContext context_;
  const ControlMode mode_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_INFERENCE_SERVICE_H_
