// Two threads: this one keeps the time (arrivals, progress, the end), the caller's one receives answers and, in a closed
// loop, sends the next call at once. They share a recorder under one lock.

#include "loadtest/run.h"

#include <sys/prctl.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace precis::loadtest {
namespace {

constexpr auto kTick = std::chrono::milliseconds(100);                    // progress, and looks at the end
constexpr absl::Duration kPauseWhenUnreachable = absl::Milliseconds(50);  // a closed loop must not spin on refusals

// Shared with the callbacks of its calls: the last of them may still hold the lock when Run returns.
class LiveRun : public std::enable_shared_from_this<LiveRun> {
 public:
  LiveRun(InferCaller& caller, std::span<const grpc::ByteBuffer> requests, const Load& load, const RunOptions& options,
          const std::function<void(const Progress&)>& report, const std::atomic<bool>& stop)
      : caller_(caller),
        requests_(requests),
        load_(load),
        options_(options),
        report_(report),
        stop_(stop),
        window_(options.window.count() > 0 ? options.window : options.duration / 3),
        start_(Clock::now()),
        begin_(start_ + options.warmup),
        latest_end_(begin_ + std::max(options.duration, options.until_stable)),
        recorder_(begin_, window_) {}

  RunResult Run() {
    prctl(PR_SET_TIMERSLACK, 1);  // sleep to the microsecond, not to the next 50 of them
    if (load_.concurrency > 0) {
      for (int i = 0; i < load_.concurrency; ++i) Send(Clock::now());
      while (!IsOver()) SleepUntil(next_tick_);
    } else {
      RunOpenLoop();
    }
    const Clock::time_point end = std::min(Clock::now(), latest_end_);
    const absl::MutexLock lock(&mutex_);
    over_ = true;
    mutex_.Await(absl::Condition(+[](LiveRun* run) { return run->in_flight_ == 0; }, this));
    return ResultAt(end);
  }

 private:
  void RunOpenLoop() {
    ArrivalProcess arrivals(load_.arrivals, load_.rate, load_.seed);
    for (;;) {
      const Clock::time_point intended = start_ + arrivals.Next();
      while (Clock::now() < intended || InFlight() >= load_.max_in_flight) {
        if (IsOver()) return;
        const bool full = Clock::now() >= intended;
        SleepUntil(full ? Clock::now() + std::chrono::milliseconds(1) : std::min(intended, next_tick_));
      }
      if (stop_ || intended >= latest_end_) return;
      Send(intended);  // though it is late: a call that was due is part of what is measured
    }
  }

  void Send(Clock::time_point intended) {
    {
      const absl::MutexLock lock(&mutex_);
      recorder_.Began(intended, Clock::now());
      ++in_flight_;
    }
    caller_.Start(NextRequest(),
                  [self = shared_from_this(), intended](const Outcome& outcome) { self->OnEnd(intended, outcome); });
  }

  // A closed loop's client whose server cannot be reached: its next call begins after a pause.
  void SendLater() {
    const Clock::time_point intended = Clock::now() + absl::ToChronoNanoseconds(kPauseWhenUnreachable);
    {
      const absl::MutexLock lock(&mutex_);
      recorder_.Began(intended, intended);
      ++in_flight_;
    }
    caller_.Start(
        NextRequest(),
        [self = shared_from_this(), intended](const Outcome& outcome) { self->OnEnd(intended, outcome); },
        kPauseWhenUnreachable);
  }

  void OnEnd(Clock::time_point intended, const Outcome& outcome) {
    const Clock::time_point now = Clock::now();
    const bool next = load_.concurrency > 0 && now < latest_end_ && !stop_;
    {
      const absl::MutexLock lock(&mutex_);
      recorder_.Ended(intended, now, CodeName(outcome.code), outcome.message, outcome.retries);
      if (!next || over_) {
        --in_flight_;
        return;
      }
    }
    // The next call is counted before this one leaves, so that nobody sees a loop of zero calls.
    outcome.code == grpc::StatusCode::UNAVAILABLE ? SendLater() : Send(Clock::now());
    const absl::MutexLock lock(&mutex_);
    --in_flight_;
  }

  const grpc::ByteBuffer& NextRequest() { return requests_[next_request_++ % requests_.size()]; }

  int64_t InFlight() {
    const absl::MutexLock lock(&mutex_);
    return in_flight_;
  }

