// Calibration by live traffic, on a real precisd: the demo's network without its calibration folder.

#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <limits>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fashion_images.h"
#include "tests/server/precisd_process.h"

namespace precis::server {
namespace {

using grpc::StatusCode;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kLivePolicy[] =
    "policies { name: \"int8\" policy { precision: INT8 calibration { source: LIVE_TRAFFIC sample_limit: 10 } } }";

v1::LoadVariantRequest LiveRequest(const std::string& variant, int64_t limit) {
  v1::LoadVariantRequest request;
  request.set_model("fashion");
  request.set_variant(variant);
  request.mutable_policy()->set_precision(v1::PrecisionPolicy::INT8);
  request.mutable_policy()->mutable_calibration()->set_source(v1::CalibrationPolicy::LIVE_TRAFFIC);
  request.mutable_policy()->mutable_calibration()->set_sample_limit(limit);
  return request;
}

// A LoadVariant on a thread of its own.
class Load {
 public:
  Load(PrecisdProcess& server, const v1::LoadVariantRequest& request)
      : thread_([this, &server, request] { Run(server, request); }) {}
  ~Load() {
    context_.TryCancel();
    if (thread_.joinable()) thread_.join();
  }

  // Blocks until it waits for requests and says so, or has ended.
  void AwaitWaiting() { AwaitDetail(" live samples"); }
  void AwaitDetail(const std::string& detail) {
    detail_ = detail;
    absl::MutexLock lock(&mutex_, absl::Condition(this, &Load::SaysOrEnded));
  }
  void Cancel() { context_.TryCancel(); }
  const grpc::Status& AwaitEnd() {
    if (thread_.joinable()) thread_.join();
    return status_;
  }
  // After AwaitEnd.
  std::vector<v1::LoadVariantProgress> messages() {
    absl::MutexLock lock(&mutex_);
    return messages_;
  }
  v1::VariantStatus variant() { return messages().empty() ? v1::VariantStatus() : messages().back().variant(); }

 private:
  void Run(PrecisdProcess& server, const v1::LoadVariantRequest& request) {
    const auto reader = server.precision->LoadVariant(&context_, request);
    for (v1::LoadVariantProgress message; reader->Read(&message);) {
      absl::MutexLock lock(&mutex_);
      messages_.push_back(message);
    }
    status_ = reader->Finish();
    absl::MutexLock lock(&mutex_);
    ended_ = true;
  }
  bool SaysOrEnded() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return ended_ || (!messages_.empty() && messages_.back().detail().ends_with(detail_));
  }

  grpc::ClientContext context_;
  std::string detail_;
  absl::Mutex mutex_;
  std::vector<v1::LoadVariantProgress> messages_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status status_;
  std::thread thread_;  // last: uses the others
};

class LiveTrafficProcessTest : public testing::Test {
 protected:
  LiveTrafficProcessTest() {
    std::filesystem::create_directories(files_.root() + "/fashion/1");
    std::filesystem::copy_file("demo/repository/fashion/1/model.onnx", files_.root() + "/fashion/1/model.onnx");
    Restart("fashion@fp32");
  }
  void Restart(const std::string& load) {
    server_.reset();
    server_ = std::make_unique<PrecisdProcess>(std::vector<std::string>{
        absl::StrCat("--model_repository=", files_.root()), absl::StrCat("--load=", load), "--drain_seconds=0"});
    ready_ = server_->AwaitReady();
  }

