// Every family is made once, in Families; a variant's series are looked up once, when it is loaded, so that a request only
// touches its own counters.

#include "server/metrics/server_metrics.h"

#include <array>
#include <atomic>
#include <exception>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "prometheus/counter.h"
#include "prometheus/exposer.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "server/metrics/process_metrics.h"

namespace precis::server {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;
using prometheus::Registry;

// Seconds; a 1-2.5-5 series from 25 us (an identity model on the loopback) to 10 s (a large model on a busy machine).
const Histogram::BucketBoundaries kRequestBuckets = {25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3,
                                                     25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1,    2.5,    5,    10};
// Seconds; a phase of a load takes from a millisecond to minutes.
const Histogram::BucketBoundaries kLoadBuckets = {1e-3, 5e-3, 10e-3, 50e-3, 100e-3, 250e-3, 500e-3,
                                                  1,    2.5,  5,     10,    30,     60,     120};
const Histogram::BucketBoundaries kBatchBuckets = {1, 2, 4, 8, 16, 32, 64, 128, 256};

// Weight of the newest run in the bandwidth gauge: about the last 20 runs count.
constexpr double kBandwidthSmoothing = 0.05;

template <typename Builder>
auto& Register(Builder builder, Registry& registry, const char* name, const char* help) {
  return builder.Name(name).Help(help).Register(registry);
}

}  // namespace

// Families whose series appear when a variant's drift is first measured.
struct DriftFamilies {
  explicit DriftFamilies(Registry& registry)
      : samples(Register(prometheus::BuildCounter(), registry, "precis_drift_samples_total",
                         "Live requests' items compared with the baseline variant")),
        dropped(Register(prometheus::BuildCounter(), registry, "precis_drift_dropped_samples_total",
                         "Sampled requests that found no spare capacity in time")),
        sqnr(Register(prometheus::BuildGauge(), registry, "precis_drift_sqnr_db",
                      "Signal to noise of the answers against the baseline's, last ten minutes")),
        cosine(Register(prometheus::BuildGauge(), registry, "precis_drift_cosine_similarity",
                        "Mean cosine of the answers with the baseline's, last ten minutes")),
        agreement(Register(prometheus::BuildGauge(), registry, "precis_drift_top1_agreement_ratio",
                           "Share of predictions equal to the baseline's, last ten minutes")),
        max_abs_error(Register(prometheus::BuildGauge(), registry, "precis_drift_max_abs_error",
                               "Largest difference from the baseline's answers, last ten minutes")),
        clipped(Register(prometheus::BuildGauge(), registry, "precis_input_clipped_ratio",
                         "Share of an integer layer's inputs beyond its levels, last ten minutes")),
        stability(Register(prometheus::BuildGauge(), registry, "precis_input_stability_index",
                           "Population stability index of an integer layer's inputs against calibration, last ten "
                           "minutes")),
        alarm(Register(prometheus::BuildGauge(), registry, "precis_drift_alarm",
                       "1 while a variant has drifted beyond its limits")),
        alarms(Register(prometheus::BuildCounter(), registry, "precis_drift_alarms_total", "Alarms raised")),
        moves(Register(prometheus::BuildCounter(), registry, "precis_drift_traffic_moves_total",
                       "Alarms that gave the variant's traffic to the baseline")) {}

  Family<Counter>&samples, &dropped;
  Family<Gauge>&sqnr, &cosine, &agreement, &max_abs_error, &clipped, &stability, &alarm;
  Family<Counter>&alarms, &moves;
};

