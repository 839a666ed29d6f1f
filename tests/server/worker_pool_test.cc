#include "server/batching/worker_pool.h"

#include <atomic>
#include <barrier>
#include <thread>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fake_variant.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A clock that stands still until it is told otherwise.
class FakeClock {
 public:
  absl::Time Now() const { return absl::FromUnixMicros(now_us_.load()); }
  void Advance(absl::Duration by) { now_us_ += absl::ToInt64Microseconds(by); }

 private:
  std::atomic<int64_t> now_us_{1'000'000};
};

class WorkerPoolTest : public testing::Test {
 protected:
  // A pool whose runs call `run`.
  void MakePool(FakeVariant::RunFunction run, WorkerPoolOptions options, VariantMetrics* metrics = nullptr) {
    options.clock = [this] { return clock_.Now(); };
    auto pool = WorkerPool::Create(std::make_shared<FakeVariant>(std::move(run)), options, metrics);
    ASSERT_TRUE(pool.ok()) << pool.status();
    pool_ = *std::move(pool);
  }
  // One worker that waits in every run until `release_`.
  void MakeBlockedPool(int queue_size) {
    MakePool(
        [this](const std::vector<TensorView>&) {
          if (!running_.HasBeenNotified()) running_.Notify();
          release_.WaitForNotification();
          return absl::OkStatus();
        },
        {.workers = 1, .queue_size = queue_size});
  }
  Job MakeJob(absl::AnyInvocable<void(JobResult)> done) {
    Job job;
    job.inputs = {input_.view()};
    job.done = std::move(done);
    return job;
  }
  // Submits a job that notes its status in `status`.
  void Submit(absl::Status* status, absl::BlockingCounter* counter, absl::Time deadline = absl::InfiniteFuture(),
              std::function<bool()> cancelled = nullptr) {
    Job job = MakeJob([status, counter](JobResult result) {
      *status = result.status;
      counter->DecrementCount();
    });
    job.deadline = deadline;
    job.cancelled = std::move(cancelled);
    pool_->Submit(std::move(job));
  }

  const std::thread::id main_thread_ = std::this_thread::get_id();
  FakeClock clock_;
  absl::Notification running_, release_;
  Tensor input_ = Tensor::From<float>({2}, {1, 2});
  std::unique_ptr<WorkerPool> pool_;
};

absl::Status Ok(const std::vector<TensorView>&) { return absl::OkStatus(); }

TEST_F(WorkerPoolTest, AnswersWithTheOutputs) {
  MakePool(Ok, {});
  absl::Notification done;
  pool_->Submit(MakeJob([&](JobResult result) {
    EXPECT_TRUE(result.status.ok());
    EXPECT_THAT(result.outputs.at(0).As<float>(), ElementsAre(1, 2));
    done.Notify();
  }));
  done.WaitForNotification();
}

TEST_F(WorkerPoolTest, PassesTheEnginesErrorOn) {
  MakePool([](const auto&) { return absl::InternalError("broken"); }, {});
  absl::Status status;
  absl::BlockingCounter done(1);
  Submit(&status, &done);
  done.Wait();
  EXPECT_EQ(status, absl::InternalError("broken"));
}

TEST_F(WorkerPoolTest, RunsWaitingJobsInOrder) {
  MakeBlockedPool(10);
  std::vector<int> order;
  absl::BlockingCounter done(4);
  for (int i = 0; i < 4; ++i) {
    pool_->Submit(MakeJob([&, i](const JobResult&) {
      order.push_back(i);  // one worker: one at a time
      done.DecrementCount();
    }));
  }
  release_.Notify();
  done.Wait();
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3));
}

TEST_F(WorkerPoolTest, RefusesWhatTheQueueCannotHold) {
  MakeBlockedPool(1);
  absl::Status first, second, third;
  absl::BlockingCounter done(2), refused(1);
  Submit(&first, &done);
  running_.WaitForNotification();
  Submit(&second, &done);
  Submit(&third, &refused);
  refused.Wait();
  EXPECT_TRUE(absl::IsResourceExhausted(third)) << third;
  release_.Notify();
  done.Wait();
  EXPECT_TRUE(first.ok() && second.ok());
}

