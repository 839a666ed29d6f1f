#ifndef PRECIS_ENGINE_PLAN_THREADS_H_
#define PRECIS_ENGINE_PLAN_THREADS_H_

#include <omp.h>

namespace precis::plan {

// oneDNN sizes its work by OpenMP's thread count of the calling thread, when a primitive is made and when it runs: both must be under a scope of the
// plan's count. Restores the caller's count at the end.
class ThreadCountScope {
 public:
  explicit ThreadCountScope(int threads) : before_(omp_get_max_threads()) { Set(threads); }
  ~ThreadCountScope() { Set(before_); }
  ThreadCountScope(const ThreadCountScope&) = delete;
  ThreadCountScope& operator=(const ThreadCountScope&) = delete;

 private:
  static void Set(int threads) {
    if (omp_get_max_threads() != threads) omp_set_num_threads(threads);
  }
  const int before_;
};

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_THREADS_H_
