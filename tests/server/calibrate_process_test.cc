// Calibrate over the wire, on a real precisd: the demo's network without its calibration folder.

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fashion_images.h"
#include "tests/server/precisd_process.h"

namespace precis::server {
namespace {

using ::testing::HasSubstr;

class CalibrateProcessTest : public testing::Test {
 protected:
  CalibrateProcessTest() {
    std::filesystem::create_directories(files_.root() + "/fashion/1");
    std::filesystem::copy_file("demo/repository/fashion/1/model.onnx", files_.root() + "/fashion/1/model.onnx");
    Restart("fashion@fp32");
  }
  void Restart(const std::string& load) {
    server_.reset();
    server_ = std::make_unique<PrecisdProcess>(
        std::vector<std::string>{absl::StrCat("--model_repository=", files_.root()), absl::StrCat("--load=", load)});
    ready_ = server_->AwaitReady();
  }

  static v1::CalibrateRequest Start(const std::string& variant, const std::string& model = "fashion") {
    v1::CalibrateRequest request;
    request.mutable_start()->set_model(model);
    request.mutable_start()->set_variant(variant);
    return request;
  }
  static v1::CalibrateRequest Sample(const std::string& pixels) {
    v1::CalibrateRequest request;
    *request.mutable_sample() = FashionRequest(pixels);
    return request;
  }
  std::vector<v1::CalibrateRequest> Samples(v1::CalibrateRequest start) const {
    std::vector<v1::CalibrateRequest> requests = {std::move(start)};
    for (const std::string& image : images_) requests.push_back(Sample(image));
    return requests;
  }
  std::pair<v1::CalibrateResponse, grpc::Status> Calibrate(const std::vector<v1::CalibrateRequest>& requests) {
    grpc::ClientContext context;
    v1::CalibrateResponse response;
    const auto writer = server_->precision->Calibrate(&context, &response);
    for (const v1::CalibrateRequest& request : requests) {
      if (!writer->Write(request)) break;
    }
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    return {response, status};
  }
  void ExpectRefused(const std::vector<v1::CalibrateRequest>& requests, grpc::StatusCode code,
                     const std::string& words) {
    const grpc::Status status = Calibrate(requests).second;
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(words));
  }
  // The bytes of the answer to the first image.
  std::string Answer(const std::string& model) {
    grpc::ClientContext context;
    inference::ModelInferRequest request = FashionRequest(images_[0]);
    request.set_model_name(model);
    inference::ModelInferResponse response;
    const grpc::Status status = server_->inference->ModelInfer(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return status.ok() ? response.raw_output_contents(0) : "";
  }

  FakeFiles files_;
  const std::vector<std::string> images_ = FashionImages(50);
  std::unique_ptr<PrecisdProcess> server_;
  std::string ready_;
};

TEST_F(CalibrateProcessTest, LoadsAVariantThatAnswersLikeOneOfTheSameSamplesInAFolder) {
  const auto [response, status] = Calibrate(Samples(Start("int8")));
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.samples(), 50);
  EXPECT_EQ(response.variant().name(), "int8");
  EXPECT_EQ(response.variant().state(), v1::VariantStatus::READY);
  EXPECT_EQ(response.variant().policy().calibration().source(), v1::CalibrationPolicy::STREAM);
  const std::string streamed = Answer("fashion@int8");

  std::string header(kFashionHeaderBytes, ' ');
  std::ifstream(kFashionFile, std::ios::binary).read(header.data(), kFashionHeaderBytes);
  const size_t at = header.find("'shape': (");
  ASSERT_NE(at, std::string::npos);
  const size_t end = header.find(',', at);
  std::string count = "50";
  count.resize(end - at - strlen("'shape': ("), ' ');
  header.replace(at + strlen("'shape': ("), count.size(), count);
  for (const std::string& image : images_) header += image;
  files_.Write("fashion/calibration/image.npy", header);
  Restart("fashion@int8");
  EXPECT_THAT(ready_, HasSubstr("failed=0"));
  EXPECT_EQ(Answer("fashion@int8"), streamed);
}

TEST_F(CalibrateProcessTest, WhatWasStreamedOutlivesTheServer) {
  ASSERT_TRUE(Calibrate(Samples(Start("int8"))).second.ok());
  const std::string before = Answer("fashion@int8");
  Restart("fashion@int8");
  EXPECT_THAT(ready_, HasSubstr("failed=0"));
  EXPECT_EQ(Answer("fashion@int8"), before);
}

TEST_F(CalibrateProcessTest, NoRequestFailsWhileALiveVariantIsReplaced) {
  ASSERT_TRUE(Calibrate(Samples(Start("int8"))).second.ok());
  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0, failed = 0;
  std::thread client([&] {
    while (!stop) {
      grpc::ClientContext context;
      inference::ModelInferRequest request = FashionRequest(images_[0]);
      request.set_model_name("fashion@int8");
      inference::ModelInferResponse response;
      (server_->inference->ModelInfer(&context, request, &response).ok() ? answered : failed)++;
    }
  });
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Calibrate(Samples(Start("int8"))).second.ok());
  stop = true;
  client.join();
  EXPECT_GT(answered, 0);
  EXPECT_EQ(failed, 0);
}

TEST_F(CalibrateProcessTest, StopsAtThePolicysSampleLimit) {
  v1::CalibrateRequest start = Start("int8");
  start.mutable_start()->mutable_policy()->set_sample_limit(20);
  const auto [response, status] = Calibrate(Samples(start));
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.samples(), 20);
  EXPECT_EQ(response.variant().policy().calibration().sample_limit(), 20);
}