  // The bytes of the answer; empty when there is none.
  std::string Infer(const std::string& model, inference::ModelInferRequest request) {
    grpc::ClientContext context;
    request.set_model_name(model);
    inference::ModelInferResponse response;
    const grpc::Status status = server_->inference->ModelInfer(&context, request, &response);
    return status.ok() ? response.raw_output_contents(0) : "";
  }
  std::string Answer(const std::string& model, size_t image = 0) {
    return Infer(model, FashionRequest(images_[image]));
  }
  // Sends the images [first, last), one a request.
  void Send(const std::string& model, size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) EXPECT_NE(Answer(model, i), "");
  }
  v1::VariantStatus Status(const std::string& variant) {
    grpc::ClientContext context;
    v1::ListVariantsRequest request;
    request.set_model("fashion");
    v1::ListVariantsResponse response;
    EXPECT_TRUE(server_->precision->ListVariants(&context, request, &response).ok());
    for (const v1::VariantStatus& status : response.models(0).variants()) {
      if (status.name() == variant) return status;
    }
    return {};
  }
  // Where its state changes without the test's doing.
  void AwaitState(const std::string& variant, v1::VariantStatus::State state) {
    for (int i = 0; i < 2000 && Status(variant).state() != state; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(Status(variant).state(), state) << Status(variant).reason();
  }
  grpc::Status Unload(const std::string& variant) {
    grpc::ClientContext context;
    v1::UnloadVariantRequest request;
    request.set_model("fashion");
    request.set_variant(variant);
    v1::UnloadVariantResponse response;
    return server_->precision->UnloadVariant(&context, request, &response);
  }
  void ExpectEnd(Load& load, StatusCode code, const std::string& words) {
    const grpc::Status& status = load.AwaitEnd();
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(words));
  }
  void ExpectLoaded(Load& load) {
    const grpc::Status& status = load.AwaitEnd();
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  FakeFiles files_;
  const std::vector<std::string> images_ = FashionImages(100);
  std::unique_ptr<PrecisdProcess> server_;
  std::string ready_;
};

TEST_F(LiveTrafficProcessTest, LoadsTheVariantThatCalibrateLoadsForTheSameSamples) {
  Load load(*server_, LiveRequest("int8", 20));
  load.AwaitWaiting();
  EXPECT_EQ(Status("int8").state(), v1::VariantStatus::LOADING);
  EXPECT_EQ(Status("int8").reason(), "waits for live traffic: 0 of 20 samples");
  Send("fashion", 0, 10);
  EXPECT_EQ(Status("int8").reason(), "waits for live traffic: 10 of 20 samples");
  Send("fashion@fp32", 10, 20);
  ExpectLoaded(load);
  EXPECT_EQ(load.variant().state(), v1::VariantStatus::READY);
  EXPECT_EQ(load.variant().policy().calibration().source(), v1::CalibrationPolicy::LIVE_TRAFFIC);
  EXPECT_EQ(load.variant().policy().calibration().sample_limit(), 20);
  auto phase = v1::LoadVariantProgress::QUEUED;
  double fraction = 0, calibrated = 0;
  for (const v1::LoadVariantProgress& message : load.messages()) {
    EXPECT_GE(message.phase(), phase);
    EXPECT_GE(message.fraction(), message.phase() == phase ? fraction : 0);
    phase = message.phase();
    fraction = message.fraction();
    if (phase == v1::LoadVariantProgress::CALIBRATE) calibrated = fraction;
  }
  EXPECT_EQ(calibrated, 1);

  grpc::ClientContext context;
  v1::CalibrateResponse response;
  const auto writer = server_->precision->Calibrate(&context, &response);
  v1::CalibrateRequest start;
  start.mutable_start()->set_model("fashion");
  start.mutable_start()->set_variant("streamed");
  start.mutable_start()->mutable_precision_policy()->set_precision(v1::PrecisionPolicy::INT8);
  EXPECT_TRUE(writer->Write(start));
  for (size_t i = 0; i < 20; ++i) {
    v1::CalibrateRequest sample;
    *sample.mutable_sample() = FashionRequest(images_[i]);
    EXPECT_TRUE(writer->Write(sample));
  }
  writer->WritesDone();
  ASSERT_TRUE(writer->Finish().ok());
  for (size_t i = 50; i < 60; ++i) EXPECT_EQ(Answer("fashion@int8", i), Answer("fashion@streamed", i));
}

TEST_F(LiveTrafficProcessTest, ABatchGivesItsItemsAndWhatIsRefusedGivesNothing) {
  Load load(*server_, LiveRequest("int8", 8));
  load.AwaitWaiting();
  std::string bad = images_[0];
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bad.data() + 40, &nan, sizeof nan);
  Infer("fashion", FashionRequest(bad));
  inference::ModelInferRequest wrong = FashionRequest(images_[0]);
  wrong.mutable_inputs(0)->set_shape(2, 27);
  EXPECT_EQ(Infer("fashion", wrong), "");
  EXPECT_EQ(Status("int8").reason(), "waits for live traffic: 0 of 8 samples");
  inference::ModelInferRequest batch = FashionRequest(images_[0] + images_[1] + images_[2]);
  batch.mutable_inputs(0)->set_shape(0, 3);
  EXPECT_NE(Infer("fashion", batch), "");
  EXPECT_EQ(Status("int8").reason(), "waits for live traffic: 3 of 8 samples");
  Send("fashion", 3, 8);
  ExpectLoaded(load);
}

TEST_F(LiveTrafficProcessTest, RequestsAreAnsweredAsBeforeMeanwhile) {
  const std::string before = Answer("fashion@fp32");
  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0, wrong = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back([&] {
      while (!stop) (Answer("fashion@fp32") == before ? answered : wrong)++;
    });
  }
  for (const char* variant : {"int8", "again"}) {
    Load load(*server_, LiveRequest(variant, 50));
    ExpectLoaded(load);
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_GT(answered, 100);
  EXPECT_EQ(wrong, 0);
}

