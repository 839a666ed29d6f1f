#ifndef PRECIS_SERVER_BATCHING_BATCH_PLAN_H_
#define PRECIS_SERVER_BATCHING_BATCH_PLAN_H_

// Which batch sizes a variant runs at, and how any number of items is made of them.
//
// On a CPU a larger batch is not faster in itself: a network that is bound by arithmetic gains nothing and loses its caches, one
// that is bound by reading weights gains almost the whole factor. And oneDNN may choose another kernel for another size, whose
// float sums end in other bits. So both are measured when the variant is loaded, and only sizes that answer every item with the
// same bits are used together: what a request gets never depends on the requests that it met.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/model.h"

namespace precis::server {

class BatchPlan {
 public:
  // What one size showed.
  struct Measured {
    int64_t size = 0;
    absl::Duration time;  // of one run, the least of several
    std::vector<Tensor>
        items;  // outputs, row i for probe item i; empty when an item's bits depend on its place in the batch
  };

  // For a model that does not batch: every request is one run, as it is.
  BatchPlan() = default;

  // Compiles and measures sizes from 1 up to `max_size`: powers of two and `preferred`, as long as they pay. Plans that will not
  // be used are dropped. Takes a few runs of each size. Errors: the engine's.
  static absl::StatusOr<BatchPlan> Measure(const Variant& variant, int64_t max_size,
                                           const std::vector<int64_t>& preferred);
  // The decision alone, from sizes in ascending order, the first of which is 1. `why_only_one`: why no other size was measured, where none was
  // to be.
  static BatchPlan Choose(const std::vector<Measured>& measured, int64_t max_size,
                          const std::string& why_only_one = "");

  // Sizes of the runs, in order, that together take `items` (1 to max_size) items; the last one may be padded.
  const std::vector<int64_t>& Runs(int64_t items) const { return runs_[static_cast<size_t>(items)]; }
  // Whether inputs of this shape, but for the batch, are those that were measured. Others run item by item.
  bool Covers(const std::vector<TensorView>& inputs) const;
  bool batches() const { return !runs_.empty(); }
  // The size with the least time per item; above 1 when joining requests pays.
  int64_t best_size() const { return sizes_.empty() ? 1 : sizes_.back(); }
  // Sizes in use, ascending.
  const std::vector<int64_t>& sizes() const { return sizes_; }
  // One sentence for the log.
  const std::string& reason() const { return reason_; }

 private:
  std::vector<int64_t> sizes_;
  std::vector<std::vector<int64_t>> runs_;  // by number of items; empty: as it is
  std::vector<Shape> item_shapes_;
  std::string reason_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_BATCHING_BATCH_PLAN_H_