struct ServerMetrics::Families {
  std::shared_ptr<Registry> registry = std::make_shared<Registry>();
  std::shared_ptr<ProcessMetrics> process = std::make_shared<ProcessMetrics>();
  Family<Counter>& requests = Register(prometheus::BuildCounter(), *registry, "precis_requests_total",
                                       "Inference requests answered, by gRPC status code");
  Family<Histogram>& durations = Register(prometheus::BuildHistogram(), *registry, "precis_request_duration_seconds",
                                          "Time of successful requests, by stage");
  Family<Histogram>& batch_sizes =
      Register(prometheus::BuildHistogram(), *registry, "precis_batch_size", "Items per run of the model");
  Family<Gauge>& queue_depth =
      Register(prometheus::BuildGauge(), *registry, "precis_queue_depth", "Requests waiting for a worker");
  Family<Gauge>& inflight = Register(prometheus::BuildGauge(), *registry, "precis_inflight_requests",
                                     "Requests received and not answered yet");
  Family<Histogram>& load_durations =
      Register(prometheus::BuildHistogram(), *registry, "precis_model_load_duration_seconds",
               "Time of loading a variant, by phase");
  Family<Gauge>& weight_bytes =
      Register(prometheus::BuildGauge(), *registry, "precis_weight_bytes", "Weights held in memory");
  Family<Gauge>& arena_bytes =
      Register(prometheus::BuildGauge(), *registry, "precis_arena_bytes", "Activation memory of one worker");
  Family<Counter>& memory_bytes = Register(prometheus::BuildCounter(), *registry, "precis_memory_bytes_total",
                                           "Bytes that runs read and wrote, from the plan's tensor sizes, by kind");
  Family<Counter>& measured_bytes = Register(
      prometheus::BuildCounter(), *registry, "precis_memory_measured_bytes_total",
      "Bytes that runs fetched from main memory, counted by the CPU as last-level cache misses; absent where the "
      "kernel offers no such counter");
  Family<Gauge>& bandwidth = Register(prometheus::BuildGauge(), *registry, "precis_memory_bandwidth_bytes_per_second",
                                      "Bytes moved per second of compute, smoothed over the latest runs");
  Family<Gauge>& peak_bandwidth =
      Register(prometheus::BuildGauge(), *registry, "precis_memory_bandwidth_peak_bytes_per_second",
               "Read bandwidth of this machine with all cores, measured once at start");
  Family<Gauge>& build_info =
      Register(prometheus::BuildGauge(), *registry, "precis_build_info", "Always 1; the labels say what runs");
  DriftFamilies drift{*registry};
  std::unique_ptr<prometheus::Exposer> exposer;

  absl::Mutex mutex;
  std::map<std::tuple<std::string, std::string, std::string>, std::unique_ptr<VariantMetrics>> variants
      ABSL_GUARDED_BY(mutex);
};

struct VariantMetrics::Series {
  Series(Family<Counter>& requests_family, Family<Histogram>& load_family, Family<Counter>& measured_family,
         DriftFamilies& drift_families, Labels variant_labels)
      : requests(requests_family),
        load_durations(load_family),
        measured_bytes(measured_family),
        drift(drift_families),
        labels(std::move(variant_labels)) {}

  Family<Counter>& requests;
  Family<Histogram>& load_durations;
  Family<Counter>& measured_bytes;
  DriftFamilies& drift;
  Labels labels;
  Counter* success = nullptr;
  Histogram *total = nullptr, *queue = nullptr, *input = nullptr, *compute = nullptr, *output = nullptr;
  Histogram* batch_size = nullptr;
  Gauge *queue_depth = nullptr, *inflight = nullptr, *weight_bytes = nullptr, *arena_bytes = nullptr;
  Counter *weights_moved = nullptr, *activations_moved = nullptr;
  Counter* drift_dropped = nullptr;  // by requests: no look-up then
  Gauge* bandwidth = nullptr;
  std::atomic<int64_t> compute_ns{0}, items{0};
  std::atomic<Counter*> measured{nullptr};  // made by the first count: a series of zeros would look like a measurement

  Labels With(const std::string& key, const std::string& value) const {
    Labels extended = labels;
    extended[key] = value;
    return extended;
  }
};

VariantMetrics::VariantMetrics(std::unique_ptr<Series> series) : series_(std::move(series)) {}
VariantMetrics::~VariantMetrics() = default;

