// Inference over the wire: answers, codes, streams, statistics and metrics of a real precisd.

#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/precisd_process.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class InferenceProcessTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    repository_ = new IdentityRepository();
    repository_->Write("batched/1/model.onnx", IdentityModel());
    repository_->Write("batched/config.pbtxt", R"(max_batch_size: 4 input { name: "INPUT0" data_type: TYPE_FP32 }
                                                  output { name: "OUTPUT0" data_type: TYPE_FP32 })");
    repository_->Write("broken/1/model.onnx", "not a model");
    server_ = new PrecisdProcess({"--model_repository=" + repository_->root()});
    EXPECT_THAT(server_->AwaitReady(), HasSubstr("models=2 failed=1"));
  }
  static void TearDownTestSuite() {
    delete server_;
    delete repository_;
  }

  grpc::StatusCode Infer(const inference::ModelInferRequest& request, inference::ModelInferResponse* response = nullptr,
                         const std::function<void(grpc::ClientContext&)>& configure = nullptr) {
    grpc::ClientContext context;
    if (configure) configure(context);
    inference::ModelInferResponse ignored;
    return server_->inference->ModelInfer(&context, request, response != nullptr ? response : &ignored).error_code();
  }

  static IdentityRepository* repository_;
  static PrecisdProcess* server_;
};
IdentityRepository* InferenceProcessTest::repository_ = nullptr;
PrecisdProcess* InferenceProcessTest::server_ = nullptr;

TEST_F(InferenceProcessTest, AnswersRawAndSaysWhichVariantDid) {
  auto request = IdentityRequest("identity", {1, -2, 3.5});
  request.set_id("request 7");
  inference::ModelInferResponse response;
  ASSERT_EQ(Infer(request, &response), grpc::StatusCode::OK);
  EXPECT_THAT(Values(response), ElementsAre(1, -2, 3.5));
  EXPECT_EQ(response.id(), "request 7");
  EXPECT_EQ(response.model_name(), "identity");
  EXPECT_EQ(response.model_version(), "1");
  EXPECT_EQ(response.parameters().at("precis_variant").string_param(), "fp32");
  EXPECT_EQ(response.outputs(0).name(), "OUTPUT0");
  EXPECT_EQ(response.outputs(0).datatype(), "FP32");
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(3));
}

TEST_F(InferenceProcessTest, TakesTypedContentsAndPinnedVariants) {
  auto request = IdentityRequest("identity@fp32", {1, 2});
  request.clear_raw_input_contents();
  for (float value : {5.0F, 6.0F}) request.mutable_inputs(0)->mutable_contents()->add_fp32_contents(value);
  request.set_model_version("1");
  inference::ModelInferResponse response;
  ASSERT_EQ(Infer(request, &response), grpc::StatusCode::OK);
  EXPECT_THAT(Values(response), ElementsAre(5, 6));
}

TEST_F(InferenceProcessTest, CarriesLargeTensors) {
  std::vector<float> values(5'000'000);
  std::iota(values.begin(), values.end(), 0.0F);
  grpc::ClientContext context;
  inference::ModelInferResponse response;
  grpc::ChannelArguments limits;
  ASSERT_EQ(Infer(IdentityRequest("identity", values), &response, [](grpc::ClientContext&) {}),
            grpc::StatusCode::RESOURCE_EXHAUSTED)
      << "gRPC's own client limit of 4 MiB: the server sent it";
}

