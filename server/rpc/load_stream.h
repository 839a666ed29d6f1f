#ifndef PRECIS_SERVER_RPC_LOAD_STREAM_H_
#define PRECIS_SERVER_RPC_LOAD_STREAM_H_

#include <deque>
#include <memory>
#include <string>

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
  // Says QUEUED.
  static std::shared_ptr<LoadStream> Create();

  // `fraction` of a phase is done. Messages that would wait behind an unwritten one of the same phase replace it.
  void Report(v1::LoadVariantProgress::Phase phase, double fraction);
  // Once, the last call: DONE with `variant`, or the error.
  void End(const absl::Status& status, const v1::VariantStatus& variant);

  void OnWriteDone(bool ok) override;
  void OnCancel() override {}  // the writes fail, and Continue finishes
  void OnDone() override { self_.reset(); }

 private:
  LoadStream() = default;
  void Push(v1::LoadVariantProgress message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Continue();

  const absl::Time start_ = absl::Now();
  std::shared_ptr<LoadStream> self_;  // until OnDone

  absl::Mutex mutex_;
  std::deque<v1::LoadVariantProgress> messages_ ABSL_GUARDED_BY(mutex_);  // the first is being written while writing_
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;  // the caller has left
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_LOAD_STREAM_H_
