#ifndef PRECIS_SERVER_RPC_LOAD_STREAM_H_
#define PRECIS_SERVER_RPC_LOAD_STREAM_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "precis/v1/precision_service.pb.h"

namespace precis::server {

// The reactor of LoadVariant. The load reports into it from a load thread, and goes on without it when the caller has left:
// so it lives until both gRPC and the load have let it go. Thread-safe.
class LoadStream final : public grpc::ServerWriteReactor<v1::LoadVariantProgress> {
 public:
  // Says QUEUED. `on_cancel` is called when the caller leaves before the end.
  static std::shared_ptr<LoadStream> Create(std::function<void()> on_cancel);

  // `fraction` of a phase is done. Messages that would wait behind an unwritten one of the same phase replace it; of a phase that is
  // further already nothing is said.
  void Report(v1::LoadVariantProgress::Phase phase, double fraction, const std::string& detail = "");
  // Once, the last call: DONE with `variant`, or the error.
  void End(const absl::Status& status, const v1::VariantStatus& variant);

  void OnWriteDone(bool ok) override;
  void OnCancel() override { on_cancel_(); }  // the writes fail, and Continue finishes
  void OnDone() override { self_.reset(); }

 private:
  explicit LoadStream(std::function<void()> on_cancel) : on_cancel_(std::move(on_cancel)) {}
  void Push(v1::LoadVariantProgress message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Continue();

  const absl::Time start_ = absl::Now();
  const std::function<void()> on_cancel_;
  std::shared_ptr<LoadStream> self_;  // until OnDone

  absl::Mutex mutex_;
  std::deque<v1::LoadVariantProgress> messages_ ABSL_GUARDED_BY(mutex_);  // the first is being written while writing_
  v1::LoadVariantProgress last_ ABSL_GUARDED_BY(mutex_);                  // reported
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;  // the caller has left
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_LOAD_STREAM_H_
