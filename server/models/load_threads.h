#ifndef PRECIS_SERVER_MODELS_LOAD_THREADS_H_
#define PRECIS_SERVER_MODELS_LOAD_THREADS_H_

#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace precis::server {

// A fixed number of threads that run tasks in order of arrival: the cap on what loading may take from serving. Thread-safe.
class LoadThreads {
 public:
  // Called exactly once, on a load thread: with true to do its work, with false when there will be no chance to.
  using Task = absl::AnyInvocable<void(bool run)>;

  explicit LoadThreads(int threads);
  // As Stop.
  ~LoadThreads();

  // After Stop the task is called with false, on this thread.
  void Run(Task task);

  // Finishes running tasks, calls those that wait with false, joins. Not to be called from a task. Idempotent.
  void Stop();

 private:
  void Loop();
  bool HasNews() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || !tasks_.empty(); }

  absl::Mutex mutex_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_MODELS_LOAD_THREADS_H_
