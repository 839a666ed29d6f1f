// Compare over the wire, on a real precisd.

#include <limits>
#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fashion_images.h"
#include "tests/server/precisd_process.h"

namespace precis::server {
namespace {

using ::testing::HasSubstr;

// The demo's network, on images that it has for calibration.
class CompareProcessTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ =
        new PrecisdProcess({"--model_repository=demo/repository", "--load=fashion@fp32,fashion@bf16,fashion@int8"});
    EXPECT_THAT(server_->AwaitReady(), HasSubstr("failed=0"));
    images_ = FashionImages(100);
    ASSERT_EQ(images_.size(), 100u);
  }
  static void TearDownTestSuite() { delete server_; }

  static v1::CompareRequest Start(const std::vector<std::string>& variants, const std::string& model = "fashion",
                                  const std::string& reference = "") {
    v1::CompareRequest request;
    request.mutable_start()->set_model(model);
    request.mutable_start()->set_reference(reference);
    for (const std::string& variant : variants) request.mutable_start()->add_variants(variant);
    return request;
  }
  static v1::CompareRequest Sample(size_t image, std::optional<int64_t> label = std::nullopt) {
    v1::CompareRequest request;
    *request.mutable_sample()->mutable_request() = FashionRequest(images_[image]);
    if (label) request.mutable_sample()->set_label(*label);
    return request;
  }
  static std::pair<v1::CompareResponse, grpc::Status> Compare(const std::vector<v1::CompareRequest>& requests) {
    grpc::ClientContext context;
    v1::CompareResponse response;
    const auto writer = server_->precision->Compare(&context, &response);
    for (const v1::CompareRequest& request : requests) writer->Write(request);
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    return {response, status};
  }
  static void ExpectRefused(const std::vector<v1::CompareRequest>& requests, grpc::StatusCode code,
                            const std::string& words) {
    const grpc::Status status = Compare(requests).second;
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(words));
  }

  static PrecisdProcess* server_;
  static std::vector<std::string> images_;
};
PrecisdProcess* CompareProcessTest::server_ = nullptr;
std::vector<std::string> CompareProcessTest::images_;

TEST_F(CompareProcessTest, MeasuresEveryVariantAgainstTheReference) {
  std::vector<v1::CompareRequest> requests = {Start({"int8", "fp32"})};
  for (size_t i = 0; i < 100; ++i) requests.push_back(Sample(i, static_cast<int64_t>(i % 10)));
  const auto [response, status] = Compare(requests);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.variants_size(), 2);
  EXPECT_EQ(response.reference(), "fp32");
  EXPECT_GT(response.peak_bandwidth_bytes_per_second(), 0);
  const auto &int8 = response.variants(0), &fp32 = response.variants(1);
  EXPECT_EQ(int8.variant(), "int8");
  EXPECT_EQ(fp32.agreement(), 1);
  EXPECT_EQ(fp32.sqnr_db(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(fp32.top1_difference(), 0);
  EXPECT_EQ(fp32.mcnemar_p(), 1);
  EXPECT_GT(int8.agreement(), 0.9);
  EXPECT_GT(int8.sqnr_db(), 15);
  EXPECT_LT(int8.sqnr_db(), 60);
  EXPECT_LT(int8.sqnr_db_low(), int8.sqnr_db());
  EXPECT_GT(int8.max_abs_error(), 0);
  EXPECT_NEAR(int8.top1_difference(), int8.top1() - fp32.top1(), 1e-12);
  EXPECT_LT(int8.weight_bytes(), fp32.weight_bytes());
  for (const auto& row : response.variants()) {
    EXPECT_EQ(row.samples(), 100);
    EXPECT_GT(row.latency_ms_p50(), 0);
    EXPECT_GE(row.latency_ms_p90(), row.latency_ms_p50());
    EXPECT_GE(row.latency_ms_p99(), row.latency_ms_p90());
    EXPECT_GT(row.bytes_per_second(), 0);
  }
}

TEST_F(CompareProcessTest, RunsTheReferenceTooAndDoesWithoutLabels) {
  const auto [response, status] = Compare({Start({"bf16"}), Sample(0)});
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.variants_size(), 2);
  EXPECT_EQ(response.variants(0).variant(), "fp32");
  EXPECT_FALSE(response.variants(1).has_top1());
  EXPECT_FALSE(response.variants(1).has_sqnr_db_low());  // one sample has no interval
}

TEST_F(CompareProcessTest, BadStreamsAreRefusedWithTheReason) {
  const v1::CompareRequest sample = Sample(0);
  ExpectRefused({}, grpc::StatusCode::INVALID_ARGUMENT, "start");
  ExpectRefused({sample}, grpc::StatusCode::INVALID_ARGUMENT, "start");
  ExpectRefused({Start({"fp32"})}, grpc::StatusCode::INVALID_ARGUMENT, "no samples");
  ExpectRefused({Start({"fp32"}), Start({"fp32"})}, grpc::StatusCode::INVALID_ARGUMENT, "sample");
  ExpectRefused({Start({})}, grpc::StatusCode::INVALID_ARGUMENT, "variants");
  ExpectRefused({Start({"bf16", "bf16"})}, grpc::StatusCode::INVALID_ARGUMENT, "twice");
  ExpectRefused({Start({"fp32"}, "other"), sample}, grpc::StatusCode::NOT_FOUND, "other");
  ExpectRefused({Start({"fp16"}), sample}, grpc::StatusCode::NOT_FOUND, "fp16");
  ExpectRefused({Start({"fp32"}, "fashion", "fp16"), sample}, grpc::StatusCode::NOT_FOUND, "fp16");
  v1::CompareRequest wrong = sample;
  wrong.mutable_sample()->mutable_request()->mutable_inputs(0)->set_datatype("INT32");
  ExpectRefused({Start({"fp32"}), wrong}, grpc::StatusCode::INVALID_ARGUMENT, "image");
}

}  // namespace
}  // namespace precis::server
