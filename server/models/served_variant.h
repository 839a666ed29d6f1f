#ifndef PRECIS_SERVER_MODELS_SERVED_VARIANT_H_
#define PRECIS_SERVER_MODELS_SERVED_VARIANT_H_

// A loaded variant with everything that serves it, and the pin that keeps it loaded.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "engine/model.h"
#include "inference/model_config.pb.h"
#include "server/batching/worker_pool.h"
#include "server/config/model_config.h"
#include "server/drift/drift_monitor.h"
#include "server/metrics/server_metrics.h"
#include "server/models/statistics.h"

namespace precis::server {

class VariantPin;

// Thread-safe. Lives until its last pin is gone.
class ServedVariant {
 public:
  std::string model;
  int64_t version = 0;
  std::string version_text;  // "1"
  std::string name;          // "int8"
  std::shared_ptr<const Variant> variant;
  Signature signature;
  inference::ModelConfig config;  // complete
  std::unique_ptr<WorkerPool> pool;
  VariantMetrics* metrics = nullptr;  // never null once served
  Statistics statistics;
  std::shared_ptr<DriftRecord> drift;  // never null once served

  // A share of this variant's requests that is run again on another one.
  struct Shadow {
    ShadowRun run;
    double rate = 0;
  };
  std::vector<Shadow> shadows;             // guarded by the store's mutex
  std::atomic<uint64_t> shadow_count = 0;  // requests that `shadows` were asked about

  // Blocks until no pin is held. Nobody may pin it any more.
  void AwaitUnpinned();

 private:
  friend class VariantPin;
  bool Unpinned() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return pins_ == 0; }

  absl::Mutex mutex_;
  int pins_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Holds a variant loaded: an unload waits until the last pin is gone. Movable; empty after a move. Not to outlive the store.
class VariantPin {
 public:
  VariantPin() = default;
  explicit VariantPin(ServedVariant* served);
  VariantPin(VariantPin&& other) noexcept : served_(std::exchange(other.served_, nullptr)) {}
  VariantPin& operator=(VariantPin&& other) noexcept {
    std::swap(served_, other.served_);
    return *this;
  }
  ~VariantPin();

  ServedVariant* operator->() const { return served_; }
  ServedVariant& operator*() const { return *served_; }

 private:
  ServedVariant* served_ = nullptr;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_MODELS_SERVED_VARIANT_H_
