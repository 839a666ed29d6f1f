#ifndef PRECIS_SERVER_MODELS_MODEL_STORE_H_
#define PRECIS_SERVER_MODELS_MODEL_STORE_H_

// Every model the server knows: model -> versions -> variants, their loading and unloading.
//
// A variant's load goes LOADING -> READY -> UNLOADING -> UNLOADED, or LOADING -> FAILED; a state never goes back, a new load
// is a new object. While a variant is loaded again its predecessor answers; it is unloaded when the new one is READY and its
// last pin is gone. Loads and unloads run on a capped number of load threads, in order of arrival; lookups never wait for
// them. A load that calibrates on live traffic waits for it beside those threads.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "engine/model.h"
#include "server/config/model_name.h"
#include "server/config/repository.h"
#include "server/config/scheduling.h"
#include "server/metrics/server_metrics.h"
#include "server/models/live_samples.h"
#include "server/models/load_threads.h"
#include "server/models/served_variant.h"
#include "server/models/statistics.h"
#include "server/models/traffic_route.h"

namespace precis::server {

enum class VariantState { kLoading, kReady, kUnloading, kUnloaded, kFailed };

// One variant as lists show it.
struct VariantReport {
  std::string name;
  VariantState state = VariantState::kUnloaded;
  std::string reason;  // why it, or the load that is to replace it, is not READY
  quant::Policy policy;
  VariantInfo info;  // when READY
  int workers = 0;   // the same
  uint64_t inferences = 0;
  MemoryTraffic memory;  // when READY
};

// One version of a model as lists show it. A model whose folder cannot be served has version 0.
struct VersionReport {
  std::string model;
  int64_t version = 0;
  std::string reason;           // why there is nothing to serve; empty: nothing was tried, or it is READY
  std::string default_variant;  // empty: none is READY
  std::vector<VariantReport> variants;
  std::vector<std::string> policies;  // variant names that a load may use
  v1::ModelPrecision precision;
  v1::Traffic traffic;  // what holds: SetTraffic's, or that of `precision`
  bool ready() const { return !default_variant.empty(); }
};

struct LoadRequest {
  ModelName name;                                          // no variant: those that are loaded, or else the default one
  int64_t version = 0;                                     // 0: every version that the version policy chooses
  std::optional<quant::Policy> policy;                     // instead of what the variant's name stands for
  std::string policy_name;                                 // the same, by the name of a policy
  std::optional<inference::ModelConfig> config;            // instead of config.pbtxt
  std::vector<std::pair<std::string, Shape>> warm_shapes;  // by input
  bool only_if_changed = true;                             // a READY variant of the same policy and files is left alone
  std::shared_ptr<const Calibration> streamed;             // what samples of a client gave, for one version's variant
  std::function<bool()> abandoned;  // may be null; asked once more before what is loaded takes its place
  // For policies that calibrate on live traffic:
  bool recalibrate = false;  // on new requests, whatever was learned earlier
  std::shared_ptr<const std::atomic<bool>>
      caller_gone;  // may be null; ends the wait for requests (LiveSamples::EndAbandoned)
  // May be null. The load waits for requests and has taken so many samples of those it wants: from 0 on, from any thread.
  std::function<void(int64_t taken, int64_t wanted)> on_live_samples;
};

// Samples of a client on their way into a variant. Not thread-safe; not to outlive the store.
struct StreamedCalibration {
  StreamedCalibration() = default;
  StreamedCalibration(const StreamedCalibration&) = delete;
  StreamedCalibration& operator=(const StreamedCalibration&) = delete;
  ~StreamedCalibration() {
    if (running != nullptr) running->fetch_sub(1);
  }

