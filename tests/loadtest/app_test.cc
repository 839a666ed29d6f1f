// The program as a whole, against a server in this process.

#include "loadtest/app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "tests/client/fake_server.h"

namespace precis::loadtest {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class AppTest : public ::testing::Test {
 protected:
  int Go(std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"precis_loadtest", "--target=" + server_.target()});
    std::vector<const char*> argv;
    for (const std::string& flag : flags) argv.push_back(flag.c_str());
    out_.str("");
    err_.str("");
    const std::atomic<bool> stop = false;
    return RunApp(static_cast<int>(argv.size()), argv.data(), out_, err_, false, stop);
  }
  int64_t Lines() const {
    const std::string text = out_.str();
    return std::count(text.begin(), text.end(), '\n');
  }
  Json Result() const { return Json::parse(out_.str()); }

  FakeServer server_;
  std::ostringstream out_, err_;
};

TEST_F(AppTest, JsonHasTheContractsKeys) {
  ASSERT_EQ(Go({"--model=net", "--concurrency=2", "--duration=300ms", "--warmup=50ms", "--json"}), 0) << err_.str();
  EXPECT_EQ(Lines(), 1);
  const Json result = Result();
  EXPECT_GT(result["throughput"], 0);
  EXPECT_GT(result["calls"], 0);
  EXPECT_EQ(result["errors"], Json::object());
  const Json& latency = result["latency_ms"];
  EXPECT_GT(latency["p50"], 0);
  EXPECT_LE(latency["p50"], latency["p90"]);
  EXPECT_LE(latency["p90"], latency["p99"]);
  EXPECT_LE(latency["p99"], latency["p99_9"]);
}

TEST_F(AppTest, TextSaysTheSame) {
  ASSERT_EQ(Go({"--model=net@int8", "--rate=100", "--duration=300ms", "--warmup=0s"}), 0) << err_.str();
  EXPECT_THAT(out_.str(),
              HasSubstr("net@int8 at " + server_.target() + ", open loop, 100.0 calls/s, Poisson arrivals"));
  EXPECT_THAT(out_.str(), HasSubstr("p99.9"));
  EXPECT_THAT(out_.str(), HasSubstr("0 failed"));
}

TEST_F(AppTest, AShareOfTheCapacityIsMeasuredFirst) {
  server_.inference.on_infer = [](const auto&, auto*) {
    absl::SleepFor(absl::Milliseconds(10));
    return grpc::Status::OK;
  };
  ASSERT_EQ(Go({"--model=net", "--rate=50%", "--capacity-clients=1", "--duration=400ms", "--warmup=0s", "--json"}), 0);
  const Json load = Result()["load"];
  EXPECT_GT(load["capacity"], 20);
  EXPECT_LT(load["capacity"], 100);  // one client, 10 ms a call
  EXPECT_DOUBLE_EQ(load["rate"], 0.5 * load["capacity"].get<double>());
}

TEST_F(AppTest, SearchFindsTheRateThatOneServerKeeps) {
  absl::Mutex one_at_a_time;  // 5 ms each: 200 calls a second at most, and queues grow long before
  server_.inference.on_infer = [&](const auto&, auto*) {
    const absl::MutexLock lock(&one_at_a_time);
    absl::SleepFor(absl::Milliseconds(5));
    return grpc::Status::OK;
  };
  ASSERT_EQ(
      Go({"--model=net", "--search-p99=40ms", "--search-precision=0.3", "--duration=500ms", "--warmup=50ms", "--json"}),
      0)
      << out_.str() << err_.str();
  const Json result = Result(), search = result["search"];
  EXPECT_GT(search["rate"], 10);
  EXPECT_LT(search["rate"], 200);
  EXPECT_TRUE(search["confirmed"]);
  EXPECT_LE(result["latency_ms"]["p99"], 40);
  EXPECT_EQ(result["load"]["rate"], search["rate"]);
  EXPECT_GE(search["tried"].size(), 3u);
  EXPECT_EQ(Go({"--model=net", "--search-p99=1ms", "--duration=100ms", "--warmup=0s"}), 1);
  EXPECT_THAT(out_.str(), HasSubstr("no rate keeps it"));
}

