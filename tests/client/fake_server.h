#ifndef PRECIS_TESTS_CLIENT_FAKE_SERVER_H_
#define PRECIS_TESTS_CLIENT_FAKE_SERVER_H_

// A gRPC server in this process that answers as a test tells it to, so that what the client does with each answer can be
// seen without a model.

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "inference/grpc_service.grpc.pb.h"
#include "precis/v1/precision_service.grpc.pb.h"

namespace precis {

struct FakeInference final : inference::GRPCInferenceService::Service {
  grpc::Status ModelInfer(grpc::ServerContext* context, const inference::ModelInferRequest* request,
                          inference::ModelInferResponse* reply) override;
  grpc::Status ServerMetadata(grpc::ServerContext* context, const inference::ServerMetadataRequest* request,
                              inference::ServerMetadataResponse* reply) override;
  grpc::Status ModelMetadata(grpc::ServerContext* context, const inference::ModelMetadataRequest* request,
                             inference::ModelMetadataResponse* reply) override;
  grpc::Status ModelStatistics(grpc::ServerContext* context, const inference::ModelStatisticsRequest* request,
                               inference::ModelStatisticsResponse* reply) override;
  grpc::Status RepositoryIndex(grpc::ServerContext* context, const inference::RepositoryIndexRequest* request,
                               inference::RepositoryIndexResponse* reply) override;
  grpc::Status RepositoryModelUnload(grpc::ServerContext* context,
                                     const inference::RepositoryModelUnloadRequest* request,
                                     inference::RepositoryModelUnloadResponse* reply) override;

  // Called for each ModelInfer; by default every input comes back as an output of the same name.
  std::function<grpc::Status(const inference::ModelInferRequest&, inference::ModelInferResponse*)> on_infer;
  std::atomic<int> infer_calls = 0;
};

struct FakePrecision final : precis::v1::PrecisionService::Service {
  grpc::Status LoadVariant(grpc::ServerContext* context, const precis::v1::LoadVariantRequest* request,
                           grpc::ServerWriter<precis::v1::LoadVariantProgress>* writer) override;
  grpc::Status Calibrate(grpc::ServerContext* context, grpc::ServerReader<precis::v1::CalibrateRequest>* reader,
                         precis::v1::CalibrateResponse* reply) override;
  grpc::Status ListVariants(grpc::ServerContext* context, const precis::v1::ListVariantsRequest* request,
                            precis::v1::ListVariantsResponse* reply) override;
  grpc::Status DescribePlan(grpc::ServerContext* context, const precis::v1::DescribePlanRequest* request,
                            precis::v1::DescribePlanResponse* reply) override;

  precis::v1::LoadVariantRequest last_load;
  std::vector<precis::v1::CalibrateRequest> calibration;  // messages of the last Calibrate
  int most_samples = 100;                                 // then Calibrate answers without waiting for the rest
  grpc::Status calibrate_status;
  std::function<grpc::Status(grpc::ServerWriter<precis::v1::LoadVariantProgress>*)> on_load;
};

// One model "net": input "x" FP32 [-1,3,2,2], output "y"; variants fp32 and int8 are loaded.
class FakeServer {
 public:
  // Listens on a free port.
  explicit FakeServer(const std::shared_ptr<grpc::ServerCredentials>& credentials = grpc::InsecureServerCredentials());
  ~FakeServer();

  const std::string& target() const { return target_; }
  void SetServing(bool serving);

  FakeInference inference;
  FakePrecision precision;

 private:
  std::string target_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace precis

#endif  // PRECIS_TESTS_CLIENT_FAKE_SERVER_H_