void VariantMetrics::CountSuccess(const StageTimes& times) {
  series_->success->Increment();
  series_->total->Observe(absl::ToDoubleSeconds(times.total));
  series_->queue->Observe(absl::ToDoubleSeconds(times.queue));
  series_->input->Observe(absl::ToDoubleSeconds(times.input));
  series_->compute->Observe(absl::ToDoubleSeconds(times.compute));
  series_->output->Observe(absl::ToDoubleSeconds(times.output));
}

void VariantMetrics::CountFailure(absl::StatusCode code) {
  series_->requests.Add(series_->With("code", absl::StatusCodeToString(code))).Increment();
}

void VariantMetrics::CountRun(int64_t batch_size, int64_t weight_bytes, int64_t activation_bytes,
                              absl::Duration compute) {
  series_->batch_size->Observe(static_cast<double>(batch_size));
  series_->weights_moved->Increment(static_cast<double>(weight_bytes));
  series_->activations_moved->Increment(static_cast<double>(activation_bytes));
  series_->compute_ns.fetch_add(absl::ToInt64Nanoseconds(compute), std::memory_order_relaxed);
  series_->items.fetch_add(batch_size, std::memory_order_relaxed);
  const double seconds = absl::ToDoubleSeconds(compute);
  if (seconds <= 0) return;
  const double now = static_cast<double>(weight_bytes + activation_bytes) / seconds;
  const double before = series_->bandwidth->Value();
  series_->bandwidth->Set(before == 0 ? now : before + kBandwidthSmoothing * (now - before));
}

void VariantMetrics::CountMeasuredBytes(uint64_t bytes) {
  Counter* counter = series_->measured.load(std::memory_order_acquire);
  if (counter == nullptr) {
    counter = &series_->measured_bytes.Add(series_->labels);  // the same one for the same labels
    series_->measured.store(counter, std::memory_order_release);
  }
  counter->Increment(static_cast<double>(bytes));
}

MemoryTraffic VariantMetrics::memory_traffic() const {
  MemoryTraffic traffic;
  traffic.weight_bytes = static_cast<uint64_t>(series_->weights_moved->Value());
  traffic.activation_bytes = static_cast<uint64_t>(series_->activations_moved->Value());
  traffic.items = static_cast<uint64_t>(series_->items.load(std::memory_order_relaxed));
  traffic.compute = absl::Nanoseconds(series_->compute_ns.load(std::memory_order_relaxed));
  if (const Counter* counter = series_->measured.load(std::memory_order_acquire)) {
    traffic.measured_bytes = static_cast<uint64_t>(counter->Value());
  }
  return traffic;
}

void VariantMetrics::AddInflight(int delta) { series_->inflight->Increment(delta); }
void VariantMetrics::SetQueueDepth(int64_t depth) { series_->queue_depth->Set(static_cast<double>(depth)); }

void VariantMetrics::ObserveLoad(const std::map<std::string, double>& phase_ms) {
  for (const auto& [phase, ms] : phase_ms) {
    series_->load_durations.Add(series_->With("phase", phase), kLoadBuckets).Observe(ms / 1000);
  }
}

void VariantMetrics::SetMemory(int64_t weight_bytes, int64_t arena_bytes) {
  series_->weight_bytes->Set(static_cast<double>(weight_bytes));
  series_->arena_bytes->Set(static_cast<double>(arena_bytes));
}

void VariantMetrics::CountDriftSamples(int64_t samples) {
  series_->drift.samples.Add(series_->labels).Increment(static_cast<double>(samples));
}
void VariantMetrics::CountDriftDropped() { series_->drift_dropped->Increment(); }

void VariantMetrics::SetDrift(const DriftValues& values) {
  DriftFamilies& drift = series_->drift;
  drift.sqnr.Add(series_->labels).Set(values.sqnr_db);
  drift.cosine.Add(series_->labels).Set(values.cosine_similarity);
  drift.agreement.Add(series_->labels).Set(values.top1_agreement);
  drift.max_abs_error.Add(series_->labels).Set(values.max_abs_error);
}

