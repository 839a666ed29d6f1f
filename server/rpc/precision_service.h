#ifndef PRECIS_SERVER_RPC_PRECISION_SERVICE_H_
#define PRECIS_SERVER_RPC_PRECISION_SERVICE_H_

// precis.v1.PrecisionService on gRPC's callback API.

#include "grpcpp/grpcpp.h"
#include "precis/v1/precision_service.grpc.pb.h"
#include "server/models/model_store.h"
#include "server/rpc/lifecycle.h"

namespace precis::server {

// Thread-safe.
class PrecisionService final : public v1::PrecisionService::CallbackService {
 public:
  // Both outlive the service. `peak_bandwidth`: the machine's, bytes per second.
  PrecisionService(ModelStore* store, Lifecycle* lifecycle, double peak_bandwidth)
      : store_(store), lifecycle_(lifecycle), peak_bandwidth_(peak_bandwidth) {}

  grpc::ServerWriteReactor<v1::LoadVariantProgress>* LoadVariant(grpc::CallbackServerContext* call,
                                                                 const v1::LoadVariantRequest* request) override;
  grpc::ServerUnaryReactor* UnloadVariant(grpc::CallbackServerContext* call, const v1::UnloadVariantRequest* request,
                                          v1::UnloadVariantResponse* response) override;
  grpc::ServerUnaryReactor* ListVariants(grpc::CallbackServerContext* call, const v1::ListVariantsRequest* request,
                                         v1::ListVariantsResponse* response) override;
  grpc::ServerUnaryReactor* DescribePlan(grpc::CallbackServerContext* call, const v1::DescribePlanRequest* request,
                                         v1::DescribePlanResponse* response) override;

  grpc::ServerReadReactor<v1::CalibrateRequest>* Calibrate(grpc::CallbackServerContext* call,
                                                           v1::CalibrateResponse* response) override;
  grpc::ServerReadReactor<v1::CompareRequest>* Compare(grpc::CallbackServerContext* call,
                                                       v1::CompareResponse* response) override;
  grpc::ServerUnaryReactor* SetTraffic(grpc::CallbackServerContext* call, const v1::SetTrafficRequest* request,
                                       v1::SetTrafficResponse* response) override;
  grpc::ServerUnaryReactor* GetDrift(grpc::CallbackServerContext* call, const v1::GetDriftRequest* request,
                                     v1::GetDriftResponse* response) override;

 private:
  ModelStore* const store_;
  Lifecycle* const lifecycle_;
  const double peak_bandwidth_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_PRECISION_SERVICE_H_