  Signature signature;  // what a sample looks like on the wire
  std::unique_ptr<CalibrationRun> run;
  LoadRequest load;                     // of the variant, once the run is finished
  std::atomic<int>* running = nullptr;  // counts it
};

struct ModelStoreOptions {
  int cores = 1;
  int workers = 0, threads = 0;  // of every variant, as ChooseParallelism takes them
  int queue_size = 1024;
  int load_threads = 1;
  std::optional<std::string> calibration_cache;      // as ServerOptions'
  std::function<bool()> idle = [] { return true; };  // no request is being served; asked often, by background work
};

class ModelStore {
 public:
  // Phase of the engine's load ("parse", "calibrate", …) and how much of it is done, 0 to 1.
  using Progress = std::function<void(const std::string& phase, double fraction)>;
  using Done = absl::AnyInvocable<void(absl::Status)>;
  // A name's (net or net@int8) readiness changed. Called on load threads, without locks.
  using ReadinessListener = std::function<void(const std::string& name, bool ready)>;

  // `metrics` outlives the store.
  ModelStore(Repository repository, ModelStoreOptions options, ServerMetrics* metrics, ReadinessListener listener);
  // Stop, then unloads everything: waits for the last pin.
  ~ModelStore();

  // Finishes what the load threads run; what waits, and what comes later, is answered Unavailable. Lookups go on.
  void Stop();

  // The hash of the value that a request has for the named parameter; nullopt: it has no such parameter.
  using StickyValue = absl::FunctionRef<std::optional<uint64_t>(const std::string& parameter)>;

  // The variant that a name on the wire means now; of a plain name, the one with the largest share of its traffic. Errors:
  // InvalidArgument for a malformed name or version; NotFound for an unknown model, version or variant, or one that is not loaded;
  // Unavailable while it is loading, or with the reason why its load failed.
  absl::StatusOr<VariantPin> Pin(const std::string& name, const std::string& version) const;
  // The variant that answers one inference request: as Pin, but a plain name follows the model's traffic split.
  // Adds to `shadows` the comparisons that this request is chosen for: none, for most.
  absl::StatusOr<VariantPin> Route(const std::string& name, const std::string& version, StickyValue sticky,
                                   std::vector<ShadowRun>* shadows) const;

  // Spreads the requests for the plain name from now on, instead of what precision.textproto or an earlier call says, over every
  // version of the model, until the server ends. Requests being served are not touched. Errors: those of CheckTraffic; as Pin for
  // a variant that is not loaded in the version that plain requests go to, naming it: then nothing changes.
  // A shadow needs the baseline loaded as well.
  absl::Status SetTraffic(const std::string& model, const v1::Traffic& traffic);

  // Asynchronous; `progress` (may be empty) and `done` are called on a load thread, `done` also by who ends a wait for live traffic.
  // Errors: those of Repository::Find, PolicyOfVariant, the engine; Unavailable when the store stops; InvalidArgument when `recalibrate` has
  // no variant to apply to. Of a wait: FailedPrecondition when nothing of the model is loaded or being loaded, ResourceExhausted when too
  // many wait, and what ended it.
  void Load(LoadRequest request, Progress progress, Done done);
  // Begins to calibrate the variant that `request` names (no variant: the first one that Load would load) under its policy, of which
  // `calibration`, where given, replaces that part. Blocks while the model is read: to be called on a load thread. What is loaded is not
  // touched. Errors: as Load; InvalidArgument for a variant without int8 layers and for calibration from elsewhere; ResourceExhausted when
  // too many run already.
  absl::StatusOr<std::unique_ptr<StreamedCalibration>> StartCalibration(
      LoadRequest request, const std::optional<v1::CalibrationPolicy>& calibration);
  // As Load. Without a variant: all of them. Errors: NotFound when nothing of that name is loaded.
  void Unload(ModelName name, int64_t version, Done done);
  // Takes what Route chose.
  DriftMonitor& drift() { return *drift_; }
  // What loads take of answered requests.
  LiveSamples& live_samples() { return live_; }

  // For other long work that must not take more from serving than a load does, such as measuring a plan.
  void RunInBackground(LoadThreads::Task task);

