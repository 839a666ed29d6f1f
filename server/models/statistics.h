#ifndef PRECIS_SERVER_MODELS_STATISTICS_H_
#define PRECIS_SERVER_MODELS_STATISTICS_H_

// Sums since load, as ModelStatistics reports them.

#include <cstdint>
#include <map>
#include <span>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/metrics/server_metrics.h"

namespace precis::server {

// Plain sums; Add joins those of several variants.
struct StatisticsSnapshot {
  struct Sum {
    uint64_t count = 0;
    absl::Duration time;
    void Add(absl::Duration duration, uint64_t times = 1) { count += times, time += duration; }
    void Add(const Sum& other) { Add(other.time, other.count); }
  };
  struct Batch {
    Sum input, compute, output;
  };
  Sum success, fail, queue, input, compute, output;
  std::map<int64_t, Batch> batches;  // by the items of a run
  uint64_t inferences = 0;           // batch items
  uint64_t executions = 0;           // runs
  absl::Time last_inference = absl::UnixEpoch();

  void Add(const StatisticsSnapshot& other);
};

// Thread-safe.
class Statistics {
 public:
  // A request of `items` items; `runs` are the runs of the batch that it was the first of, else empty (JobResult::runs).
  void CountSuccess(const StageTimes& times, int64_t items, std::span<const int64_t> runs, absl::Time now);
  void CountFailure(absl::Duration total);
  StatisticsSnapshot Snapshot() const;

 private:
  mutable absl::Mutex mutex_;
  StatisticsSnapshot sums_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_MODELS_STATISTICS_H_
