#ifndef PRECIS_LOADTEST_RECORDER_H_
#define PRECIS_LOADTEST_RECORDER_H_

// What happened, by time windows. A call belongs to the window in which it was meant to begin, so that calls which a stalled
// server delays are missing nowhere (no coordinated omission); only throughput counts answers where they arrive.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "loadtest/latency_histogram.h"

namespace precis::loadtest {

using Clock = std::chrono::steady_clock;

// Sums over calls; they add up.
struct Tally {
  int64_t calls = 0;                               // that began here; each is counted once, whatever its retries
  int64_t ended = 0;                               // of these
  int64_t answers = 0;                             // OK replies that arrived here
  int64_t retries = 0;                             // attempts beyond each call's first
  std::map<std::string, int64_t> errors;           // calls that failed, by gRPC code ("UNAVAILABLE")
  std::map<std::string, std::string> first_error;  // a message of each code
  LatencyHistogram latency;                        // of the calls that succeeded, from the intended beginning, ns
  LatencyHistogram send_delay;                     // how late the load generator itself was, ns

  int64_t failed() const;
  void Merge(const Tally& other);
};

// Not thread-safe.
class Recorder {
 public:
  // Windows follow each other from `begin`; what is before it is warm-up.
  Recorder(Clock::time_point begin, Clock::duration window);

  void Began(Clock::time_point intended, Clock::time_point actual);
  // `code` empty: it succeeded. `intended` as it was given to Began.
  void Ended(Clock::time_point intended, Clock::time_point now, const std::string& code, const std::string& message,
             int retries);

  // Windows that lie wholly before `now`.
  int WindowsBefore(Clock::time_point now) const;
  // Every call that began in windows [first, last) has ended.
  bool AllEnded(int first, int last) const;

  // Window `index`, or nothing happened there yet.
  const Tally& Window(int index) const;
  // The sum of windows [first, last).
  Tally Sum(int first, int last) const;
  // Everything outside of [first, last): warm-up and windows that are not reported.
  Tally Outside(int first, int last) const;

 private:
  int IndexOf(Clock::time_point time) const;  // -1: warm-up
  Tally& At(int index);

  const Clock::time_point begin_;
  const Clock::duration window_;
  Tally warmup_;
  std::vector<Tally> windows_;
};

// The name of a gRPC status code as the specification spells it: "DEADLINE_EXCEEDED"; empty for OK.
std::string CodeName(int code);

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_RECORDER_H_