  // Reads the repository: models not known yet are listed from now on, those gone and not loaded no longer.
  absl::Status RefreshIndex();
  // One round of the poll mode: loads new models, loads changed ones again, unloads those whose files are gone.
  void Poll();

  // Every known model, by name and version. `model` empty: all. Errors: NotFound for an unknown model or version.
  absl::StatusOr<std::vector<VersionReport>> List(const std::string& model, int64_t version) const;
  // Sums over the variants of a model's version, or over the one variant that `name` pins. Errors: as Pin.
  absl::StatusOr<StatisticsSnapshot> StatisticsOf(const std::string& name, int64_t version) const;

 private:
  // One load of a variant, from LOADING on.
  struct Instance {
    VariantState state = VariantState::kLoading;
    absl::Status status;  // when FAILED
    quant::Policy policy;
    std::string fingerprint;
    std::unique_ptr<ServedVariant> served;      // READY and UNLOADING
    int64_t order = 0;                          // of loads
    std::shared_ptr<LiveCollection> waits_for;  // LOADING, and null unless it waits for live traffic
  };
  struct Slot {
    std::shared_ptr<Instance> current;  // READY: answers
    std::shared_ptr<Instance> next;     // LOADING or FAILED, beside a current one or before the first
  };
  struct ModelEntry {
    ModelSource source;
    std::map<int64_t, std::map<std::string, Slot>> versions;  // of what was loaded
    std::map<int64_t, TrafficRoute> routes;                   // of the same versions: RefreshRoutes keeps them so
    std::optional<v1::Traffic> traffic;                       // SetTraffic's
    std::map<std::pair<int64_t, std::string>, std::shared_ptr<const Calibration>>
        streamed;  // last, by version and variant
    const v1::Traffic& effective_traffic() const { return traffic.has_value() ? *traffic : source.precision.traffic(); }
  };
  // What one variant's load needs.
  struct LoadPlan {
    ModelSource source;
    int64_t version = 0;
    std::string file, variant;
    quant::Policy policy;
    std::vector<std::pair<std::string, Shape>> warm_shapes;
    std::shared_ptr<const Calibration> streamed;  // may be null
    bool fresh = false;                           // the cache has not got `streamed` yet
    std::function<bool()> abandoned;              // as LoadRequest's
  };
  // What Load was called with, and how far it has come.
  struct LoadJob {
    LoadRequest request;
    Progress progress;
    Done done;
    std::vector<LoadPlan> plans;         // those that may wait for live traffic last
    size_t next = 0;                     // of plans
    std::shared_ptr<Instance> instance;  // of the plan that waits
    absl::Status first_error;
  };
  using LoadJobPtr = std::shared_ptr<LoadJob>;
  void StartLoad(const LoadJobPtr& job);
  // Loads what is next, until one waits or all are done.
  void ContinueLoad(const LoadJobPtr& job);
  void FinishLoad(const LoadJobPtr& job);

  bool WaitsForTraffic(const LoadPlan& plan, const LoadRequest& request) const;
  // Begins the wait of the next plan. EndWait or LoadOnSamples follows, maybe before it returns.
  void AwaitTraffic(const LoadJobPtr& job);
  absl::StatusOr<std::shared_ptr<LiveCollection>> MakeCollection(const LoadJobPtr& job);
  void EndWait(const LoadJobPtr& job, const absl::Status& status);
  void LoadOnSamples(const LoadJobPtr& job, std::vector<LiveCollection::Sample> samples);
  // Another load has brought the variant that this one waited for, under the same policy.
  bool LoadedMeanwhile(const LoadJob& job);
  absl::StatusOr<std::shared_ptr<const Calibration>> Calibrate(
      const LoadPlan& plan, const std::vector<LiveCollection::Sample>& samples) const;
  // One load of the model more, or less, that does not wait and may bring a variant by which requests are answered.
  void CountUnderWay(const std::string& model, int change);
  // Ends waits for traffic that cannot come.
  void EndHopelessWaits(const std::string& model);