  static void SleepUntil(Clock::time_point time) { std::this_thread::sleep_until(time); }

  // Looks at the clock; a few times a second also draws progress and asks whether the run is stable.
  bool IsOver() {
    const Clock::time_point now = Clock::now();
    if (now >= latest_end_ || stop_) return true;
    if (now < next_tick_) return false;
    next_tick_ = now + kTick;
    if (report_) report_(ProgressAt(now));
    return now >= begin_ + options_.duration && IsStableAt(now);
  }

  bool IsStableAt(Clock::time_point now) {
    const absl::MutexLock lock(&mutex_);
    const int last = recorder_.WindowsBefore(now);
    if (last < 3 || last * window_ < options_.duration || !recorder_.AllEnded(last - 3, last)) return false;
    return LastThreeAgree(last);
  }

  bool LastThreeAgree(int last) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (last < 3) return false;
    const Tally three[] = {recorder_.Window(last - 3), recorder_.Window(last - 2), recorder_.Window(last - 1)};
    return Agree(three, options_.stability);
  }

  Progress ProgressAt(Clock::time_point now) {
    Progress progress;
    const std::chrono::duration<double> all = latest_end_ - start_, passed = now - start_, measured = now - begin_;
    progress.fraction = passed / all;
    progress.warming_up = now < begin_;
    const absl::MutexLock lock(&mutex_);
    progress.in_flight = in_flight_;
    int64_t answers = 0;
    for (int i = 0; i <= recorder_.WindowsBefore(now); ++i) {
      answers += recorder_.Window(i).answers;
      progress.failed += recorder_.Window(i).failed();
    }
    if (!progress.warming_up) progress.throughput = static_cast<double>(answers) / measured.count();
    return progress;
  }

  RunResult ResultAt(Clock::time_point end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    RunResult result;
    result.interrupted = stop_;
    result.window_seconds = std::chrono::duration<double>(window_).count();
    // Rounding may leave the end a hair short of the last window's.
    const int whole = recorder_.WindowsBefore(end + std::chrono::milliseconds(1));
    const int last = result.interrupted && end > begin_ ? whole + 1 : whole;
    const int covered = static_cast<int>(
        std::llround(std::chrono::duration<double>(options_.duration) / std::chrono::duration<double>(window_)));
    const int first = std::max(0, last - covered);
    const Clock::time_point from = begin_ + first * window_, to = result.interrupted ? end : begin_ + last * window_;
    // A third of a duration is cut to a nanosecond; three of them are shown as the duration again.
    result.seconds = std::max(0.0, std::round(std::chrono::duration<double>(to - from).count() * 1e6) / 1e6);
    for (int i = first; i < whole; ++i) result.windows.push_back(recorder_.Window(i));
    result.total = recorder_.Sum(first, last);
    result.outside = recorder_.Outside(first, last);
    result.stable = LastThreeAgree(whole);
    return result;
  }

  InferCaller& caller_;
  const std::span<const grpc::ByteBuffer> requests_;
  const Load load_;
  const RunOptions options_;
  const std::function<void(const Progress&)>& report_;
  const std::atomic<bool>& stop_;
  const Clock::duration window_;
  const Clock::time_point start_, begin_, latest_end_;
  Clock::time_point next_tick_{};  // of the thread that keeps the time
  std::atomic<uint64_t> next_request_ = 0;
  absl::Mutex mutex_;
  Recorder recorder_ ABSL_GUARDED_BY(mutex_);
  int64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

bool Agree(std::span<const Tally> three, double tolerance) {
  double throughput = 0, latency = 0;
  for (const Tally& window : three) {
    if (window.answers == 0 || window.latency.count() == 0) return false;
    throughput += static_cast<double>(window.answers) / static_cast<double>(three.size());
    latency += window.latency.mean() / static_cast<double>(three.size());
  }
  return std::all_of(three.begin(), three.end(), [&](const Tally& window) {
    return std::abs(static_cast<double>(window.answers) - throughput) <= tolerance * throughput &&
           std::abs(window.latency.mean() - latency) <= tolerance * latency;
  });
}

RunResult Run(InferCaller& caller, std::span<const grpc::ByteBuffer> requests, const Load& load,
              const RunOptions& options, const std::function<void(const Progress&)>& report,
              const std::atomic<bool>& stop) {
  return std::make_shared<LiveRun>(caller, requests, load, options, report, stop)->Run();
}

}  // namespace precis::loadtest
