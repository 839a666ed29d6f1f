#ifndef PRECIS_SERVER_RPC_INFER_EXECUTION_H_
#define PRECIS_SERVER_RPC_INFER_EXECUTION_H_

// One inference from the request's bytes to the reply's bytes, for the unary and the streaming call alike.

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/arena.h"
#include "grpcpp/support/byte_buffer.h"
#include "inference/grpc_service.pb.h"
#include "server/batching/worker_pool.h"
#include "server/metrics/server_metrics.h"
#include "server/models/model_store.h"
#include "server/rpc/infer_reply.h"
#include "server/rpc/lifecycle.h"
#include "server/rpc/tensor_codec.h"

namespace precis::server {

// What every inference needs; all outlive it.
struct InferContext {
  ModelStore* store = nullptr;
  Lifecycle* lifecycle = nullptr;
  ServerMetrics* metrics = nullptr;
};

class InferExecution {
 public:
  // The status of the inference, and its reply: for a stream also when it failed.
  using Done = absl::AnyInvocable<void(absl::Status, grpc::ByteBuffer)>;

  InferExecution(const InferContext& context, ReplyKind kind);

  // Once. Takes the bytes out of `request`. Calls `done` once, on this or another thread, maybe before it returns; this
  // object is not touched after that and lives at least until then.
  void Start(grpc::ByteBuffer* request, absl::Time deadline, Done done);

  // The client has gone: the inference does not run if it has not begun. Thread-safe; any time before destruction.
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }

 private:
  absl::Status Prepare(grpc::ByteBuffer* request, Job* job);
  absl::Status ReadParameters(Job* job) const;
  void OnResult(JobResult result);
  // To the loads that wait for live traffic.
  void OfferInputs() const;
  // Hands the sample, if there is one, to the drift monitor when the answer is on its way.
  void Answer(absl::Status status, grpc::ByteBuffer reply, absl::Duration total,
              std::optional<DriftSample> sample = std::nullopt);

  const InferContext context_;
  const ReplyKind kind_;
  const absl::Time received_;
  std::atomic<bool> cancelled_{false};
  bool entered_ = false;
  google::protobuf::Arena arena_;
  inference::ModelInferRequest* const request_;  // on the arena
  VariantPin pin_;
  bool pinned_ = false;
  std::vector<ShadowRun> shadows_;  // for most requests empty
  DecodedInputs inputs_;
  std::vector<size_t> wanted_;
  Done done_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_INFER_EXECUTION_H_
