#include "server/rpc/infer_calls.h"

#include <utility>

#include "server/rpc/grpc_status.h"

namespace precis::server {

grpc::ServerUnaryReactor* StartUnaryInfer(const InferContext& context, grpc::CallbackServerContext* call,
                                          grpc::ByteBuffer* request, grpc::ByteBuffer* reply) {
  grpc::ServerUnaryReactor* const reactor = call->DefaultReactor();
  auto* const execution = new InferExecution(context, ReplyKind::kUnary);
  execution->Start(
      request, absl::FromChrono(call->deadline()), [call] { return call->IsCancelled(); },
      [execution, reactor, reply](absl::Status status, grpc::ByteBuffer bytes) {
        reply->Swap(&bytes);
        reactor->Finish(ToGrpcStatus(status));
        delete execution;
      });
  return reactor;
}

StreamInferCall::StreamInferCall(const InferContext& context, absl::Time deadline)
    : context_(context), deadline_(deadline) {
  Continue();
}

void StreamInferCall::Continue() {
  Item* write = nullptr;
  bool read = false, finish = false;
  grpc::Status status;
  {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
    // Replies of a broken stream go nowhere, but every execution must have answered before the end.
    while (broken_ && !writing_ && !items_.empty() && items_.front()->answered) items_.pop_front();
    if (!broken_ && !writing_ && !items_.empty() && items_.front()->answered) {
      write = items_.front().get();
      writing_ = true;
    }
    if (!no_more_reads_ && !reading_ && items_.size() < kMaxOutstanding) read = reading_ = true;
    if (no_more_reads_ && items_.empty()) {
      finish = finished_ = true;
      if (broken_) status = grpc::Status(grpc::StatusCode::CANCELLED, "the stream is broken");
    }
  }
  if (write != nullptr) StartWrite(&write->reply);
  if (read) StartRead(&request_);
  if (finish) Finish(status);
}

void StreamInferCall::OnReadDone(bool ok) {
  Item* item = nullptr;
  grpc::ByteBuffer request;
  {
    absl::MutexLock lock(&mutex_);
    reading_ = false;
    if (ok) {
      request.Swap(&request_);
      items_.push_back(std::make_unique<Item>(context_));
      item = items_.back().get();
      if (broken_) item->cancelled = true;
    } else {
      no_more_reads_ = true;
    }
  }
  if (item != nullptr) {
    const auto cancelled = [item] { return item->cancelled.load(std::memory_order_relaxed); };
    item->execution.Start(&request, deadline_, cancelled, [this, item](const absl::Status&, grpc::ByteBuffer reply) {
      OnAnswer(item, std::move(reply));
    });
  }
  Continue();
}

void StreamInferCall::OnAnswer(Item* item, grpc::ByteBuffer reply) {
  {
    absl::MutexLock lock(&mutex_);
    item->reply.Swap(&reply);
    item->answered = true;
  }
  Continue();
}

void StreamInferCall::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    items_.pop_front();
    if (!ok) broken_ = true;
  }
  Continue();
}

void StreamInferCall::OnCancel() {
  absl::MutexLock lock(&mutex_);
  broken_ = true;
  for (const auto& item : items_) item->cancelled = true;
}

}  // namespace precis::server