TEST_F(LiveTrafficProcessTest, OtherLoadsPassOneThatWaits) {
  Load waiting(*server_, LiveRequest("int8", 5));
  waiting.AwaitWaiting();
  v1::LoadVariantRequest request;
  request.set_model("fashion@bf16");
  Load other(*server_, request);
  ExpectLoaded(other);
  Send("fashion@bf16", 0, 5);  // answered by any variant
  ExpectLoaded(waiting);
}

TEST_F(LiveTrafficProcessTest, TwoLoadsAtOnceTakeTheSameRequests) {
  Load first(*server_, LiveRequest("int8", 5)), second(*server_, LiveRequest("int8", 5)),
      third(*server_, LiveRequest("other", 10));
  first.AwaitWaiting();
  second.AwaitWaiting();
  third.AwaitWaiting();
  Send("fashion", 0, 10);
  for (Load* load : {&first, &second, &third}) ExpectLoaded(*load);
  EXPECT_EQ(Status("int8").state(), v1::VariantStatus::READY);
  EXPECT_EQ(Status("int8").reason(), "");
  EXPECT_NE(Answer("fashion@int8"), "");
  EXPECT_NE(Answer("fashion@other"), "");
}

TEST_F(LiveTrafficProcessTest, ACallerThatLeavesEndsTheWaitAndNothingChanges) {
  Load load(*server_, LiveRequest("int8", 5));
  load.AwaitWaiting();
  Send("fashion", 0, 5);
  ExpectLoaded(load);
  const std::string before = Answer("fashion@int8");
  Load anew(*server_, LiveRequest("int8", 6));
  anew.AwaitWaiting();
  EXPECT_EQ(Status("int8").state(), v1::VariantStatus::READY);
  EXPECT_EQ(Status("int8").reason(), "waits for live traffic: 0 of 6 samples");
  anew.Cancel();
  EXPECT_EQ(anew.AwaitEnd().error_code(), StatusCode::CANCELLED);
  for (int i = 0; i < 1000 && !Status("int8").reason().starts_with("the client left"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_THAT(Status("int8").reason(), HasSubstr("the client left"));
  Send("fashion", 10, 20);  // taken by nobody
  EXPECT_EQ(Answer("fashion@int8"), before);

  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(500));
  inference::RepositoryModelLoadRequest request;
  request.set_model_name("fashion@mine");
  (*request.mutable_parameters())["precis_policy"].set_string_param(
      "precision: INT8 calibration { source: LIVE_TRAFFIC }");
  inference::RepositoryModelLoadResponse response;
  EXPECT_EQ(server_->inference->RepositoryModelLoad(&context, request, &response).error_code(),
            StatusCode::DEADLINE_EXCEEDED);
  AwaitState("mine", v1::VariantStatus::FAILED);
}

TEST_F(LiveTrafficProcessTest, TheStandardLoadWaitsToo) {
  std::thread client([&] {
    grpc::ClientContext context;
    inference::RepositoryModelLoadRequest request;
    request.set_model_name("fashion");
    (*request.mutable_parameters())["precis_policy"].set_string_param(
        "{\"precision\": \"INT8\", \"calibration\": {\"source\": \"LIVE_TRAFFIC\"}}");
    inference::RepositoryModelLoadResponse response;
    const grpc::Status status = server_->inference->RepositoryModelLoad(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  });
  AwaitState("int8", v1::VariantStatus::LOADING);
  EXPECT_THAT(Status("int8").reason(), HasSubstr("of 100 samples"));  // the default
  Send("fashion", 0, 100);
  client.join();
  EXPECT_NE(Answer("fashion@int8"), "");
}

TEST_F(LiveTrafficProcessTest, UnloadingEndsTheWait) {
  Load load(*server_, LiveRequest("int8", 5));
  load.AwaitWaiting();
  EXPECT_TRUE(Unload("int8").ok());
  ExpectEnd(load, StatusCode::CANCELLED, "unloaded");
  EXPECT_EQ(Status("int8").state(), v1::VariantStatus::UNLOADED);
  EXPECT_EQ(Unload("int8").error_code(), StatusCode::NOT_FOUND);
  Load second(*server_, LiveRequest("int8", 5));
  second.AwaitWaiting();
  EXPECT_TRUE(Unload("fp32").ok());
  ExpectEnd(second, StatusCode::FAILED_PRECONDITION, "load fashion@fp32 first");
}

TEST_F(LiveTrafficProcessTest, RefusesAtOnceWhatRequestsCannotHelp) {
  v1::LoadVariantRequest request = LiveRequest("int8", 5);
  request.mutable_policy()->add_overrides()->set_pattern("no such layer*");
  request.mutable_policy()->mutable_overrides(0)->mutable_policy()->set_precision(v1::PrecisionPolicy::FP32);
  Load override(*server_, request);
  ExpectEnd(override, StatusCode::INVALID_ARGUMENT, "no such layer");
  request = LiveRequest("int8", 5);
  request.mutable_policy()->mutable_calibration()->set_source(v1::CalibrationPolicy::FILES);
  request.set_recalibrate(true);
  Load files(*server_, request);
  ExpectEnd(files, StatusCode::INVALID_ARGUMENT, "recalibrate");
  ASSERT_TRUE(Unload("fp32").ok());
  Load nothing(*server_, LiveRequest("int8", 5));
  ExpectEnd(nothing, StatusCode::FAILED_PRECONDITION, "no variant of \"fashion\" is loaded");
}

TEST_F(LiveTrafficProcessTest, ADrainEndsTheWait) {
  Load load(*server_, LiveRequest("int8", 5));
  load.AwaitWaiting();
  server_->Signal(SIGTERM);
  ExpectEnd(load, StatusCode::UNAVAILABLE, "draining");
  EXPECT_EQ(server_->AwaitEnd(), 0);
}

TEST_F(LiveTrafficProcessTest, WhatWasLearnedServesLaterLoadsUntilItIsAskedForAnew) {
  files_.Write("fashion/precision.textproto", kLivePolicy);
  v1::LoadVariantRequest request;
  request.set_model("fashion@int8");
  Load first(*server_, request);
  first.AwaitWaiting();
  Send("fashion", 0, 10);
  ExpectLoaded(first);
  const std::string before = Answer("fashion@int8");
  Load unchanged(*server_, request);
  ExpectLoaded(unchanged);
  ASSERT_TRUE(Unload("int8").ok());
  Load again(*server_, request);
  ExpectLoaded(again);
  EXPECT_EQ(Answer("fashion@int8"), before);
  Restart("fashion@fp32,fashion@int8");
  EXPECT_THAT(ready_, HasSubstr("models=2 failed=0"));
  EXPECT_EQ(Answer("fashion@int8"), before);

  request.set_recalibrate(true);
  Load anew(*server_, request);
  anew.AwaitWaiting();
  EXPECT_EQ(Answer("fashion@int8", 30), Answer("fashion@int8", 30));  // it answers, and gives samples
  Send("fashion@int8", 40, 48);
  ExpectLoaded(anew);
  EXPECT_NE(Answer("fashion@int8"), before);
}

TEST_F(LiveTrafficProcessTest, AServerIsReadyBeforeTheTrafficThatALoadAtStartWaitsFor) {
  files_.Write("fashion/precision.textproto", kLivePolicy);
  for (const char* load : {"fashion@fp32,fashion@int8", "fashion@int8,fashion@fp32"}) {
    Restart(load);
    EXPECT_THAT(ready_, AllOf(HasSubstr("models=1 failed=0"), HasSubstr("waiting_for_traffic=1"))) << load;
    EXPECT_EQ(Status("int8").reason(), "waits for live traffic: 0 of 10 samples");
  }
  Send("fashion", 0, 10);
  AwaitState("int8", v1::VariantStatus::READY);
  server_.reset();  // which may still be writing what it learned
  std::filesystem::remove_all(files_.root() + "/fashion/.precis_cache");
  Restart("fashion@int8");
  EXPECT_THAT(ready_, HasSubstr("models=0 failed=1"));
  EXPECT_THAT(Status("int8").reason(), HasSubstr("load fashion@fp32 first"));
}

TEST_F(LiveTrafficProcessTest, AMixedVariantIsSearchedForOnTheRequests) {
  v1::LoadVariantRequest request = LiveRequest("mixed", 20);
  request.mutable_policy()->set_precision(v1::PrecisionPolicy::MIXED);
  request.mutable_policy()->mutable_mixed()->set_min_sqnr_db(40);
  Load load(*server_, request);
  load.AwaitWaiting();
  Send("fashion", 0, 20);
  ExpectLoaded(load);
  EXPECT_GT(load.variant().policy().overrides_size(), 0);
  ASSERT_TRUE(Unload("mixed").ok());
  Load again(*server_, request);  // what the search found is kept
  ExpectLoaded(again);
  request.mutable_policy()->mutable_mixed()->set_min_sqnr_db(30);
  Load other(*server_, request);  // another search, whose samples are gone
  other.AwaitWaiting();
  Send("fashion", 0, 20);
  ExpectLoaded(other);
}

}  // namespace
}  // namespace precis::server
