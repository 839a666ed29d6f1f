#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/metrics/memory_bandwidth.h"
#include "server/metrics/server_metrics.h"

namespace precis::server {
namespace {

using ::testing::HasSubstr;

TEST(ServerMetricsTest, ShowsEverySeriesUnderItsContractName) {
  ServerMetrics metrics;
  VariantMetrics* net = metrics.ForVariant("net", "1", "int8");
  StageTimes times;
  times.total = absl::Milliseconds(2);
  times.compute = absl::Milliseconds(1);
  net->CountSuccess(times);
  net->CountFailure(absl::StatusCode::kInvalidArgument);
  net->CountRun(2, 1000, 500, absl::Microseconds(1));
  net->AddInflight(1);
  net->SetQueueDepth(3);
  net->ObserveLoad({{"calibrate", 1500}});
  net->SetMemory(4096, 8192);
  metrics.SetBuildInfo("1.2.3", "3.7.2", "AVX512_CORE");
  metrics.SetPeakBandwidth(2e10);
  const std::string text = metrics.Text();
  const std::string labels = R"(model="net",variant="int8",version="1")";
  for (const std::string& line : {
           "precis_requests_total{code=\"OK\"," + labels + "} 1",
           "precis_requests_total{code=\"INVALID_ARGUMENT\"," + labels + "} 1",
           std::string(
               "precis_request_duration_seconds_bucket{model=\"net\",stage=\"total\",variant=\"int8\",version=\"1\","
               "le=\"0.0025\"} 1"),
           std::string("stage=\"queue\""),
           std::string("stage=\"input\""),
           std::string("stage=\"output\""),
           "precis_batch_size_sum{" + labels + "} 2",
           "precis_queue_depth{" + labels + "} 3",
           "precis_inflight_requests{" + labels + "} 1",
           std::string("precis_model_load_duration_seconds_sum{model=\"net\",phase=\"calibrate\""),
           "precis_memory_bytes_total{kind=\"weights\"," + labels + "} 1000",
           "precis_memory_bytes_total{kind=\"activations\"," + labels + "} 500",
           "precis_memory_bandwidth_bytes_per_second{" + labels + "} 1500000000",
           std::string("precis_memory_bandwidth_peak_bytes_per_second 20000000000"),
           "precis_weight_bytes{" + labels + "} 4096",
           "precis_arena_bytes{" + labels + "} 8192",
           std::string("precis_build_info{isa=\"AVX512_CORE\",onednn=\"3.7.2\",version=\"1.2.3\"} 1"),
           std::string("process_resident_memory_bytes"),
           std::string("process_cpu_seconds_total"),
           std::string("process_open_fds"),
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(ServerMetricsTest, FailedRequestsHaveNoDuration) {
  ServerMetrics metrics;
  metrics.ForVariant("net", "1", "fp32")->CountFailure(absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(metrics.Text(), HasSubstr(R"(stage="total",variant="fp32",version="1"} 0)"));
}

TEST(ServerMetricsTest, GivesTheSameSeriesForTheSameLabels) {
  ServerMetrics metrics;
  EXPECT_EQ(metrics.ForVariant("net", "1", "fp32"), metrics.ForVariant("net", "1", "fp32"));
  EXPECT_NE(metrics.ForVariant("net", "1", "fp32"), metrics.ForVariant("net", "2", "fp32"));
}

TEST(ServerMetricsTest, CountsRequestsThatReachNoModelWithoutTheirNames) {
  ServerMetrics metrics;
  metrics.CountUnrouted(absl::StatusCode::kNotFound);
  EXPECT_THAT(metrics.Text(), HasSubstr(R"(precis_requests_total{code="NOT_FOUND",model="",variant="",version=""} 1)"));
}

TEST(ServerMetricsTest, ListensOnAFreePortAndSaysWhenOneIsTaken) {
  ServerMetrics first, second;
  const auto port = first.Listen("127.0.0.1", 0);
  ASSERT_TRUE(port.ok()) << port.status();
  EXPECT_GT(*port, 0);
  EXPECT_TRUE(absl::IsUnavailable(second.Listen("127.0.0.1", *port).status()));
}

TEST(MemoryBandwidthTest, IsSomethingAMachineCouldDo) {
  const double bandwidth = MeasureReadBandwidth(2);
  EXPECT_GT(bandwidth, 1e8);
  EXPECT_LT(bandwidth, 1e13);
}

}  // namespace
}  // namespace precis::server
