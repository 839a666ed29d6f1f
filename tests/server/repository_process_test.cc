// Loading and unloading over the wire.

#include <map>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/precisd_process.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

grpc::StatusCode Load(PrecisdProcess& server, const std::string& model) {
  grpc::ClientContext context;
  inference::RepositoryModelLoadRequest request;
  request.set_model_name(model);
  inference::RepositoryModelLoadResponse response;
  return server.inference->RepositoryModelLoad(&context, request, &response).error_code();
}

grpc::StatusCode Unload(PrecisdProcess& server, const std::string& model) {
  grpc::ClientContext context;
  inference::RepositoryModelUnloadRequest request;
  request.set_model_name(model);
  inference::RepositoryModelUnloadResponse response;
  return server.inference->RepositoryModelUnload(&context, request, &response).error_code();
}

// State by model.
std::map<std::string, std::string> Index(PrecisdProcess& server) {
  grpc::ClientContext context;
  inference::RepositoryIndexResponse response;
  EXPECT_TRUE(server.inference->RepositoryIndex(&context, {}, &response).ok());
  std::map<std::string, std::string> states;
  for (const auto& model : response.models()) states[model.name()] = model.state();
  return states;
}

grpc::StatusCode Infer(PrecisdProcess& server, const std::string& model) {
  grpc::ClientContext context;
  inference::ModelInferResponse response;
  return server.inference->ModelInfer(&context, IdentityRequest(model, {1}), &response).error_code();
}

// Phases in the order they came, and the status at the end.
std::pair<std::vector<std::string>, grpc::Status> LoadVariant(PrecisdProcess& server,
                                                              const v1::LoadVariantRequest& request) {
  grpc::ClientContext context;
  const auto stream = server.precision->LoadVariant(&context, request);
  std::vector<std::string> phases;
  v1::LoadVariantProgress progress;
  while (stream->Read(&progress)) {
    const std::string phase = v1::LoadVariantProgress::Phase_Name(progress.phase());
    if (phases.empty() || phases.back() != phase) phases.push_back(phase);
  }
  return {phases, stream->Finish()};
}

v1::LoadVariantRequest VariantRequest(const std::string& model, const std::string& variant) {
  v1::LoadVariantRequest request;
  request.set_model(model);
  request.set_variant(variant);
  return request;
}