TEST_F(WorkerPoolTest, DoesNotRunWhatIsPastItsDeadlineOrCancelled) {
  MakeBlockedPool(10);
  absl::Status first, late, cancelled;
  absl::BlockingCounter done(3);
  std::atomic<bool> gone = false;
  Submit(&first, &done);
  running_.WaitForNotification();
  Submit(&late, &done, clock_.Now() + absl::Milliseconds(5));
  Submit(&cancelled, &done, absl::InfiniteFuture(), [&] { return gone.load(); });
  clock_.Advance(absl::Milliseconds(5));
  gone = true;
  release_.Notify();
  done.Wait();
  EXPECT_TRUE(first.ok()) << first;
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  EXPECT_TRUE(absl::IsCancelled(cancelled)) << cancelled;
}

TEST_F(WorkerPoolTest, MakesRoomByAnsweringJobsThatNeedNotRun) {
  MakeBlockedPool(1);
  absl::Status first, late, next;
  absl::BlockingCounter late_done(1), done(2);
  Submit(&first, &done);
  running_.WaitForNotification();
  Submit(&late, &late_done, clock_.Now() + absl::Milliseconds(5));
  clock_.Advance(absl::Milliseconds(5));
  Submit(&next, &done);
  late_done.Wait();
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  release_.Notify();
  done.Wait();
  EXPECT_TRUE(next.ok()) << next;
}

TEST_F(WorkerPoolTest, RunsAsManyJobsAtOnceAsItHasWorkers) {
  std::barrier both(2);
  MakePool(
      [&](const auto&) {
        both.arrive_and_wait();  // only returns when the other worker is here too
        return absl::OkStatus();
      },
      {.workers = 2, .queue_size = 4});
  absl::Status first, second;
  absl::BlockingCounter done(2);
  Submit(&first, &done);
  Submit(&second, &done);
  done.Wait();
  EXPECT_TRUE(first.ok() && second.ok());
}

TEST_F(WorkerPoolTest, RunsShortJobsOnTheSubmittingThreadOnceItKnowsThem) {
  MakePool(Ok, {});
  const auto thread_of_next_run = [this] {
    std::thread::id id;
    absl::Notification done;
    pool_->Submit(MakeJob([&](const JobResult&) {
      id = std::this_thread::get_id();
      done.Notify();
    }));
    done.WaitForNotification();
    return id;
  };
  EXPECT_NE(thread_of_next_run(), std::this_thread::get_id());  // compiles, perhaps
  EXPECT_NE(thread_of_next_run(), std::this_thread::get_id());  // is measured
  EXPECT_EQ(thread_of_next_run(), std::this_thread::get_id());
  input_ = Tensor::From<float>({3}, {1, 2, 3});  // another shape is not known
  EXPECT_NE(thread_of_next_run(), std::this_thread::get_id());
}

TEST_F(WorkerPoolTest, NeverRunsLongJobsOnTheSubmittingThread) {
  MakePool(
      [this](const auto&) {
        clock_.Advance(WorkerPool::kInlineLimit);
        return absl::OkStatus();
      },
      {});
  for (int i = 0; i < 5; ++i) {
    absl::Notification done;
    pool_->Submit(MakeJob([&](const JobResult&) {
      EXPECT_NE(std::this_thread::get_id(), main_thread_);
      done.Notify();
    }));
    done.WaitForNotification();
  }
}

TEST_F(WorkerPoolTest, CountsRunsAndTheirBytes) {
  ServerMetrics metrics;
  MakePool(Ok, {}, metrics.ForVariant("net", "1", "fp32"));
  absl::Status status;
  absl::BlockingCounter done(1);
  Submit(&status, &done);
  done.Wait();
  EXPECT_THAT(metrics.Text(),
              HasSubstr(R"(precis_memory_bytes_total{kind="weights",model="net",variant="fp32",version="1"} 100)"));
}

