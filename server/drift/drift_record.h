#ifndef PRECIS_SERVER_DRIFT_DRIFT_RECORD_H_
#define PRECIS_SERVER_DRIFT_DRIFT_RECORD_H_

// One loaded variant as the drift monitor knows it: what runs it, and what was found of its drift since it was loaded.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/model.h"
#include "precis/v1/policy.pb.h"
#include "server/drift/drift_sums.h"
#include "server/drift/sliding_windows.h"
#include "server/metrics/server_metrics.h"

namespace precis::server {

// The inputs of a variant's layers are looked at once in so many of its samples.
inline constexpr int64_t kProbeEvery = 4;

// Thread-safe.
class DriftRecord {
 public:
  struct Names {
    std::string model;
    int64_t version = 0;
    std::string variant, baseline;
  };
  // Everything at one moment.
  struct Report {
    struct Window {
      absl::Duration length;  // infinite: since the load
      DriftSums sums;
    };
    std::vector<Window> windows;     // a minute, ten minutes, since the load
    std::vector<LayerInput> layers;  // of the sums' layers
    int64_t dropped = 0;
    bool alarm = false;
    std::string alarm_reason;
  };
  enum class Change { kNone, kRaised, kCleared };

  // `metrics` may be null. An alert without limits never raises the alarm.
  DriftRecord(Names names, std::shared_ptr<const Variant> variant, v1::DriftAlert alert, VariantMetrics* metrics);

  const Names& names() const { return names_; }
  const v1::DriftAlert& alert() const { return alert_; }

  // Null after Close.
  std::shared_ptr<const Variant> variant() const;
  // The variant is being unloaded: it must not be run any more.
  void Close();
  bool closed() const { return closed_.load(); }

  // The layers that DriftSums::layers speak of. Once, before the first of them is added.
  void SetLayers(std::vector<LayerInput> layers);
  // Says whether the alarm has changed.
  Change Add(const DriftSums& sums, absl::Time now);
  // Never waits.
  void CountDropped();

  Report Snapshot(absl::Time now) const;
  // Never waits.
  bool alarm() const { return alarm_.load(); }

 private:
  void ShowLocked(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetAlarmLocked(std::string reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Change JudgeLocked(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Names names_;
  const v1::DriftAlert alert_;
  VariantMetrics* const metrics_;
  std::atomic<bool> closed_ = false, alarm_ = false;
  std::atomic<int64_t> dropped_ = 0;

  mutable absl::Mutex mutex_;
  std::shared_ptr<const Variant> variant_ ABSL_GUARDED_BY(mutex_);
  std::vector<LayerInput> layers_ ABSL_GUARDED_BY(mutex_);
  SlidingWindows<DriftSums> windows_ ABSL_GUARDED_BY(mutex_);
  std::string alarm_reason_ ABSL_GUARDED_BY(mutex_);  // empty: no alarm
};

// The population stability index of a layer's numbers against calibration's: sum of (p - q) ln(p / q) over the intervals. 0 for equal
// distributions; nothing when calibration's is not known.
std::optional<double> StabilityIndex(const LayerInput& layer, const LayerInputCounts& counts);

// Why these sums are beyond the alert's limits: "" when they are not. `surely`: a measure with an interval counts only when the whole
// interval is beyond the limit.
std::string WhyAlarming(const v1::DriftAlert& alert, const DriftSums& sums, const std::vector<LayerInput>& layers,
                        bool surely);

// Samples that a window must have before the alert looks at it.
int64_t MinSamples(const v1::DriftAlert& alert);

}  // namespace precis::server

#endif  // PRECIS_SERVER_DRIFT_DRIFT_RECORD_H_
