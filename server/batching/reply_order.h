#ifndef PRECIS_SERVER_BATCHING_REPLY_ORDER_H_
#define PRECIS_SERVER_BATCHING_REPLY_ORDER_H_

#include <cstdint>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace precis::server {

// Gives answers out in the order of their tickets, whichever thread has them ready first. Thread-safe.
class ReplyOrder {
 public:
  // Tickets count from 0 and have no gaps.
  uint64_t NextTicket() {
    absl::MutexLock lock(&mutex_);
    return tickets_++;
  }

  // Calls `answer` as soon as those of all earlier tickets were called: now on this thread, or later on another one. Whoever
  // calls this keeps the object alive until it returns.
  void Answer(uint64_t ticket, absl::AnyInvocable<void()> answer) {
    mutex_.Lock();
    ready_.emplace(ticket, std::move(answer));
    if (!answering_) {
      answering_ = true;  // one thread at a time: the order of calls is that of the tickets
      for (auto first = ready_.begin(); first != ready_.end() && first->first == next_; first = ready_.begin()) {
        absl::AnyInvocable<void()> call = std::move(first->second);
        ready_.erase(first);
        ++next_;
        mutex_.Unlock();
        std::move(call)();
        mutex_.Lock();
      }
      answering_ = false;
    }
    mutex_.Unlock();
  }

 private:
  absl::Mutex mutex_;
  std::map<uint64_t, absl::AnyInvocable<void()>> ready_ ABSL_GUARDED_BY(mutex_);
  uint64_t tickets_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 0;  // to be answered
  bool answering_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_BATCHING_REPLY_ORDER_H_
