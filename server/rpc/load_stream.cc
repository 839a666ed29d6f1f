#include "server/rpc/load_stream.h"

#include <utility>

#include "absl/time/clock.h"
#include "server/rpc/grpc_status.h"

namespace precis::server {

std::shared_ptr<LoadStream> LoadStream::Create(std::function<void()> on_cancel) {
  std::shared_ptr<LoadStream> stream(new LoadStream(std::move(on_cancel)));
  stream->self_ = stream;
  stream->Report(v1::LoadVariantProgress::QUEUED, 0);
  return stream;
}

void LoadStream::Push(v1::LoadVariantProgress message) {
  message.set_elapsed_ms(absl::ToDoubleMilliseconds(absl::Now() - start_));
  const size_t waiting = messages_.size() - (writing_ ? 1 : 0);
  if (waiting > 0 && messages_.back().phase() == message.phase()) {
    messages_.back() = std::move(message);
  } else {
    messages_.push_back(std::move(message));
  }
}

void LoadStream::Report(v1::LoadVariantProgress::Phase phase, double fraction, const std::string& detail) {
  {
    absl::MutexLock lock(&mutex_);
    if (broken_ || ended_) return;
    if (phase == last_.phase() && fraction < last_.fraction()) return;
    last_.set_phase(phase);
    last_.set_fraction(fraction);
    last_.set_detail(detail);
    Push(last_);
  }
  Continue();
}

void LoadStream::End(const absl::Status& status, const v1::VariantStatus& variant) {
  {
    absl::MutexLock lock(&mutex_);
    ended_ = true;
    status_ = status;
    if (status.ok() && !broken_) {
      v1::LoadVariantProgress message;
      message.set_phase(v1::LoadVariantProgress::DONE);
      message.set_fraction(1);
      *message.mutable_variant() = variant;
      Push(std::move(message));
    }
  }
  Continue();
}

void LoadStream::Continue() {
  const v1::LoadVariantProgress* write = nullptr;
  bool finish = false;
  grpc::Status status;
  {
    absl::MutexLock lock(&mutex_);
    if (finished_ || writing_) return;
    if (!broken_ && !messages_.empty()) {
      write = &messages_.front();
      writing_ = true;
    } else if (broken_ || ended_) {
      finish = finished_ = true;
      status = broken_ ? grpc::Status::CANCELLED : ToGrpcStatus(status_);
    }
  }
  if (write != nullptr) StartWrite(write);
  if (finish) Finish(status);
}

void LoadStream::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    messages_.pop_front();
    if (!ok) broken_ = true;
  }
  Continue();
}

}  // namespace precis::server
