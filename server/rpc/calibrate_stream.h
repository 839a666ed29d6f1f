#ifndef PRECIS_SERVER_RPC_CALIBRATE_STREAM_H_
#define PRECIS_SERVER_RPC_CALIBRATE_STREAM_H_

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "grpcpp/grpcpp.h"
#include "precis/v1/precision_service.pb.h"
#include "server/models/model_store.h"
#include "server/rpc/lifecycle.h"

namespace precis::server {

// The reactor of Calibrate: reads a sample, has a load thread look at it, then reads the next one, so that one sample is in memory at a
// time and the flow control of the connection holds the client back; then has the variant loaded. Deletes itself.
class CalibrateStream final : public grpc::ServerReadReactor<v1::CalibrateRequest> {
 public:
  // All outlive the stream.
  CalibrateStream(ModelStore* store, Lifecycle* lifecycle, v1::CalibrateResponse* response);

  void OnReadDone(bool ok) override;
  void OnCancel() override { cancelled_.store(true, std::memory_order_relaxed); }
  void OnDone() override { delete this; }

 private:
  // What follows a read, on a load thread.
  void Continue(bool ok);
  absl::Status Begin(const v1::CalibrateRequest::Start& start);
  absl::Status AddSample(const inference::ModelInferRequest& sample);
  // Loads the variant, and answers when that is done.
  void Load();
  void End(const absl::Status& status);

  ModelStore* const store_;
  Lifecycle* const lifecycle_;
  v1::CalibrateResponse* const response_;
  std::atomic<bool> cancelled_{false};

  // One thread at a time: the one that read, then the load thread.
  v1::CalibrateRequest request_;
  std::unique_ptr<StreamedCalibration> calibration_;  // null until the first message
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_CALIBRATE_STREAM_H_
