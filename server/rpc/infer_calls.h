#ifndef PRECIS_SERVER_RPC_INFER_CALLS_H_
#define PRECIS_SERVER_RPC_INFER_CALLS_H_

// ModelInfer and ModelStreamInfer on gRPC's callback API.

#include <atomic>
#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "server/rpc/infer_execution.h"

namespace precis::server {

// Answers into `reply` and finishes the call by its default reactor, whose end gRPC handles on the thread that sent the reply: a
// reactor of our own would cost every request the way to another thread.
grpc::ServerUnaryReactor* StartUnaryInfer(const InferContext& context, grpc::CallbackServerContext* call,
                                          grpc::ByteBuffer* request, grpc::ByteBuffer* reply);

// Requests run at the same time, up to kMaxOutstanding; replies keep the requests' order. Ends when the client has sent all
// and has every reply. Deletes itself when gRPC is done with it.
class StreamInferCall final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // More than a client needs to keep every worker busy; when reached, reading stops until a reply is written.
  static constexpr size_t kMaxOutstanding = 128;

  StreamInferCall(const InferContext& context, absl::Time deadline);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { delete this; }

 private:
  struct Item {
    explicit Item(const InferContext& context) : execution(context, ReplyKind::kStream) {}
    std::atomic<bool> cancelled{false};
    InferExecution execution;
    grpc::ByteBuffer reply;
    bool answered = false;
  };

  void OnAnswer(Item* item, grpc::ByteBuffer reply);
  // Starts whatever can go on: a read, a write, or the end.
  void Continue();

  const InferContext context_;
  const absl::Time deadline_;
  grpc::ByteBuffer request_;  // being read

  absl::Mutex mutex_;
  std::deque<std::unique_ptr<Item>> items_ ABSL_GUARDED_BY(mutex_);  // in order of requests; the first is being written
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool no_more_reads_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;  // cancelled, or a write failed: replies are dropped
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_INFER_CALLS_H_