TEST_F(InferenceProcessTest, AnswersEveryMistakeWithItsCode) {
  EXPECT_EQ(Infer(IdentityRequest("nobody", {1})), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Infer(IdentityRequest("identity@int8", {1})), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Infer(IdentityRequest("broken", {1})), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Infer(IdentityRequest("../identity", {1})), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Infer({}), grpc::StatusCode::INVALID_ARGUMENT);
  auto request = IdentityRequest("identity", {1});
  request.set_model_version("2");
  EXPECT_EQ(Infer(request), grpc::StatusCode::NOT_FOUND);
  request = IdentityRequest("identity", {1});
  request.mutable_inputs(0)->set_shape(0, 2);
  EXPECT_EQ(Infer(request), grpc::StatusCode::INVALID_ARGUMENT);
  request = IdentityRequest("identity", {1});
  (*request.mutable_parameters())["precis_typo"].set_bool_param(true);
  EXPECT_EQ(Infer(request), grpc::StatusCode::INVALID_ARGUMENT);
  request = IdentityRequest("identity", {1});
  request.add_outputs()->set_name("OUTPUT1");
  EXPECT_EQ(Infer(request), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(InferenceProcessTest, StreamsInOrderAndGoesOnAfterAnError) {
  grpc::ClientContext context;
  const auto stream = server_->inference->ModelStreamInfer(&context);
  constexpr int kRequests = 300;  // more than are read ahead
  std::thread writer([&] {
    for (int i = 0; i < kRequests; ++i) {
      auto request = IdentityRequest(i == 100 ? "nobody" : "identity", {static_cast<float>(i)});
      request.set_id(std::to_string(i));
      stream->Write(request);
    }
    stream->WritesDone();
  });
  inference::ModelStreamInferResponse response;
  for (int i = 0; i < kRequests; ++i) {
    ASSERT_TRUE(stream->Read(&response)) << i;
    EXPECT_EQ(response.infer_response().id(), std::to_string(i));
    if (i == 100) {
      EXPECT_THAT(response.error_message(), HasSubstr("nobody"));
    } else {
      EXPECT_EQ(response.error_message(), "");
      EXPECT_THAT(Values(response.infer_response()), ElementsAre(static_cast<float>(i)));
    }
  }
  EXPECT_FALSE(stream->Read(&response));
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(InferenceProcessTest, CancelledStreamsEnd) {
  grpc::ClientContext context;
  const auto stream = server_->inference->ModelStreamInfer(&context);
  stream->Write(IdentityRequest("identity", {1}));
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(InferenceProcessTest, DescribesTheModelUnderTheNameThatWasAsked) {
  inference::ModelMetadataRequest request;
  request.set_name("identity@fp32");
  grpc::ClientContext context;
  inference::ModelMetadataResponse metadata;
  ASSERT_TRUE(server_->inference->ModelMetadata(&context, request, &metadata).ok());
  EXPECT_EQ(metadata.name(), "identity@fp32");
  EXPECT_THAT(metadata.versions(), ElementsAre("1"));
  EXPECT_THAT(metadata.inputs(0).shape(), ElementsAre(-1));

  inference::ModelConfigRequest config_request;
  config_request.set_name("batched");
  grpc::ClientContext config_context;
  inference::ModelConfigResponse config;
  ASSERT_TRUE(server_->inference->ModelConfig(&config_context, config_request, &config).ok());
  EXPECT_EQ(config.config().max_batch_size(), 4);
  EXPECT_EQ(config.config().input(0).dims_size(), 0);
}

TEST_F(InferenceProcessTest, KnowsWhichModelsAreReady) {
  const auto ready = [&](const std::string& name) {
    grpc::ClientContext context;
    inference::ModelReadyRequest request;
    request.set_name(name);
    inference::ModelReadyResponse response;
    EXPECT_TRUE(server_->inference->ModelReady(&context, request, &response).ok());
    return response.ready();
  };
  EXPECT_TRUE(ready("identity"));
  EXPECT_TRUE(ready("identity@fp32"));
  EXPECT_FALSE(ready("identity@bf16"));
  EXPECT_FALSE(ready("broken"));
  EXPECT_FALSE(ready("nobody"));
}

TEST_F(InferenceProcessTest, CountsBatchItemsInStatistics) {
  EXPECT_EQ(Infer(IdentityRequest("batched", {1, 2, 3})), grpc::StatusCode::OK);
  EXPECT_EQ(Infer(IdentityRequest("batched", {1, 2, 3, 4, 5})), grpc::StatusCode::INVALID_ARGUMENT);
  grpc::ClientContext context;
  inference::ModelStatisticsRequest request;
  request.set_name("batched");
  inference::ModelStatisticsResponse response;
  ASSERT_TRUE(server_->inference->ModelStatistics(&context, request, &response).ok());
  ASSERT_EQ(response.model_stats_size(), 1);
  const auto& statistics = response.model_stats(0);
  EXPECT_EQ(statistics.inference_count(), 3U);
  EXPECT_EQ(statistics.execution_count(), 1U);
  EXPECT_EQ(statistics.inference_stats().success().count(), 1U);
  EXPECT_EQ(statistics.inference_stats().fail().count(), 1U);
  EXPECT_GT(statistics.inference_stats().compute_infer().ns(), 0U);
  EXPECT_EQ(statistics.batch_stats(0).batch_size(), 3U);
}

TEST_F(InferenceProcessTest, ShowsRequestsInTheMetrics) {
  EXPECT_EQ(Infer(IdentityRequest("identity", {1})), grpc::StatusCode::OK);
  const std::string text = server_->Metrics();
  EXPECT_THAT(text, HasSubstr(R"(precis_requests_total{code="OK",model="identity",variant="fp32",version="1"})"));
  EXPECT_THAT(text, HasSubstr("precis_build_info"));
  EXPECT_THAT(text, HasSubstr("precis_memory_bandwidth_peak_bytes_per_second"));
}

TEST_F(InferenceProcessTest, NamesWhatItDoesNotImplement) {
  grpc::ClientContext shared, trace;
  inference::SystemSharedMemoryStatusResponse shared_response;
  EXPECT_EQ(server_->inference->SystemSharedMemoryStatus(&shared, {}, &shared_response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  inference::TraceSettingResponse trace_response;
  EXPECT_EQ(server_->inference->TraceSetting(&trace, {}, &trace_response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace precis::server