TEST(RepositoryProcessTest, LoadsAndUnloadsByRequest) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root(), "--load=none"});
  server.AwaitReady();
  EXPECT_EQ(Index(server)["identity"], "");
  EXPECT_EQ(Infer(server, "identity"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Load(server, "identity@bf16"), grpc::StatusCode::OK);
  EXPECT_EQ(Index(server)["identity"], "READY");
  EXPECT_EQ(Infer(server, "identity"), grpc::StatusCode::OK);
  EXPECT_EQ(Infer(server, "identity@fp32"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Load(server, "identity@fp32"), grpc::StatusCode::OK);
  EXPECT_EQ(Unload(server, "identity@bf16"), grpc::StatusCode::OK);
  EXPECT_EQ(Infer(server, "identity"), grpc::StatusCode::OK);
  EXPECT_EQ(Unload(server, "identity"), grpc::StatusCode::OK);
  EXPECT_EQ(Index(server)["identity"], "UNAVAILABLE");
  EXPECT_EQ(Unload(server, "identity"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Load(server, "nobody"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Load(server, "identity@int9"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Load(server, "identity@mixed"), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST(RepositoryProcessTest, TellsHowALoadProgresses) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root(), "--load=none"});
  server.AwaitReady();
  const auto [phases, status] = LoadVariant(server, VariantRequest("identity", "fp32"));
  EXPECT_TRUE(status.ok()) << status.error_message();
  ASSERT_GE(phases.size(), 2U);
  EXPECT_EQ(phases.back(), "DONE");
  const auto again = LoadVariant(server, VariantRequest("identity", "fp32"));
  EXPECT_TRUE(again.second.ok());
  EXPECT_THAT(again.first, ElementsAre("QUEUED", "DONE"));
  v1::LoadVariantRequest bad = VariantRequest("identity", "");
  bad.mutable_policy()->set_precision(v1::PrecisionPolicy::FP32);
  bad.mutable_policy()->mutable_sparsity()->set_unstructured_ratio(0.5);
  EXPECT_EQ(LoadVariant(server, bad).second.error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST(RepositoryProcessTest, ListsAndDescribesVariants) {
  const IdentityRepository repository;
  repository.Write("identity/precision.textproto",
                   "policies { name: 'half' policy { precision: BF16 } } preprocessing { mean: 0.5 std: 0.25 }");
  PrecisdProcess server({"--model_repository=" + repository.root(), "--load=identity@fp32,identity@half"});
  server.AwaitReady();
  grpc::ClientContext list_context, plan_context, unload_context;
  v1::ListVariantsResponse list;
  ASSERT_TRUE(server.precision->ListVariants(&list_context, {}, &list).ok());
  ASSERT_EQ(list.models_size(), 1);
  const v1::ModelVariants& model = list.models(0);
  EXPECT_EQ(model.default_variant(), "fp32");
  ASSERT_EQ(model.variants_size(), 2);
  EXPECT_EQ(model.variants(1).name(), "half");
  EXPECT_EQ(model.variants(1).state(), v1::VariantStatus::READY);
  EXPECT_EQ(model.variants(1).policy().precision(), v1::PrecisionPolicy::BF16);
  EXPECT_THAT(model.policies(), ElementsAre("fp32", "bf16", "fp16", "int8", "mixed", "half"));
  EXPECT_EQ(model.preprocessing().mean(0), 0.5F);

  v1::DescribePlanRequest plan_request;
  plan_request.set_model("identity@half");
  v1::DescribePlanResponse plan;
  const auto described = server.precision->DescribePlan(&plan_context, plan_request, &plan);
  EXPECT_TRUE(described.ok()) << described.error_message();
  EXPECT_EQ(plan.variant(), "half");

  v1::UnloadVariantRequest unload_request;
  unload_request.set_model("identity");
  v1::UnloadVariantResponse unload;
  EXPECT_TRUE(server.precision->UnloadVariant(&unload_context, unload_request, &unload).ok());
  EXPECT_EQ(Infer(server, "identity@fp32"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Infer(server, "identity"), grpc::StatusCode::OK);  // "half" is the default now
}

TEST(RepositoryProcessTest, Int8WithoutCalibrationDataSaysWhereToPutIt) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root()});
  server.AwaitReady();
  const auto [phases, status] = LoadVariant(server, VariantRequest("identity", "int8"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr(repository.root() + "/identity/calibration"));
}

TEST(RepositoryProcessTest, PicksUpAReplacedModelAndANewVersion) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root()});
  server.AwaitReady();
  repository.Write("identity/2/model.onnx", IdentityModel());
  EXPECT_EQ(Load(server, "identity"), grpc::StatusCode::OK);
  grpc::ClientContext context;
  inference::ModelInferResponse response;
  ASSERT_TRUE(server.inference->ModelInfer(&context, IdentityRequest("identity", {1}), &response).ok());
  EXPECT_EQ(response.model_version(), "2");
  repository.Write("identity/2/model.onnx", "broken now");
  EXPECT_EQ(Load(server, "identity"), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Infer(server, "identity"), grpc::StatusCode::OK);  // the one before goes on answering
}

TEST(RepositoryProcessTest, OnlyExplicitModeTakesRequests) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root(), "--model_control_mode=none"});
  server.AwaitReady();
  EXPECT_EQ(Load(server, "identity@bf16"), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Unload(server, "identity"), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(LoadVariant(server, VariantRequest("identity", "bf16")).second.ok());
}

TEST(RepositoryProcessTest, PollModeFollowsTheFolder) {
  const IdentityRepository repository;
  PrecisdProcess server(
      {"--model_repository=" + repository.root(), "--model_control_mode=poll", "--repository_poll_secs=0.2"});
  server.AwaitReady();
  grpc::health::v1::HealthCheckRequest request;
  request.set_service("late");
  grpc::ClientContext context;
  const auto watch = server.health->Watch(&context, request);
  repository.Write("late/1/model.onnx", IdentityModel());
  grpc::health::v1::HealthCheckResponse response;
  while (watch->Read(&response) && response.status() != grpc::health::v1::HealthCheckResponse::SERVING) {
  }
  EXPECT_EQ(Infer(server, "late"), grpc::StatusCode::OK);
  std::filesystem::remove_all(repository.root() + "/late");
  while (watch->Read(&response) && response.status() == grpc::health::v1::HealthCheckResponse::SERVING) {
  }
  while (Index(server).contains("late")) absl::SleepFor(absl::Milliseconds(20));  // it goes with its last request
  EXPECT_EQ(Infer(server, "late"), grpc::StatusCode::NOT_FOUND);
  context.TryCancel();
}

TEST(RepositoryProcessTest, StrictReadinessMindsAFailedModel) {
  const IdentityRepository repository;
  repository.Write("broken/1/model.onnx", "not a model");
  PrecisdProcess server({"--model_repository=" + repository.root(), "--strict_readiness"});
  EXPECT_THAT(server.AwaitReady(), HasSubstr("failed=1"));
  grpc::ClientContext context;
  inference::ServerReadyResponse response;
  EXPECT_TRUE(server.inference->ServerReady(&context, {}, &response).ok());
  EXPECT_FALSE(response.ready());
  EXPECT_EQ(Index(server)["broken"], "UNAVAILABLE");
  EXPECT_EQ(Infer(server, "identity"), grpc::StatusCode::OK);
}

}  // namespace
}  // namespace precis::server
