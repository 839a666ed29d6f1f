#include "server/batching/worker_pool.h"

#include <atomic>
#include <barrier>
#include <thread>

#include "absl/synchronization/blocking_counter.h"
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
