#include "server/metrics/cache_miss_counter.h"

#include <linux/perf_event.h>
#include <sys/mman.h>

#include "gtest/gtest.h"

namespace precis::server {
namespace {

// Page faults stand in for cache misses: the kernel counts them on every machine that lets a process count at all.
TEST(CacheMissCounterTest, CountsTheEventsOfThisThread) {
  const CacheMissCounter counter(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS);
  const auto before = counter.Bytes();
  if (!before.has_value()) GTEST_SKIP() << "perf_event_open is not permitted here";
  constexpr size_t kPages = 64, kPage = 4096;
  auto* memory = static_cast<volatile char*>(
      mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  for (size_t i = 0; i < kPages; ++i) memory[i * kPage] = 1;
  EXPECT_GE(*counter.Bytes() - *before, 1U * 64);
  munmap(const_cast<char*>(memory), kPages * kPage);
}

TEST(CacheMissCounterTest, HasNothingToSayWhereThereIsNoSuchCounter) {
  EXPECT_FALSE(CacheMissCounter(UINT32_MAX, 0).Bytes().has_value());
}

}  // namespace
}  // namespace precis::server
