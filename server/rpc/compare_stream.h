#ifndef PRECIS_SERVER_RPC_COMPARE_STREAM_H_
#define PRECIS_SERVER_RPC_COMPARE_STREAM_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "precis/v1/precision_service.pb.h"
#include "server/models/model_store.h"
#include "server/rpc/lifecycle.h"
#include "server/rpc/tensor_codec.h"
#include "stats/comparison.h"

namespace precis::server {

// The reactor of Compare: reads a sample, runs it on every variant in turn through their queues, beginning with another variant
// each time, then reads the next one. So at most one of its requests is anywhere at a time, and its latencies are those of
// one client without concurrency. A variant is pinned while a sample runs on it: a slow client holds up no unload. Deletes itself.
class CompareStream final : public grpc::ServerReadReactor<v1::CompareRequest> {
 public:
  // All outlive the stream. `peak_bandwidth`: the machine's, bytes per second.
  CompareStream(const ModelStore* store, Lifecycle* lifecycle, double peak_bandwidth, absl::Time deadline,
                v1::CompareResponse* response);

  void OnReadDone(bool ok) override;
  void OnCancel() override { cancelled_.store(true, std::memory_order_relaxed); }
  void OnDone() override { delete this; }

 private:
  absl::Status Begin(const v1::CompareRequest::Start& start);
  // Runs the request on the turn's next variant, or reads the next one when all have answered.
  void Continue();
  absl::Status Submit(size_t variant);
  void OnResult(size_t variant, JobResult result);
  absl::Status Answer();
  void End(const absl::Status& status);

  const ModelStore* const store_;
  Lifecycle* const lifecycle_;
  const double peak_bandwidth_;
  const absl::Time deadline_;
  v1::CompareResponse* const response_;
  std::atomic<bool> cancelled_{false};

  // One thread at a time: the one that read, then the worker that answered.
  v1::CompareRequest request_;
  std::string version_;
  std::vector<std::string> names_;  // net@int8, as the comparison's names
  std::vector<VariantInfo> infos_;  // of the variants when the stream began
  std::vector<double> compute_seconds_;
  std::unique_ptr<stats::Comparison> comparison_;
  std::vector<stats::SampleOutputs> outputs_;  // of the sample that runs
  size_t answered_ = 0;                        // variants that it has run on
  bool entered_ = false;
  VariantPin pin_;
  DecodedInputs inputs_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_COMPARE_STREAM_H_
