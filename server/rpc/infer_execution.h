#ifndef PRECIS_SERVER_RPC_INFER_EXECUTION_H_
#define PRECIS_SERVER_RPC_INFER_EXECUTION_H_

// One inference from the request's bytes to the reply's bytes, for the unary and the streaming call alike.

#include <cstdint>
#include <functional>
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
#include "server/rpc/shared_memory.h"
#include "server/rpc/tensor_codec.h"

namespace precis::server {

// What every inference needs; all outlive it.
struct InferContext {
  ModelStore* store = nullptr;
  Lifecycle* lifecycle = nullptr;
  ServerMetrics* metrics = nullptr;
  const SharedMemory* shared_memory = nullptr;
};

class InferExecution {
 public:
  // The status of the inference, and its reply: for a stream also when it failed.
  using Done = absl::AnyInvocable<void(absl::Status, grpc::ByteBuffer)>;

  InferExecution(const InferContext& context, ReplyKind kind);

  // Once. Takes the bytes out of `request`. Calls `done` once, on this or another thread, maybe before it returns; this
  // object is not touched after that and lives at least until then.
  // `cancelled`: the client has gone, and the inference does not run if it has not begun. Called on any thread before `done`.
  void Start(grpc::ByteBuffer* request, absl::Time deadline, std::function<bool()> cancelled, Done done);

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
  bool entered_ = false;
  google::protobuf::Arena arena_;
  inference::ModelInferRequest* const request_;  // on the arena
  VariantPin pin_;
  bool pinned_ = false;
  std::vector<ShadowRun> shadows_;  // for most requests empty
  DecodedInputs inputs_;
  std::vector<size_t> wanted_;
  std::vector<SharedSpan> shared_outputs_;  // where each of the wanted is, or empty
  Done done_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_INFER_EXECUTION_H_
