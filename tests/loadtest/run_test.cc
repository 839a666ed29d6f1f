#include "loadtest/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "loadtest/requests.h"
#include "tests/client/fake_server.h"

namespace precis::loadtest {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::Pair;

class RunTest : public ::testing::Test {
 protected:
  RunTest() {
    options_.warmup = milliseconds(0);
    options_.duration = milliseconds(300);
    load_.concurrency = 2;
  }

  // What a run against the server gives, with so many retries.
  RunResult Go(int retries = 0, absl::Duration deadline = absl::Seconds(10)) {
    client::ClientOptions options;
    options.target = server_.target();
    const auto requests = *MakeRequests(**Client::Connect(options), "net", {});
    options.deadline = deadline;
    options.retry = {1 + retries, absl::Milliseconds(1), absl::Milliseconds(2)};
    const auto caller = *InferCaller::Connect(options, 1);
    return loadtest::Run(*caller, requests, load_, options_, report_, stop_);
  }

  FakeServer server_;
  Load load_;
  RunOptions options_;
  std::function<void(const Progress&)> report_;
  std::atomic<bool> stop_ = false;
};

TEST_F(RunTest, ClosedLoopKeepsSoManyCallsInside) {
  std::atomic<int> inside = 0, most = 0;
  server_.inference.on_infer = [&](const auto&, auto*) {
    most = std::max<int>(most, ++inside);
    absl::SleepFor(absl::Milliseconds(5));
    --inside;
    return grpc::Status::OK;
  };
  load_.concurrency = 3;
  const RunResult result = Go();
  EXPECT_EQ(most, 3);
  EXPECT_EQ(result.total.calls, result.total.latency.count());
  EXPECT_GE(result.total.latency.min(), 5'000'000);
  EXPECT_EQ(result.total.failed(), 0);
  EXPECT_NEAR(result.throughput(), static_cast<double>(result.total.answers) / 0.3, 0.1);
  EXPECT_EQ(server_.inference.infer_calls, result.total.calls + result.outside.calls);
}

TEST_F(RunTest, OpenLoopSendsAtItsRateThoughTheServerStalls) {
  // One call of 250 ms holds up all others. With waiting clients one latency would show it; here every call that was due does.
  absl::Mutex one_at_a_time;
  std::atomic<int> call = 0;
  server_.inference.on_infer = [&](const auto&, auto*) {
    const absl::MutexLock lock(&one_at_a_time);
    if (call++ == 0) absl::SleepFor(absl::Milliseconds(250));
    return grpc::Status::OK;
  };
  load_ = {.concurrency = 0, .rate = 200, .arrivals = Arrivals::kUniform};
  const RunResult result = Go();
  EXPECT_NEAR(static_cast<double>(result.total.calls), 60, 1);
  EXPECT_EQ(result.total.latency.count(), result.total.calls);
  // Due at 5, 10, … 250 ms and answered at 250 at the earliest: half of all waited 100 ms or more.
  EXPECT_GT(result.total.latency.Percentile(50), 80'000'000);
}

TEST_F(RunTest, ARetriedCallCountsOnceAndFailsOnlyWhenItsRetriesAreSpent) {
  std::atomic<int> call = 0;
  server_.inference.on_infer = [&](const auto&, auto*) {
    return call++ % 3 == 0 ? grpc::Status::OK : grpc::Status(grpc::StatusCode::UNAVAILABLE, "busy");
  };
  load_.concurrency = 1;
  const RunResult result = Go(/*retries=*/2);
  EXPECT_GT(result.total.calls, 2);
  EXPECT_EQ(result.total.failed(), 0);
  // The first call succeeds at once, every other one at its third attempt.
  EXPECT_EQ(result.total.retries, 2 * (result.total.calls - 1));
}

TEST_F(RunTest, ErrorsGoByCodeAndOnlyUnavailableIsRetried) {
  std::atomic<int> call = 0;
  server_.inference.on_infer = [&](const auto&, auto*) {
    return call++ % 2 == 0 ? grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "queue is full") : grpc::Status::OK;
  };
  load_.concurrency = 1;
  const RunResult result = Go(/*retries=*/3);
  EXPECT_EQ(result.total.retries, 0);
  EXPECT_NEAR(static_cast<double>(result.total.failed()), static_cast<double>(result.total.calls) / 2, 1);
  EXPECT_THAT(result.total.errors, ElementsAre(Pair("RESOURCE_EXHAUSTED", result.total.failed())));
  EXPECT_THAT(result.total.first_error, ElementsAre(Pair("RESOURCE_EXHAUSTED", "queue is full")));
  EXPECT_EQ(result.total.latency.count(), result.total.calls - result.total.failed());
}

