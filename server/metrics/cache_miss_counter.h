#ifndef PRECIS_SERVER_METRICS_CACHE_MISS_COUNTER_H_
#define PRECIS_SERVER_METRICS_CACHE_MISS_COUNTER_H_

#include <cstdint>
#include <optional>

namespace precis::server {

// Bytes that a thread, and those that it starts later, fetched from main memory: the CPU's count of last-level cache misses
// times the cache line, as perf_event_open(2) gives it. Virtual machines and containers often offer no such counter.
class CacheMissCounter {
 public:
  // For the calling thread. `type` and `config` are perf_event_attr's; the defaults are PERF_TYPE_HARDWARE and
  // PERF_COUNT_HW_CACHE_MISSES.
  CacheMissCounter();
  CacheMissCounter(uint32_t type, uint64_t config);
  CacheMissCounter(const CacheMissCounter&) = delete;
  CacheMissCounter& operator=(const CacheMissCounter&) = delete;
  ~CacheMissCounter();

  // Since it was made; none where there is no counter.
  std::optional<uint64_t> Bytes() const;

 private:
  const int fd_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_METRICS_CACHE_MISS_COUNTER_H_
