#ifndef PRECIS_SERVER_MODELS_LIVE_SAMPLES_H_
#define PRECIS_SERVER_MODELS_LIVE_SAMPLES_H_

// Inputs of answered requests, taken for loads that calibrate on live traffic.
//
// A request costs one look at an atomic while no load waits; while one does, a copy of its inputs if they are taken.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "engine/tensor/tensor.h"
#include "server/config/signature.h"

namespace precis::server {

// What one load takes. Samples have one shape: the first of which there are enough, as requests of other shapes cannot be calibrated on
// together. Ends once, with samples or an error. Thread-safe.
class LiveCollection {
 public:
  using Sample = std::vector<Tensor>;  // the model's inputs, in the engine's order

  struct Options {
    std::string model, variant;
    int64_t version = 0;
    Signature signature;  // of the model that is loaded
    bool items_are_samples =
        false;          // the first dimension of every input is free: it counts samples, as in calibration files
    int64_t limit = 0;  // samples that are enough; at least 1
    size_t most_bytes = 256 << 20;  // of all samples taken: those of the commonest shape are enough then
    std::function<void(int64_t taken)> on_progress;        // may be null; from several threads, not always in order
    std::shared_ptr<const std::atomic<bool>> caller_gone;  // may be null: nobody can leave
    absl::AnyInvocable<void(absl::StatusOr<std::vector<Sample>>)> done;  // once, on the thread that ends it
  };

  explicit LiveCollection(Options options) : options_(std::move(options)) {}

  const std::string& model() const { return options_.model; }
  const std::string& variant() const { return options_.variant; }
  int64_t version() const { return options_.version; }
  const Signature& signature() const { return options_.signature; }
  int64_t limit() const { return options_.limit; }
  // Of the commonest shape.
  int64_t taken() const;
  bool ended() const;
  bool caller_gone() const { return options_.caller_gone != nullptr && options_.caller_gone->load(); }

  // Takes the inputs of a request, which fit the signature: one sample, or one for each item. Takes nothing that holds NaN or infinity, and
  // nothing once ended. True: that was the last sample wanted, and the caller is to End it.
  [[nodiscard]] bool Offer(const std::vector<TensorView>& inputs);

  // Reports progress, if it has not ended.
  void Announce() const;

  // Calls `done` with the samples if `status` is ok and else with it; without effect the second time.
  void End(const absl::Status& status);

 private:
  using Shapes = std::vector<Shape>;
  int64_t ItemsOf(const std::vector<TensorView>& inputs) const;

  Options options_;  // `done` is guarded by mutex_
  mutable absl::Mutex mutex_;
  std::map<Shapes, std::vector<Sample>> samples_ ABSL_GUARDED_BY(mutex_);
  int64_t taken_ ABSL_GUARDED_BY(mutex_) = 0;  // of the commonest shape
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool full_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

// The collections under way. Thread-safe.
class LiveSamples {
 public:
  // At once; each holds samples in memory.
  static constexpr size_t kMostCollections = 8;

  // Whether any request is to be offered. Never waits.
  bool wanted() const { return count_.load(std::memory_order_relaxed) > 0; }
  // Those that take requests of the model.
  std::vector<std::shared_ptr<LiveCollection>> Of(const std::string& model) const;
  // Gives a collection of Of a request's inputs, as LiveCollection::Offer takes them.
  void Offer(const std::shared_ptr<LiveCollection>& collection, const std::vector<TensorView>& inputs);

  // Errors: ResourceExhausted when too many are under way; what Close said. The collection has not ended then.
  absl::Status Begin(std::shared_ptr<LiveCollection> collection);
  // Ends those that `which` chooses with an error; returns how many.
  int EndIf(absl::FunctionRef<bool(const LiveCollection&)> which, const absl::Status& status);
  // Ends those whose caller has gone: to be called when one goes.
  void EndAbandoned();
  // Ends all with an error; none begins any more.
  void Close(const absl::Status& status);

 private:
  // False: it had been removed before.
  bool Remove(const LiveCollection& collection);

  std::atomic<size_t> count_ = 0;  // of collections_
  mutable absl::Mutex mutex_;
  std::vector<std::shared_ptr<LiveCollection>> collections_ ABSL_GUARDED_BY(mutex_);
  absl::Status closed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_MODELS_LIVE_SAMPLES_H_