TEST_F(RunTest, ADeadlineEndsACall) {
  server_.inference.on_infer = [](const auto&, auto*) {
    absl::SleepFor(absl::Milliseconds(300));
    return grpc::Status::OK;
  };
  load_.concurrency = 1;
  const RunResult result = Go(0, absl::Milliseconds(60));
  EXPECT_GT(result.total.calls, 1);
  EXPECT_THAT(result.total.errors, ElementsAre(Pair("DEADLINE_EXCEEDED", result.total.calls)));
}

TEST_F(RunTest, UnreachableServerIsNotHammered) {
  server_.inference.on_infer = [](const auto&, auto*) { return grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone"); };
  load_.concurrency = 2;
  const RunResult result = Go();
  EXPECT_GT(result.total.calls, 2);
  EXPECT_LT(result.total.calls, 2 * 8);  // 300 ms, a pause of 50 ms ahead of each further call
  EXPECT_EQ(result.throughput(), 0);
}

TEST_F(RunTest, WarmUpIsNotMeasured) {
  options_.warmup = milliseconds(200);
  const RunResult result = Go();
  EXPECT_GT(result.outside.calls, 0);
  EXPECT_EQ(result.total.calls + result.outside.calls, server_.inference.infer_calls);
  EXPECT_DOUBLE_EQ(result.seconds, 0.3);
}

TEST_F(RunTest, GoesOnUntilStableAndReportsTheLastWindows) {
  // Fast answers for two windows and a half, then slow ones: the first three windows do not agree.
  const Clock::time_point start = Clock::now();
  server_.inference.on_infer = [&](const auto&, auto*) {
    absl::SleepFor(absl::Milliseconds(Clock::now() < start + milliseconds(750) ? 1 : 80));
    return grpc::Status::OK;
  };
  options_.duration = milliseconds(900);
  options_.until_stable = std::chrono::seconds(40);
  options_.stability = 0.2;
  const RunResult result = Go();
  EXPECT_TRUE(result.stable);
  EXPECT_EQ(result.windows.size(), 3u);
  EXPECT_GT(result.outside.calls, 0);
  EXPECT_GE(result.total.latency.Percentile(50), 80'000'000);
}

TEST_F(RunTest, StopEndsItEarlyAndKeepsWhatWasMeasured) {
  options_.duration = std::chrono::seconds(100);
  options_.window = milliseconds(100);
  report_ = [&](const Progress& progress) {
    if (!progress.warming_up && progress.fraction > 0.003) stop_ = true;
  };
  const RunResult result = Go();
  EXPECT_TRUE(result.interrupted);
  EXPECT_GE(result.windows.size(), 3u);
  EXPECT_LT(result.seconds, 50);
  EXPECT_GT(result.throughput(), 0);
  EXPECT_EQ(result.total.calls, server_.inference.infer_calls);  // none of the last, unfinished window is missing
}

TEST_F(RunTest, StopWithinTheFirstWindowReportsIt) {
  options_.duration = std::chrono::hours(1);
  report_ = [&](const Progress& progress) { stop_ = progress.throughput > 0; };
  const RunResult result = Go();
  EXPECT_TRUE(result.windows.empty());
  EXPECT_EQ(result.total.calls, server_.inference.infer_calls);
  EXPECT_GT(result.seconds, 0);
  EXPECT_LT(result.seconds, 60);
}

}  // namespace
}  // namespace precis::loadtest
