// As STREAM (McCalpin 1995) does, but reading only: inference streams weights, it hardly writes. Sixteen independent sums
// keep enough loads in flight in plain C++.

#include "server/metrics/memory_bandwidth.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace precis::server {
namespace {

constexpr long kMinBufferBytes = 64L << 20, kMaxBufferBytes = 256L << 20;
constexpr long kBufferOverCache = 4;  // so that a sweep finds little of the one before in the last-level cache
constexpr int kSweeps = 3;
constexpr size_t kLanes = 16;

uint64_t SumWords(const uint64_t* words, size_t count) {
  uint64_t sums[kLanes] = {};
  for (size_t i = 0; i + kLanes <= count; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += words[i + lane];
  }
  uint64_t sum = 0;
  for (uint64_t lane_sum : sums) sum += lane_sum;
  return sum;
}

}  // namespace

double MeasureReadBandwidth(int threads) {
  threads = std::max(1, threads);
  const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);  // 0 or -1 where unknown
  const auto buffer_bytes = static_cast<size_t>(std::clamp(kBufferOverCache * cache, kMinBufferBytes, kMaxBufferBytes));
  const size_t words_per_thread = buffer_bytes / sizeof(uint64_t) / static_cast<size_t>(threads);
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  const size_t words = words_per_thread * static_cast<size_t>(threads);
  const std::unique_ptr<uint64_t, Free> buffer(static_cast<uint64_t*>(std::malloc(words * sizeof(uint64_t))));
  if (buffer == nullptr) return 0;
  std::vector<double> seconds(static_cast<size_t>(threads) * kSweeps);
  std::vector<uint64_t> sums(static_cast<size_t>(threads));
  const auto sweep = [&](size_t thread) {
    uint64_t* part = buffer.get() + thread * words_per_thread;
    std::fill_n(part, words_per_thread, thread);  // touches the pages on the thread that reads them
    for (size_t i = 0; i < kSweeps; ++i) {
      const absl::Time start = absl::Now();
      sums[thread] += SumWords(part, words_per_thread);
      seconds[thread * kSweeps + i] = absl::ToDoubleSeconds(absl::Now() - start);
    }
  };
  std::vector<std::thread> workers;
  for (size_t thread = 0; thread < static_cast<size_t>(threads); ++thread) workers.emplace_back(sweep, thread);
  for (std::thread& worker : workers) worker.join();
  // The sums are used, so that the reads are not optimised away: all equal words make their parity known, never 2^64 - 1.
  if (sums[0] == UINT64_MAX) return 0;
  double best = 0;
  for (size_t i = 0; i < kSweeps; ++i) {  // sweep i of all threads ran at about the same time; the slowest one counts
    double slowest = 0;
    for (size_t thread = 0; thread < static_cast<size_t>(threads); ++thread) {
      slowest = std::max(slowest, seconds[thread * kSweeps + i]);
    }
    if (slowest > 0) best = std::max(best, static_cast<double>(words * sizeof(uint64_t)) / slowest);
  }
  return best;
}

}  // namespace precis::server
