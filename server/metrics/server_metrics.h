#ifndef PRECIS_SERVER_METRICS_SERVER_METRICS_H_
#define PRECIS_SERVER_METRICS_SERVER_METRICS_H_

// What /metrics shows. Metric names are contracts (DESIGN, "Metrics"); every series of a variant has the labels model,
// version and variant. All classes here are thread-safe.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace precis::server {

// Where the time of one request went. total = input + queue + compute + output and the little in between.
struct StageTimes {
  absl::Duration total, queue, input, compute, output;
};

// How a variant's answers differ from the baseline's.
struct DriftValues {
  double sqnr_db = 0, cosine_similarity = 0, top1_agreement = 0, max_abs_error = 0;
};

// Memory traffic of a variant's runs since the server started.
struct MemoryTraffic {
  uint64_t weight_bytes = 0, activation_bytes = 0;  // computed: the sizes of the plan's tensors
  std::optional<uint64_t> measured_bytes;           // counted by the CPU, where it can
  uint64_t items = 0;
  absl::Duration compute;  // summed over workers
};

// One variant's series.
class VariantMetrics {
 public:
  struct Series;  // the registry's objects
  explicit VariantMetrics(std::unique_ptr<Series> series);
  ~VariantMetrics();

  // A request that was answered. Failed ones count by their code; only successful ones have stages.
  void CountSuccess(const StageTimes& times);
  void CountFailure(absl::StatusCode code);
  // A run of the model over `batch_size` items that moved so many bytes.
  void CountRun(int64_t batch_size, int64_t weight_bytes, int64_t activation_bytes, absl::Duration compute);
  // Bytes that runs fetched from main memory as the CPU counted them. Not called where it cannot count.
  void CountMeasuredBytes(uint64_t bytes);
  MemoryTraffic memory_traffic() const;
  void AddInflight(int delta);
  void SetQueueDepth(int64_t depth);
  // After a load: milliseconds by phase and the memory now held; SetMemory(0, 0) after an unload.
  void ObserveLoad(const std::map<std::string, double>& phase_ms);
  void SetMemory(int64_t weight_bytes, int64_t arena_bytes);

  // Against the baseline variant; the values over the last ten minutes.
  void CountDriftSamples(int64_t samples);
  void CountDriftDropped();
  void SetDrift(const DriftValues& values);
  // Of an integer layer's input; `stability_index` when calibration's distribution is known.
  void SetLayerInput(const std::string& layer, double clipped_ratio, std::optional<double> stability_index);
  // An alarm that begins is counted.
  void SetDriftAlarm(bool on);
  void CountTrafficMove();

 private:
  std::unique_ptr<Series> series_;
};

class ServerMetrics {
 public:
  ServerMetrics();
  ~ServerMetrics();

  // The same object for the same labels; lives as long as this. Series are never removed: their number is bounded by the
  // variants that an operator ever loaded.
  VariantMetrics* ForVariant(const std::string& model, const std::string& version, const std::string& variant);

  // A request that reached no variant (unknown or unloaded model): its series have empty labels.
  void CountUnrouted(absl::StatusCode code);

  void SetBuildInfo(const std::string& version, const std::string& onednn, const std::string& isa);
  void SetPeakBandwidth(double bytes_per_second);

  // Serves `address`:`port`/metrics; port 0 takes a free one. Returns the port. Once. Errors: Unavailable when it cannot bind.
  absl::StatusOr<int> Listen(const std::string& address, int port);

  // The text that /metrics answers.
  std::string Text() const;

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_METRICS_SERVER_METRICS_H_
