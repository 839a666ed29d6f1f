// Shared packed weights: a map of weak references, and the aligned allocator behind plans and arenas.
#include "engine/plan/weight_store.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace precis::plan {

namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

std::shared_ptr<void> AllocateAligned(size_t size_bytes) {
  const size_t alignment = size_bytes >= kHugePage ? kHugePage : kCacheLine;
  const size_t rounded = (size_bytes + alignment) / alignment * alignment;
  void* p = std::aligned_alloc(alignment, rounded);
  if (p == nullptr) throw std::bad_alloc();
  if (alignment == kHugePage) madvise(p, rounded, MADV_HUGEPAGE);  // a hint: failure changes nothing
  return {p, std::free};
}

std::shared_ptr<void> WeightStore::Allocate(size_t size_bytes) {
  if (size_bytes >= kHugePage) return AllocateAligned(size_bytes);
  absl::MutexLock lock(&mutex_);
  const size_t rounded = (size_bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
  if (block_ == nullptr || block_used_ + rounded > kHugePage) {
    block_ = AllocateAligned(kHugePage);
    block_used_ = 0;
  }
  std::shared_ptr<void> piece(block_, static_cast<char*>(block_.get()) + block_used_);
  block_used_ += rounded;
  return piece;
}

std::shared_ptr<const void> WeightStore::GetOrMake(const std::string& key,
                                                   const std::function<std::shared_ptr<const void>()>& make) {
  {
    absl::MutexLock lock(&mutex_);
    if (auto it = entries_.find(key); it != entries_.end()) {
      if (auto alive = it->second.lock()) return alive;
    }
  }
  std::shared_ptr<const void> made = make();
  absl::MutexLock lock(&mutex_);
  absl::erase_if(entries_, [](const auto& entry) { return entry.second.expired(); });  // those of plans that are gone
  entries_[key] = made;
  return made;
}

}  // namespace precis::plan