TEST_F(AppTest, SideBySideTakesTurnsAndCompares) {
  std::vector<std::string> order;
  absl::Mutex mutex;
  server_.inference.on_infer = [&](const inference::ModelInferRequest& request, auto*) {
    const bool slow = request.model_name() == "net@int8";
    absl::SleepFor(absl::Milliseconds(slow ? 60 : 2));
    const absl::MutexLock lock(&mutex);
    if (order.empty() || order.back() != request.model_name()) order.push_back(request.model_name());
    return grpc::Status::OK;
  };
  ASSERT_EQ(Go({"--model=net@fp32", "--against-model=net@int8", "--concurrency=1", "--duration=1200ms", "--slice=300ms",
                "--warmup=0s", "--json"}),
            0);
  const Json result = Result();
  EXPECT_EQ(result["a"]["model"], "net@fp32");
  EXPECT_EQ(result["b"]["model"], "net@int8");
  EXPECT_EQ(result["a"]["windows"].size(), 4u);
  EXPECT_GT(result["b_over_a"]["p50"]["median"], 1.5);
  EXPECT_LT(result["b_over_a"]["throughput"]["median"], 0.7);
  // a b, b a, a b, b a
  EXPECT_THAT(order, ::testing::ElementsAre("net@fp32", "net@int8", "net@fp32", "net@int8", "net@fp32"));
}

TEST_F(AppTest, ScenariosRunInTurnAndGoToOneTable) {
  const std::string path = ::testing::TempDir() + "/precis_loadtest_scenarios.json";
  std::ofstream(path) << R"({"one": {"model": "net", "concurrency": 1, "duration": "60s"},
                            "sides, two": {"model": "net", "against-model": "net@int8", "rate": 100, "slice": "50ms"}})";
  const std::vector<std::string> flags = {"--scenarios=" + path, "--duration=100ms", "--warmup=0s"};
  auto with = [&](const std::string& flag) {
    auto all = flags;
    all.push_back(flag);
    return all;
  };
  ASSERT_EQ(Go(with("--json")), 0) << err_.str();
  EXPECT_EQ(Result()["scenarios"][0]["scenario"], "one");
  EXPECT_NEAR(Result()["scenarios"][0]["duration_s"], 0.1, 0.001);
  EXPECT_EQ(Result()["scenarios"][1]["b"]["model"], "net@int8");
  ASSERT_EQ(Go(with("--csv")), 0) << err_.str();
  EXPECT_EQ(Lines(), 4);  // a heading, one, and two sides
  EXPECT_THAT(out_.str(), HasSubstr("\n\"sides, two\"," + server_.target() + ",net@int8,,100"));
  ASSERT_EQ(Go(flags), 0);
  EXPECT_THAT(out_.str(), HasSubstr("== one"));
  EXPECT_THAT(out_.str(), HasSubstr("second over first"));
}

TEST_F(AppTest, AMistakeInTheLastScenarioIsFoundAheadOfTheFirst) {
  const std::string path = ::testing::TempDir() + "/precis_loadtest_mistake.json";
  std::ofstream(path) << R"({"good": {"model": "net", "concurrency": 1}, "bad": {"model": "net", "rate": "often"}})";
  EXPECT_EQ(Go({"--scenarios=" + path}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("scenario \"bad\": --rate=often"));
  EXPECT_EQ(server_.inference.infer_calls, 0);
}

TEST_F(AppTest, UnknownModelIsTheServersNo) {
  EXPECT_EQ(Go({"--model=other", "--concurrency=1", "--json"}), 1);
  EXPECT_EQ(Result()["error"]["code"], "NOT_FOUND");
  EXPECT_THAT(err_.str(), HasSubstr("other"));
}

TEST_F(AppTest, NoCallThatSucceedsIsARefusal) {
  server_.inference.on_infer = [](const auto&, auto*) { return grpc::Status(grpc::StatusCode::INTERNAL, "broken"); };
  EXPECT_EQ(Go({"--model=net", "--concurrency=1", "--duration=100ms", "--warmup=0s", "--json"}), 1);
  EXPECT_TRUE(Result()["latency_ms"]["p50"].is_null());
  EXPECT_EQ(Result()["errors"]["INTERNAL"], Result()["calls"]);
  EXPECT_EQ(Result()["error_messages"]["INTERNAL"], "broken");
}

TEST_F(AppTest, WrongUsageIsSaid) {
  EXPECT_EQ(Go({"--model=net"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("either --concurrency=N or --rate=R"));
  EXPECT_EQ(Go({"--model=net", "--rate=5", "--data=/nowhere"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("/nowhere"));
  EXPECT_EQ(Go({"--model=net", "--rate=5", "--shape=q=1"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("no such input"));
  EXPECT_EQ(Go({"--help"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("--concurrency"));
}

TEST_F(AppTest, BatchesGoWhereTheModelLeavesTheFirstDimensionOpen) {
  std::atomic<int> rows = 0;
  server_.inference.on_infer = [&](const inference::ModelInferRequest& request, auto*) {
    rows = static_cast<int>(request.inputs(0).shape(0));
    return grpc::Status::OK;
  };
  ASSERT_EQ(Go({"--model=net", "--concurrency=1", "--batch=4", "--duration=100ms", "--warmup=0s", "--json"}), 0);
  EXPECT_EQ(rows, 4);
  EXPECT_DOUBLE_EQ(Result()["items_per_second"], 4 * Result()["throughput"].get<double>());
}

}  // namespace
}  // namespace precis::loadtest
