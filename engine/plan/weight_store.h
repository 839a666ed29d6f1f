#ifndef PRECIS_ENGINE_PLAN_WEIGHT_STORE_H_
#define PRECIS_ENGINE_PLAN_WEIGHT_STORE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace precis::plan {

// 64-byte aligned memory that lives as long as someone holds it. Large blocks are advised to use huge pages: weights are streamed through
// once per run, and the fewer TLB misses show (see ARCHITECTURE.md). Throws std::bad_alloc.
std::shared_ptr<void> AllocateAligned(size_t size_bytes);

// Packed weights of one variant, side by side in large blocks, shared by its plans for different input shapes. Entries die with the last plan that holds them.
// Thread-safe.
class WeightStore {
 public:
  // The entry under `key` if some plan still holds it, else the result of `make`, remembered.
  std::shared_ptr<const void> GetOrMake(const std::string& key,
                                        const std::function<std::shared_ptr<const void>()>& make);

  // Memory for packed weights, 64-byte aligned: of blocks that huge pages back, however small the piece. A block lives as long as some
  // piece of it. Throws std::bad_alloc.
  std::shared_ptr<void> Allocate(size_t size_bytes);

 private:
  absl::Mutex mutex_;
  std::shared_ptr<void> block_ ABSL_GUARDED_BY(mutex_);  // the one being filled
  size_t block_used_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, std::weak_ptr<const void>> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_WEIGHT_STORE_H_
