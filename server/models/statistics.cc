#include "server/models/statistics.h"

#include <algorithm>
#include <numeric>

namespace precis::server {

void StatisticsSnapshot::Add(const StatisticsSnapshot& other) {
  success.Add(other.success);
  fail.Add(other.fail);
  queue.Add(other.queue);
  input.Add(other.input);
  compute.Add(other.compute);
  output.Add(other.output);
  for (const auto& [size, batch] : other.batches) {
    batches[size].input.Add(batch.input);
    batches[size].compute.Add(batch.compute);
    batches[size].output.Add(batch.output);
  }
  inferences += other.inferences;
  executions += other.executions;
  last_inference = std::max(last_inference, other.last_inference);
}

void Statistics::CountSuccess(const StageTimes& times, int64_t items, std::span<const int64_t> runs, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  sums_.success.Add(times.total);
  sums_.queue.Add(times.queue);
  sums_.input.Add(times.input);
  sums_.compute.Add(times.compute);
  sums_.output.Add(times.output);
  sums_.inferences += static_cast<uint64_t>(items);
  sums_.executions += runs.size();
  const int64_t items_run = std::accumulate(runs.begin(), runs.end(), int64_t{0});
  for (const int64_t size : runs) {  // the batch's time is shared out by items
    const double share = static_cast<double>(size) / static_cast<double>(items_run);
    StatisticsSnapshot::Batch& batch = sums_.batches[size];
    batch.input.Add(share * times.input);
    batch.compute.Add(share * times.compute);
    batch.output.Add(share * times.output);
  }
  sums_.last_inference = std::max(sums_.last_inference, now);
}

void Statistics::CountFailure(absl::Duration total) {
  absl::MutexLock lock(&mutex_);
  sums_.fail.Add(total);
}

StatisticsSnapshot Statistics::Snapshot() const {
  absl::MutexLock lock(&mutex_);
  return sums_;
}

}  // namespace precis::server
