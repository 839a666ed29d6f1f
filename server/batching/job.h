#ifndef PRECIS_SERVER_BATCHING_JOB_H_
#define PRECIS_SERVER_BATCHING_JOB_H_

// One request on its way through a variant's queue, and its answer.

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/tensor/tensor.h"

namespace precis::server {

// Items of each run of the model; of a padded run only those that somebody asked for.
using RunSizes = std::vector<int64_t>;

struct JobResult {
  absl::Status status;
  std::vector<Tensor> outputs;              // when ok
  absl::Time submitted, started, finished;  // `started` and `finished` are equal when it did not run
  RunSizes runs;  // of the batch that this job was in; empty for all of its jobs but the first
};

struct Job {
  std::vector<TensorView> inputs;                     // borrowed until `done` is called
  int64_t batch_size = 1;                             // items: dimension 0 of every input where the model batches
  uint64_t priority = 0;                              // as in requests: 1 is the most urgent, 0 the default
  absl::Duration timeout = absl::InfiniteDuration();  // in the queue, as far as the queue's policy lets a job choose
  absl::Time deadline = absl::InfiniteFuture();
  std::function<bool()> cancelled;           // may be empty; called on any thread, at any time before `done`
  absl::AnyInvocable<void(JobResult)> done;  // on a worker, or inside Submit
  absl::Time submitted;                      // set by Submit
};

// Why the job must not run at time `now`; OK when it may.
absl::Status WhyNot(const Job& job, absl::Time now);

}  // namespace precis::server

#endif  // PRECIS_SERVER_BATCHING_JOB_H_
