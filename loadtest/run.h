#ifndef PRECIS_LOADTEST_RUN_H_
#define PRECIS_LOADTEST_RUN_H_

// One run: load of one kind on one server, warm-up, measurement, and the verdict whether it was stable.

#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <span>
#include <vector>

#include "loadtest/arrivals.h"
#include "loadtest/infer_caller.h"
#include "loadtest/recorder.h"

namespace precis::loadtest {

// Exactly one of `concurrency` and `rate` is above 0.
struct Load {
  int concurrency = 0;  // closed loop: so many clients, each of which waits for its answer
  double rate = 0;      // open loop: calls per second, whether or not the server keeps up
  Arrivals arrivals = Arrivals::kPoisson;
  uint64_t seed = 1;
  int max_in_flight =
      10000;  // an open loop holds back beyond; latencies count from the intended beginning all the same
};

struct RunOptions {
  Clock::duration warmup = std::chrono::seconds(2);
  Clock::duration duration = std::chrono::seconds(10);  // what the result covers
  Clock::duration window{};                             // at most `duration`; 0: a third of it
  // Above `duration`: measures on until the last three windows agree, or this long, and reports the last `duration`.
  Clock::duration until_stable{};
  double stability = 0.1;  // three windows agree: throughput and mean latency of each are this close to their mean
};

struct RunResult {
  Tally total;
  Tally outside;  // warm-up, and what is not reported
  std::vector<Tally> windows;
  double seconds = 0;  // that `total` covers
  double window_seconds = 0;
  bool stable = false;       // the last three windows agree
  bool interrupted = false;  // it was ended early

  double throughput() const { return seconds > 0 ? static_cast<double>(total.answers) / seconds : 0; }
};

// What has happened up to now, for a progress bar.
struct Progress {
  double fraction = 0;  // of the run, warm-up included
  bool warming_up = false;
  double throughput = 0;  // answers per second since the measurement began
  int64_t in_flight = 0, failed = 0;
};

// True when throughput and mean latency of the three windows are each within `tolerance` of their mean, relative to it, and
// every window has answers.
bool Agree(std::span<const Tally> three, double tolerance);

// Sends `requests` in turn. `report` (may be empty) is called a few times a second on this thread. `stop` set to true ends
// the run early: the result covers what was measured until then. Every call has ended when it returns.
RunResult Run(InferCaller& caller, std::span<const grpc::ByteBuffer> requests, const Load& load,
              const RunOptions& options, const std::function<void(const Progress&)>& report,
              const std::atomic<bool>& stop);

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_RUN_H_