void VariantMetrics::SetLayerInput(const std::string& layer, double clipped_ratio,
                                   std::optional<double> stability_index) {
  const Labels labels = series_->With("layer", layer);
  series_->drift.clipped.Add(labels).Set(clipped_ratio);
  if (stability_index.has_value()) series_->drift.stability.Add(labels).Set(*stability_index);
}

void VariantMetrics::SetDriftAlarm(bool on) {
  series_->drift.alarm.Add(series_->labels).Set(on ? 1 : 0);
  if (on) series_->drift.alarms.Add(series_->labels).Increment();
}
void VariantMetrics::CountTrafficMove() { series_->drift.moves.Add(series_->labels).Increment(); }

ServerMetrics::ServerMetrics() : families_(std::make_unique<Families>()) {}
ServerMetrics::~ServerMetrics() = default;

VariantMetrics* ServerMetrics::ForVariant(const std::string& model, const std::string& version,
                                          const std::string& variant) {
  Families& f = *families_;
  absl::MutexLock lock(&f.mutex);
  auto& slot = f.variants[{model, version, variant}];
  if (slot != nullptr) return slot.get();
  auto series =
      std::make_unique<VariantMetrics::Series>(f.requests, f.load_durations, f.measured_bytes, f.drift,
                                               Labels{{"model", model}, {"version", version}, {"variant", variant}});
  VariantMetrics::Series& s = *series;
  s.success = &f.requests.Add(s.With("code", "OK"));
  s.total = &f.durations.Add(s.With("stage", "total"), kRequestBuckets);
  s.queue = &f.durations.Add(s.With("stage", "queue"), kRequestBuckets);
  s.input = &f.durations.Add(s.With("stage", "input"), kRequestBuckets);
  s.compute = &f.durations.Add(s.With("stage", "compute"), kRequestBuckets);
  s.output = &f.durations.Add(s.With("stage", "output"), kRequestBuckets);
  s.batch_size = &f.batch_sizes.Add(s.labels, kBatchBuckets);
  s.queue_depth = &f.queue_depth.Add(s.labels);
  s.inflight = &f.inflight.Add(s.labels);
  s.weight_bytes = &f.weight_bytes.Add(s.labels);
  s.arena_bytes = &f.arena_bytes.Add(s.labels);
  s.weights_moved = &f.memory_bytes.Add(s.With("kind", "weights"));
  s.activations_moved = &f.memory_bytes.Add(s.With("kind", "activations"));
  s.bandwidth = &f.bandwidth.Add(s.labels);
  s.drift_dropped = &f.drift.dropped.Add(s.labels);
  slot = std::make_unique<VariantMetrics>(std::move(series));
  return slot.get();
}

void ServerMetrics::CountUnrouted(absl::StatusCode code) {
  families_->requests.Add({{"model", ""}, {"version", ""}, {"variant", ""}, {"code", absl::StatusCodeToString(code)}})
      .Increment();
}

void ServerMetrics::SetBuildInfo(const std::string& version, const std::string& onednn, const std::string& isa) {
  families_->build_info.Add({{"version", version}, {"onednn", onednn}, {"isa", isa}}).Set(1);
}

void ServerMetrics::SetPeakBandwidth(double bytes_per_second) {
  families_->peak_bandwidth.Add({}).Set(bytes_per_second);
}

absl::StatusOr<int> ServerMetrics::Listen(const std::string& address, int port) {
  try {
    families_->exposer = std::make_unique<prometheus::Exposer>(absl::StrCat(address, ":", port), /*num_threads=*/1);
    families_->exposer->RegisterCollectable(families_->registry);
    families_->exposer->RegisterCollectable(families_->process);
    return families_->exposer->GetListeningPorts().at(0);
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("metrics: cannot listen on ", address, ":", port, ": ", error.what()));
  }
}

std::string ServerMetrics::Text() const {
  std::vector<prometheus::MetricFamily> all = families_->registry->Collect();
  for (auto& family : families_->process->Collect()) all.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace precis::server