TEST_F(CalibrateProcessTest, AMixedVariantIsSearchedForOnTheStreamedSamples) {
  v1::CalibrateRequest start = Start("mixed");
  start.mutable_start()->mutable_precision_policy()->set_precision(v1::PrecisionPolicy::MIXED);
  start.mutable_start()->mutable_precision_policy()->mutable_mixed()->set_min_sqnr_db(40);
  const auto [response, status] = Calibrate(Samples(start));
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_GT(response.variant().policy().overrides_size(), 0);
  EXPECT_GT(response.variant().load_ms().at("search"), 0);
}

TEST_F(CalibrateProcessTest, RefusesABadSampleByItsNumberAndChangesNothing) {
  ASSERT_TRUE(Calibrate(Samples(Start("int8"))).second.ok());
  const std::string before = Answer("fashion@int8");
  std::vector<v1::CalibrateRequest> requests = Samples(Start("int8"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::string bad = images_[0];
  std::memcpy(bad.data() + 40, &nan, sizeof nan);
  requests[8] = Sample(bad);
  ExpectRefused(requests, grpc::StatusCode::INVALID_ARGUMENT,
                "calibration sample 7, input \"image\": holds NaN or infinity");
  requests[8] = Sample(images_[0]);
  requests[8].mutable_sample()->mutable_inputs(0)->set_shape(2, 27);
  ExpectRefused(requests, grpc::StatusCode::INVALID_ARGUMENT, "calibration sample 7: ");
  requests[8] = Sample(images_[0]);
  requests[8].mutable_sample()->mutable_inputs(0)->set_name("picture");
  ExpectRefused(requests, grpc::StatusCode::INVALID_ARGUMENT, "picture");
  EXPECT_EQ(Answer("fashion@int8"), before);
}

TEST_F(CalibrateProcessTest, RefusesStreamsThatMakeNoSense) {
  using grpc::StatusCode;
  ExpectRefused({}, StatusCode::INVALID_ARGUMENT, "start");
  ExpectRefused({Sample(images_[0])}, StatusCode::INVALID_ARGUMENT, "start");
  ExpectRefused({Start("int8")}, StatusCode::FAILED_PRECONDITION, "no calibration samples");
  ExpectRefused({Start("int8"), Start("int8")}, StatusCode::INVALID_ARGUMENT, "`sample`");
  ExpectRefused({Start("fp32"), Sample(images_[0])}, StatusCode::INVALID_ARGUMENT, "needs no calibration");
  ExpectRefused({Start("nonsense")}, StatusCode::NOT_FOUND, "nonsense");
  ExpectRefused({Start("int8", "unknown")}, StatusCode::NOT_FOUND, "unknown");
  v1::CalibrateRequest start = Start("int8");
  start.mutable_start()->mutable_policy()->set_source(v1::CalibrationPolicy::FILES);
  ExpectRefused({start}, StatusCode::INVALID_ARGUMENT, "calibration.source");
  start.mutable_start()->mutable_policy()->set_source(v1::CalibrationPolicy::LIVE_TRAFFIC);
  ExpectRefused({start}, StatusCode::INVALID_ARGUMENT, "calibration.source: LIVE_TRAFFIC");
}

TEST_F(CalibrateProcessTest, ACancelledStreamChangesNothing) {
  ASSERT_TRUE(Calibrate(Samples(Start("int8"))).second.ok());
  const std::string before = Answer("fashion@int8");
  for (int i = 0; i < 30; ++i) {
    grpc::ClientContext context;
    v1::CalibrateResponse response;
    const auto writer = server_->precision->Calibrate(&context, &response);
    ASSERT_TRUE(writer->Write(Start("int8")) && writer->Write(Sample(images_[0])));
    std::this_thread::sleep_for(
        std::chrono::milliseconds(i));  // the server is anywhere between the start and the next read
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_EQ(Answer("fashion@int8"), before);
}

TEST_F(CalibrateProcessTest, MoreStreamsThanMayRunAtOnceAreRefused) {
  constexpr size_t kStreams = 3;  // one more than may run
  std::array<grpc::ClientContext, kStreams> contexts;
  std::array<grpc::Status, kStreams> ends;
  std::atomic<int> refused{-1};
  std::vector<std::thread> streams;
  for (size_t i = 0; i < kStreams; ++i) {
    streams.emplace_back([&, i] {
      v1::CalibrateResponse response;
      const auto writer = server_->precision->Calibrate(&contexts[i], &response);
      writer->Write(Start("int8"));
      ends[i] = writer->Finish();  // while the stream is open: the server has refused it, or it was cancelled
      int none = -1;
      if (refused.compare_exchange_strong(none, static_cast<int>(i))) refused.notify_all();
    });
  }
  refused.wait(-1);
  const auto first = static_cast<size_t>(refused.load());
  for (size_t i = 0; i < kStreams; ++i) {
    if (i != first) contexts[i].TryCancel();
  }
  for (std::thread& stream : streams) stream.join();
  for (size_t i = 0; i < kStreams; ++i) {
    const auto want = i == first ? grpc::StatusCode::RESOURCE_EXHAUSTED : grpc::StatusCode::CANCELLED;
    EXPECT_EQ(ends[i].error_code(), want) << ends[i].error_message();
  }
  grpc::Status status = grpc::Status::CANCELLED;
  for (int i = 0; i < 1000 && !status.ok(); ++i) status = Calibrate(Samples(Start("int8"))).second;
  EXPECT_TRUE(status.ok()) << status.error_message();
}

}  // namespace
}  // namespace precis::server
