#include "server/drift/drift_monitor.h"

#include <sched.h>

#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fake_variant.h"

namespace precis::server {
namespace {

class DriftMonitorTest : public ::testing::Test {
 protected:
  // Answers its input, after `run`.
  std::shared_ptr<DriftRecord> Record(const std::string& name, FakeVariant::RunFunction run,
                                      v1::DriftAlert alert = {}) {
    return std::make_shared<DriftRecord>(DriftRecord::Names{"net", 1, name, "fp32"},
                                         std::make_shared<FakeVariant>(std::move(run)), std::move(alert), nullptr);
  }
  std::shared_ptr<DriftRecord> Record(const std::string& name) {
    return Record(name, [this](const auto&) {
      ++runs_;
      return absl::OkStatus();
    });
  }

  // A request that was answered with `answer`, and whose second run answers {1, 2}.
  static DriftSample Sample(const ShadowRun& run, const std::vector<float>& answer) {
    DriftSample sample;
    sample.runs = {run};
    sample.tensors.push_back(Tensor::From<float>({2}, {1, 2}));
    sample.inputs = {sample.tensors[0].view()};
    sample.answers.push_back(Tensor::From<float>({static_cast<int64_t>(answer.size())}, answer));
    return sample;
  }
  // Offers it until it is not dropped at once: the monitor may have held its queue.
  static void Offer(DriftMonitor& monitor, const ShadowRun& run, const std::vector<float>& answer) {
    for (int64_t before = -1; before != Dropped(*run.subject);) {
      before = Dropped(*run.subject);
      monitor.Offer(Sample(run, answer));
    }
  }
  static int64_t Dropped(const DriftRecord& record) { return record.Snapshot(absl::Now()).dropped; }
  static stats::Fidelity Total(const DriftRecord& record) {
    return record.Snapshot(absl::Now()).windows.back().sums.all;
  }