// Runs of the fake model take 2 ms of the test's time whatever their size, so that larger ones pay, and are written down.
class BatchingTest : public WorkerPoolTest {
 protected:
  void MakeBatchingPool(Scheduling scheduling, int workers = 1) {
    scheduling.max_batch_size = 4;
    scheduling.dynamic_batching = true;
    // The sizes are chosen by measured times: once more where something else had the core meanwhile.
    for (int attempt = 0; attempt < 50; ++attempt) {
      auto pool = WorkerPool::Create(std::make_shared<FakeVariant>([this](const auto& inputs) { return Run(inputs); }),
                                     {.workers = workers, .queue_size = 100, .scheduling = scheduling}, nullptr);
      ASSERT_TRUE(pool.ok()) << pool.status();
      pool_ = *std::move(pool);
      if (pool_->batch_plan().sizes() == std::vector<int64_t>{1, 2, 4}) break;
    }
    ASSERT_THAT(pool_->batch_plan().sizes(), ElementsAre(1, 2, 4));
    recording_ = true;
  }
  absl::Status Run(const std::vector<TensorView>& inputs) {
    const absl::Time end = absl::Now() + absl::Milliseconds(2);
    while (absl::Now() < end) {
    }
    if (!recording_) return absl::OkStatus();
    if (!running_.HasBeenNotified()) running_.Notify();
    release_.WaitForNotification();
    absl::MutexLock lock(&mutex_);
    runs_.push_back(inputs[0].shape[0]);
    return absl::OkStatus();
  }
  // Submits items with these values as one request, expects them back.
  void Request(std::vector<float> values, absl::BlockingCounter* done, uint64_t priority = 0) {
    auto input = std::make_shared<Tensor>(Tensor::From<float>({static_cast<int64_t>(values.size())}, values));
    Job job;
    job.inputs = {input->view()};
    job.batch_size = static_cast<int64_t>(values.size());
    job.priority = priority;
    job.done = [this, input, values, done](JobResult result) {
      EXPECT_TRUE(result.status.ok()) << result.status;
      EXPECT_EQ(result.outputs.at(0).shape(), Shape{static_cast<int64_t>(values.size())});
      EXPECT_THAT(result.outputs.at(0).As<float>(), testing::ElementsAreArray(values));
      {
        absl::MutexLock lock(&mutex_);
        answered_.push_back(values[0]);
        for (int64_t items : result.runs) reported_ += items;
      }
      done->DecrementCount();
    };
    pool_->Submit(std::move(job));
  }

  std::atomic<bool> recording_ = false;
  absl::Mutex mutex_;
  std::vector<int64_t> runs_;    // sizes, in order
  std::vector<float> answered_;  // first item of each request, in order
  int64_t reported_ = 0;         // items of the runs that results tell of
};

TEST_F(BatchingTest, JoinsWhatWaitsAndGivesEveryRequestItsOwnRows) {
  ASSERT_NO_FATAL_FAILURE(MakeBatchingPool({}));
  absl::BlockingCounter done(6);
  Request({1}, &done);
  running_.WaitForNotification();
  Request({2}, &done);
  Request({3, 4}, &done);
  Request({5}, &done);
  Request({6, 7, 8}, &done);
  Request({9}, &done);
  release_.Notify();
  done.Wait();
  EXPECT_THAT(runs_, ElementsAre(1, 4, 4));
  EXPECT_THAT(answered_, ElementsAre(1, 2, 3, 5, 6, 9));
  EXPECT_EQ(reported_, 9);
}

