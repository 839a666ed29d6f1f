#ifndef PRECIS_SERVER_DRIFT_DRIFT_MONITOR_H_
#define PRECIS_SERVER_DRIFT_DRIFT_MONITOR_H_

// Runs sampled requests a second time, on the other variant of a pair, and records how the two answers differ.
//
// It lives on what serving leaves: one thread of idle priority, which works only while no request is being served, and looks up
// between two layers of a run whether that is still so. Samples wait in a bounded queue; those that find no room, or no idle processor
// for kLongestWait, are dropped and counted. Once in kProbeEvery samples of a variant the inputs of its integer layers are looked at too.

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/model.h"
#include "server/drift/drift_record.h"

namespace precis::server {

// One comparison that a request was chosen for.
struct ShadowRun {
  std::shared_ptr<DriftRecord> subject;    // whose drift it shows
  std::shared_ptr<DriftRecord> reference;  // the baseline
  bool answered_by_subject = false;        // then the baseline is run, or else the subject
};

// An answered request with all that a second run needs.
struct DriftSample {
  std::vector<ShadowRun> runs;
  std::vector<TensorView> inputs;  // of the model; in `bytes` or `tensors`
  std::vector<std::string> bytes;
  std::vector<Tensor> tensors;
  std::vector<Tensor> answers;  // all outputs of the model
  int64_t batch_size = 1;

  size_t size_bytes() const;
};

class DriftMonitor {
 public:
  static constexpr absl::Duration kLongestWait = absl::Seconds(30);

  struct Options {
    size_t queue_samples = 64;
    size_t queue_bytes = 64 << 20;
    std::function<bool()> idle = [] {
      return true;
    };  // no request is being served; called often, on the monitor's thread
    // An alarm has begun or ended; called on the monitor's thread, which is slow and must hold no lock that requests need.
    std::function<void(const std::shared_ptr<DriftRecord>&, DriftRecord::Change)> on_change;
    std::function<absl::Time()> clock = [] { return absl::Now(); };
  };

  explicit DriftMonitor(Options options);
  // As Stop.
  ~DriftMonitor();

  // Never waits: drops the sample when the queue is full, or cannot be looked at right now. Thread-safe.
  void Offer(DriftSample sample);

  // The variant is being unloaded: closes the record and waits until nothing of the variant is held here. Thread-safe.
  void Forget(const std::shared_ptr<DriftRecord>& record);

  // Drops what waits, ends the thread. Idempotent; not thread-safe.
  void Stop();

  // Waits until the queue is empty and nothing runs; for tests.
  void AwaitDone();

 private:
  // What second runs of one variant need.
  struct Equipment {
    std::unique_ptr<Session> session;
    std::unique_ptr<InputProbe> probe;
    bool probe_made = false;
    int64_t samples = 0;
  };
  struct Waiting {
    DriftSample sample;
    absl::Time offered;
  };

  void Loop();
  void Process(const Waiting& waiting);
  // Cancelled when it must not go on.
  absl::Status Compare(const ShadowRun& run, const Waiting& waiting);
  absl::Status RunAgain(const ShadowRun& run, const Waiting& waiting, const Variant& variant, Equipment& equipment,
                        std::vector<Tensor>* outputs);
  absl::Status Probe(const ShadowRun& run, const Waiting& waiting, Equipment& equipment, DriftSums* sums);
  // Waits for an idle processor. False: the run must end.
  bool MayGoOn(const ShadowRun& run, absl::Time offered) const;

  std::unique_ptr<Equipment> Take(const DriftRecord* record);
  void GiveBack(const std::shared_ptr<DriftRecord>& record, std::unique_ptr<Equipment> equipment);

  // Somebody waits for the thread: ordinary priority until the run at hand has ended.
  void HurryLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  bool HasNews() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || !queue_.empty(); }
  bool Done() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return queue_.empty() && !running_; }

  const Options options_;
  std::atomic<bool> stop_run_ = false;  // the run at hand must end

  absl::Mutex mutex_;
  std::deque<Waiting> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  bool hurried_ ABSL_GUARDED_BY(mutex_) = false;
  pid_t thread_id_ ABSL_GUARDED_BY(mutex_) = 0;                     // 0: not running yet
  std::vector<const DriftRecord*> in_use_ ABSL_GUARDED_BY(mutex_);  // by the run at hand
  std::map<const DriftRecord*, std::unique_ptr<Equipment>> equipment_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;  // last: uses all of the above
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_DRIFT_DRIFT_MONITOR_H_
