#ifndef PRECIS_TESTS_SERVER_PRECISD_PROCESS_H_
#define PRECIS_TESTS_SERVER_PRECISD_PROCESS_H_

#include <sys/types.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "inference/grpc_service.grpc.pb.h"
#include "precis/v1/precision_service.grpc.pb.h"
#include "tests/server/fake_files.h"

namespace precis::server {

// Bytes of an ONNX file: OUTPUT0 = Identity(INPUT0), f32 [n].
std::string IdentityModel();

// A repository with the model "identity".
class IdentityRepository : public FakeFiles {
 public:
  IdentityRepository() { Write("identity/1/model.onnx", IdentityModel()); }
};

// A precisd on free ports, and stubs of its services. Killed at the end of its life if it has not ended by then.
class PrecisdProcess {
 public:
  // Waits until its ports are bound; AwaitReady for the models.
  explicit PrecisdProcess(const std::vector<std::string>& flags);
  ~PrecisdProcess();

  // The line that it prints when the models named at start are done.
  std::string AwaitReady() { return ReadLine(); }
  void Signal(int signal) const;
  // The exit code, or minus the signal that ended it.
  int AwaitEnd();
  // GET /metrics.
  std::string Metrics() const;

  std::unique_ptr<inference::GRPCInferenceService::Stub> inference;
  std::unique_ptr<v1::PrecisionService::Stub> precision;
  std::unique_ptr<grpc::health::v1::Health::Stub> health;

 private:
  std::string ReadLine();

  pid_t pid_ = -1;
  FILE* output_ = nullptr;
  int metrics_port_ = 0;
};

// A raw request for the identity model.
inference::ModelInferRequest IdentityRequest(const std::string& model, const std::vector<float>& values);
// The values of its answer.
std::vector<float> Values(const inference::ModelInferResponse& response);

}  // namespace precis::server

#endif  // PRECIS_TESTS_SERVER_PRECISD_PROCESS_H_