  std::atomic<int> runs_ = 0;
  std::atomic<bool> idle_ = true;
};

TEST_F(DriftMonitorTest, RunsTheOtherVariantAndComparesInTheRightDirection) {
  DriftMonitor monitor({});
  const auto subject = Record("int8"), baseline = Record("fp32");
  Offer(monitor, {subject, baseline, true}, {1, 3});  // reference {1, 2}: signal 5
  monitor.AwaitDone();
  EXPECT_EQ(runs_, 1);
  EXPECT_NEAR(Total(*subject).SqnrDb().value, 10 * std::log10(5.0), 1e-6);
  const auto other = Record("bf16");
  Offer(monitor, {other, baseline, false}, {1, 3});  // reference {1, 3}: signal 10
  monitor.AwaitDone();
  EXPECT_NEAR(Total(*other).SqnrDb().value, 10.0, 1e-6);
  EXPECT_EQ(Total(*baseline).samples(), 0);
}

TEST_F(DriftMonitorTest, WaitsForIdlenessAndDropsWhatFindsNoRoom) {
  DriftMonitor::Options options;
  options.queue_samples = 3;
  options.idle = [this] { return idle_.load(); };
  idle_ = false;
  DriftMonitor monitor(options);
  const auto subject = Record("int8"), baseline = Record("fp32");
  for (int i = 0; i < 50; ++i) monitor.Offer(Sample({subject, baseline, true}, {1, 2}));
  EXPECT_EQ(runs_, 0);
  idle_ = true;
  monitor.AwaitDone();
  const DriftRecord::Report report = subject->Snapshot(absl::Now());
  EXPECT_GE(runs_, 3);
  EXPECT_LE(runs_, 4);  // one may have left the queue to wait
  EXPECT_EQ(report.windows.back().sums.all.samples(), runs_);
  EXPECT_EQ(report.dropped, 50 - runs_);
}

TEST_F(DriftMonitorTest, BoundsTheMemoryOfWhatWaits) {
  DriftMonitor::Options options;
  options.queue_bytes = 40;
  options.idle = [this] { return idle_.load(); };
  idle_ = false;
  DriftMonitor monitor(options);
  const auto subject = Record("int8"), baseline = Record("fp32");
  for (int i = 0; i < 10; ++i) monitor.Offer(Sample({subject, baseline, true}, {1, 2}));  // 16 bytes each
  idle_ = true;
  monitor.AwaitDone();
  EXPECT_LE(runs_, 3);
  EXPECT_EQ(Dropped(*subject), 10 - runs_);
}

TEST_F(DriftMonitorTest, GivesUpWhenNoProcessorIsIdleInTime) {
  DriftMonitor::Options options;
  std::atomic<int64_t> seconds = 0;
  options.idle = [&] {
    seconds += 20;
    return false;
  };
  options.clock = [&] { return absl::UnixEpoch() + absl::Seconds(seconds.load()); };
  DriftMonitor monitor(options);
  const auto subject = Record("int8"), baseline = Record("fp32");
  Offer(monitor, {subject, baseline, true}, {1, 2});
  monitor.AwaitDone();
  EXPECT_EQ(runs_, 0);
  EXPECT_GE(Dropped(*subject), 1);
}

TEST_F(DriftMonitorTest, StopsBetweenLayersWhenARequestComes) {
  DriftMonitor::Options options;
  std::atomic<int> looks = 0;
  options.idle = [&] { return ++looks != 3; };  // busy once, inside the run
  DriftMonitor monitor(options);
  const auto subject = Record("int8"), baseline = Record("fp32");
  Offer(monitor, {subject, baseline, true}, {1, 2});
  monitor.AwaitDone();
  EXPECT_EQ(Total(*subject).samples(), 1);
  EXPECT_GT(looks, 3);
}

TEST_F(DriftMonitorTest, ForgettingAVariantEndsItsRuns) {
  DriftMonitor::Options options;
  absl::Notification waiting;
  options.idle = [&] {
    if (!waiting.HasBeenNotified()) waiting.Notify();
    return false;
  };
  DriftMonitor monitor(options);
  const auto subject = Record("int8"), baseline = Record("fp32");
  const std::weak_ptr<const Variant> variant = baseline->variant();
  Offer(monitor, {subject, baseline, true}, {1, 2});
  waiting.WaitForNotification();
  monitor.Forget(baseline);
  EXPECT_TRUE(variant.expired());
  monitor.AwaitDone();
  EXPECT_EQ(runs_, 0);
  EXPECT_GE(Dropped(*subject), 1);
}

// Only with CAP_SYS_NICE or a limit on nice values that allows it (sched(7)).
bool MayLeaveIdlePriority() {
  bool may = false;
  const sched_param none = {};
  std::thread([&] {
    may = sched_setscheduler(0, SCHED_IDLE, &none) == 0 && sched_setscheduler(0, SCHED_OTHER, &none) == 0;
  }).join();
  return may;
}

TEST_F(DriftMonitorTest, WhoeverWaitsForARunLiftsItsPriority) {
  if (!MayLeaveIdlePriority()) GTEST_SKIP() << "this process may not leave the idle priority";
  DriftMonitor monitor({});
  const auto subject = Record("int8");
  for (int i = 0; i < 2; ++i) {  // the second run begins at idle priority again
    absl::Notification running;
    int first = -1, last = -1;
    const auto baseline = Record("fp32", [&](const auto&) {
      first = last = sched_getscheduler(0);
      running.Notify();
      const absl::Time end = absl::Now() + absl::Seconds(60);
      while (last == SCHED_IDLE && absl::Now() < end) last = sched_getscheduler(0);
      return absl::OkStatus();
    });
    Offer(monitor, {subject, baseline, true}, {1, 2});
    running.WaitForNotification();
    monitor.Forget(baseline);
    EXPECT_EQ(first, SCHED_IDLE);
    EXPECT_EQ(last, SCHED_OTHER);
  }
}

TEST_F(DriftMonitorTest, FailedRunsAreDroppedSamples) {
  DriftMonitor monitor({});
  const auto subject = Record("int8");
  const auto baseline = Record("fp32", [](const auto&) { return absl::InternalError("no"); });
  Offer(monitor, {subject, baseline, true}, {1, 2});
  monitor.AwaitDone();
  Offer(monitor, {subject, Record("fp32"), true}, {1, 2, 3});  // another shape
  monitor.AwaitDone();
  EXPECT_EQ(Total(*subject).samples(), 0);
  EXPECT_GE(Dropped(*subject), 2);
}

TEST_F(DriftMonitorTest, TellsOfAlarms) {
  DriftMonitor::Options options;
  std::vector<DriftRecord::Change> changes;
  options.on_change = [&](const std::shared_ptr<DriftRecord>& record, DriftRecord::Change change) {
    EXPECT_EQ(record->names().variant, "int8");
    changes.push_back(change);
  };
  DriftMonitor monitor(options);
  v1::DriftAlert alert;
  alert.set_min_sqnr_db(20);
  alert.set_min_samples(5);
  const auto subject = Record("int8", [](const auto&) { return absl::OkStatus(); }, alert), baseline = Record("fp32");
  for (int i = 0; i < 10; ++i) Offer(monitor, {subject, baseline, true}, {2, 1});
  monitor.AwaitDone();
  EXPECT_THAT(changes, ::testing::ElementsAre(DriftRecord::Change::kRaised));
}

}  // namespace
}  // namespace precis::server