TEST_F(BatchingTest, PadsWhereThatIsCheaperThanSeveralRuns) {
  ASSERT_NO_FATAL_FAILURE(MakeBatchingPool({}));
  absl::BlockingCounter done(2);
  Request({1}, &done);
  running_.WaitForNotification();
  Request({2, 3, 4}, &done);
  release_.Notify();
  done.Wait();
  EXPECT_THAT(runs_, ElementsAre(1, 4));
  EXPECT_EQ(reported_, 4);
}

TEST_F(BatchingTest, WaitsForAFullBatchNoLongerThanTheDelay) {
  Scheduling scheduling;
  scheduling.max_queue_delay = absl::Hours(1);
  ASSERT_NO_FATAL_FAILURE(MakeBatchingPool(scheduling));
  release_.Notify();
  absl::BlockingCounter done(4);
  for (float i = 0; i < 4; ++i) Request({i}, &done);
  done.Wait();
  EXPECT_THAT(runs_, ElementsAre(4));
  scheduling.max_queue_delay = absl::Milliseconds(5);
  pool_.reset();
  recording_ = false;
  ASSERT_NO_FATAL_FAILURE(MakeBatchingPool(scheduling));
  absl::BlockingCounter one(1);
  Request({7}, &one);  // nobody joins it
  one.Wait();
  EXPECT_THAT(runs_, ElementsAre(4, 1));
}

TEST_F(BatchingTest, RunsAPreferredSizeAsSoonAsItIsThere) {
  Scheduling scheduling;
  scheduling.max_queue_delay = absl::Hours(1);
  scheduling.preferred_batch_sizes = {2};
  ASSERT_NO_FATAL_FAILURE(MakeBatchingPool(scheduling));
  release_.Notify();
  absl::BlockingCounter done(2);
  Request({1}, &done);
  Request({2}, &done);
  done.Wait();
  EXPECT_THAT(runs_, ElementsAre(2));
}

TEST_F(BatchingTest, RunsTheUrgentFirst) {
  Scheduling scheduling;
  scheduling.levels.assign(2, QueuePolicy());
  scheduling.default_level = 1;
  ASSERT_NO_FATAL_FAILURE(MakeBatchingPool(scheduling));
  absl::BlockingCounter done(4);
  Request({1}, &done);
  running_.WaitForNotification();
  Request({2, 2, 2, 2}, &done);
  Request({3, 3, 3}, &done, 2);
  Request({4, 4, 4}, &done, 1);
  release_.Notify();
  done.Wait();
  EXPECT_THAT(answered_, ElementsAre(1, 4, 2, 3));
}

TEST_F(BatchingTest, LeavesWorkForOtherFreeWorkers) {
  Scheduling scheduling;
  scheduling.max_queue_delay = absl::Milliseconds(20);
  ASSERT_NO_FATAL_FAILURE(MakeBatchingPool(scheduling, /*workers=*/2));
  release_.Notify();
  absl::BlockingCounter done(2);
  Request({1}, &done);
  Request({2}, &done);
  done.Wait();
  EXPECT_THAT(runs_, ElementsAre(1, 1));
}

TEST_F(BatchingTest, KeepsTheOrderOfRequestsWhenAsked) {
  Scheduling scheduling;
  scheduling.preserve_ordering = true;
  ASSERT_NO_FATAL_FAILURE(MakeBatchingPool(scheduling, /*workers=*/3));
  release_.Notify();
  absl::BlockingCounter done(60);
  std::vector<float> expected;
  for (float i = 0; i < 60; ++i) {
    expected.push_back(i);
    Request(std::vector<float>(static_cast<size_t>(i) % 4 + 1, i), &done);
  }
  done.Wait();
  EXPECT_EQ(answered_, expected);
}

TEST_F(WorkerPoolTest, FinishesWhatIsQueuedBeforeItGoes) {
  MakeBlockedPool(10);
  absl::Status first, second;
  absl::BlockingCounter done(2);
  Submit(&first, &done);
  Submit(&second, &done);
  release_.Notify();
  pool_.reset();
  done.Wait();
  EXPECT_TRUE(first.ok() && second.ok());
}

}  // namespace
}  // namespace precis::server