  absl::StatusOr<std::vector<LoadPlan>> PlanLoad(const LoadRequest& request);
  std::vector<std::string> VariantsToLoadLocked(const ModelSource& source, int64_t version) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::Status LoadOne(const LoadPlan& plan, bool only_if_changed, const Progress& progress);
  // READY under the same policy, of the same files.
  bool UnchangedLocked(const LoadPlan& plan) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  std::shared_ptr<Instance> BeginLoadLocked(const LoadPlan& plan) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status LoadInto(const std::shared_ptr<Instance>& instance, const LoadPlan& plan, const Progress& progress);
  // Where results of calibration and search are kept; empty: nowhere, as in a container whose models are read-only.
  std::string CacheOf(const ModelSource& source) const;
  // Threads and cache of the engine's load.
  LoadOptions EngineOptions(const LoadPlan& plan, const Parallelism& parallel) const;
  absl::StatusOr<Parallelism> ParallelismOf(const ModelSource& source) const;
  absl::StatusOr<std::unique_ptr<ServedVariant>> MakeServed(const LoadPlan& plan, const Progress& progress);
  void Publish(const LoadPlan& plan, const std::shared_ptr<Instance>& instance,
               absl::StatusOr<std::unique_ptr<ServedVariant>> served);
  absl::Status RunUnload(const ModelName& name, int64_t version);
  void UnloadDroppedVersions(const ModelSource& source);
  // Waits for the last pin, frees the variant.
  void Retire(const std::shared_ptr<Instance>& instance);
  void NotifyReadiness(const std::string& model, const std::string& variant);

  const Slot* FindSlotLocked(const std::string& model, int64_t version, const std::string& variant) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  using Chooser = absl::FunctionRef<ServedVariant*(const TrafficRoute&)>;
  // `choose` decides for a plain name. Errors: as Pin.
  absl::StatusOr<ServedVariant*> FindReadyLocked(const ModelName& name, int64_t version, Chooser choose) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<ServedVariant*> FindReadyLocked(const ModelName& name, int64_t version) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // Why FindReadyLocked finds nothing.
  absl::Status WhyNotReadyLocked(const ModelName& name, int64_t version) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void RefreshShadowsLocked(const ModelEntry& entry, const std::map<std::string, Slot>& slots)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // An alarm has begun or ended: logs it, changes the variant's health and, where the alert says so, its traffic.
  void OnDriftChange(const std::shared_ptr<DriftRecord>& record, DriftRecord::Change change);
  void MoveTrafficToBaseline(const DriftRecord& record);
  // To be called whenever a model's traffic, or what of it is loaded, has changed.
  void RefreshRoutesLocked(ModelEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Something of it is loaded, being loaded or being unloaded.
  static bool InUse(const ModelEntry& entry);
  // The configured default variant when it is loaded, or else the one loaded first; null when nothing is.
  static ServedVariant* DefaultVariant(const ModelEntry& entry, const std::map<std::string, Slot>& slots);
  VersionReport ReportLocked(const std::string& model, const ModelEntry& entry, int64_t version) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const Repository repository_;
  const ModelStoreOptions options_;
  ServerMetrics* const metrics_;
  const ReadinessListener listener_;

  mutable absl::Mutex mutex_;
  std::map<std::string, ModelEntry> models_ ABSL_GUARDED_BY(mutex_);
  int64_t loads_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, int> under_way_ ABSL_GUARDED_BY(mutex_);  // by model, as CountUnderWay says
  mutable std::atomic<uint64_t> routed_ = 0;                      // requests that a split was asked for
  std::atomic<int> calibrations_ = 0;                             // StreamedCalibrations alive

  LiveSamples live_;
  LoadThreads threads_;  // its tasks use all of the above
  // The monitor's thread is of idle priority and must not take the mutex, so alarms have a thread of their own.
  LoadThreads alarms_{1};
  std::unique_ptr<DriftMonitor> drift_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_MODELS_MODEL_STORE_H_
