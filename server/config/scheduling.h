#ifndef PRECIS_SERVER_CONFIG_SCHEDULING_H_
#define PRECIS_SERVER_CONFIG_SCHEDULING_H_

// How a model's requests wait and run: what config.pbtxt says under max_batch_size, dynamic_batching and instance_group, as
// values. The knobs mean what Triton's mean:
// https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/batcher.html#dynamic-batcher

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "inference/model_config.pb.h"

namespace precis::server {

// Of the requests of one priority level.
struct QueuePolicy {
  bool delay_when_expired = false;  // runs after the others of its level instead of being refused
  absl::Duration default_timeout = absl::InfiniteDuration();  // in the queue
  bool allow_timeout_override = true;                         // a request may ask for less
  size_t max_size = SIZE_MAX;                                 // requests that wait
};

struct Scheduling {
  int workers = 0;             // runs at once; 0: the server's choice
  int64_t max_batch_size = 0;  // above 0: dimension 0 of every tensor counts items
  // Requests are joined into one run. Without it each runs by itself.
  bool dynamic_batching = false;
  std::vector<int64_t> preferred_batch_sizes;  // ascending
  absl::Duration max_queue_delay;              // how long a request may wait for others to join it
  bool preserve_ordering = false;              // answers leave in the order of the requests
  std::vector<QueuePolicy> levels = {{}};      // the most urgent first
  size_t default_level = 0;                    // of requests that name none

  // Level of a request's `priority` parameter, in which 1 is the most urgent; 0, and what is out of range, is the default.
  size_t LevelOf(uint64_t priority) const;
  // How long a request that asks for `timeout` (infinite: it does not ask) may wait in its level.
  absl::Duration TimeoutOf(size_t level, absl::Duration timeout) const;
};

// Errors: InvalidArgument names the field of config.pbtxt and what it may be.
absl::StatusOr<Scheduling> MakeScheduling(const inference::ModelConfig& config);

// Runs at once and the threads of each.
struct Parallelism {
  int workers = 1, threads = 1;
};

// Workers times threads is the number of cores: whichever of the two is given (above 0), the other one follows. Neither: one
// thread for each of as many workers as there are cores, which answers the most requests per second; one worker on all cores
// answers a lone request soonest.
Parallelism ChooseParallelism(int cores, int workers, int threads);

}  // namespace precis::server

#endif  // PRECIS_SERVER_CONFIG_SCHEDULING_H_
