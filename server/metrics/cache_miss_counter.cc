#include "server/metrics/cache_miss_counter.h"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace precis::server {
namespace {

constexpr uint64_t kCacheLineBytes = 64;  // of every x86-64 CPU

int OpenCounter(uint32_t type, uint64_t config) {
  perf_event_attr attributes{};
  attributes.size = sizeof(attributes);
  attributes.type = type;
  attributes.config = config;
  attributes.inherit = 1;
  attributes.exclude_kernel = 1;  // allowed at perf_event_paranoid 2, the usual setting
  attributes.exclude_hv = 1;
  return static_cast<int>(
      syscall(SYS_perf_event_open, &attributes, /*pid=*/0, /*cpu=*/-1, /*group_fd=*/-1, PERF_FLAG_FD_CLOEXEC));
}

}  // namespace

CacheMissCounter::CacheMissCounter() : CacheMissCounter(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES) {}
CacheMissCounter::CacheMissCounter(uint32_t type, uint64_t config) : fd_(OpenCounter(type, config)) {}
CacheMissCounter::~CacheMissCounter() {
  if (fd_ >= 0) close(fd_);
}

std::optional<uint64_t> CacheMissCounter::Bytes() const {
  uint64_t events = 0;
  if (fd_ < 0 || read(fd_, &events, sizeof(events)) != sizeof(events)) return std::nullopt;
  return events * kCacheLineBytes;
}

}  // namespace precis::server
