// Traffic splits over the wire, and that changing them fails no request.

#include <atomic>
#include <map>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/precisd_process.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;

constexpr char kVariants[] = "--load=identity@fp32,identity@bf16,identity@fp16";

v1::Traffic Split(const std::vector<std::pair<std::string, double>>& shares) {
  v1::Traffic traffic;
  for (const auto& [variant, percent] : shares) {
    auto& share = *traffic.add_split();
    share.set_variant(variant);
    share.set_percent(percent);
  }
  return traffic;
}

grpc::Status SetTraffic(PrecisdProcess& server, const v1::Traffic& traffic, const std::string& model = "identity") {
  grpc::ClientContext context;
  v1::SetTrafficRequest request;
  request.set_model(model);
  *request.mutable_traffic() = traffic;
  v1::SetTrafficResponse response;
  return server.precision->SetTraffic(&context, request, &response);
}

// The variant that answered; its status when none did.
std::string Answerer(PrecisdProcess& server, const inference::ModelInferRequest& request) {
  grpc::ClientContext context;
  inference::ModelInferResponse response;
  const grpc::Status status = server.inference->ModelInfer(&context, request, &response);
  if (!status.ok()) return status.error_message();
  EXPECT_EQ(response.model_version(), "1");
  return response.parameters().at("precis_variant").string_param();
}

std::map<std::string, int> Answerers(PrecisdProcess& server, int requests) {
  std::map<std::string, int> counts;
  for (int i = 0; i < requests; ++i) ++counts[Answerer(server, IdentityRequest("identity", {1}))];
  return counts;
}

v1::ModelVariants List(PrecisdProcess& server) {
  grpc::ClientContext context;
  v1::ListVariantsResponse list;
  EXPECT_TRUE(server.precision->ListVariants(&context, {}, &list).ok());
  return list.models(0);
}

grpc::Status Load(PrecisdProcess& server, const std::string& model) {
  grpc::ClientContext context;
  inference::RepositoryModelLoadRequest request;
  request.set_model_name(model);
  inference::RepositoryModelLoadResponse response;
  return server.inference->RepositoryModelLoad(&context, request, &response);
}

grpc::Status Unload(PrecisdProcess& server, const std::string& model) {
  grpc::ClientContext context;
  inference::RepositoryModelUnloadRequest request;
  request.set_model_name(model);
  inference::RepositoryModelUnloadResponse response;
  return server.inference->RepositoryModelUnload(&context, request, &response);
}

TEST(TrafficProcessTest, SplitsPlainRequestsAndLeavesPinnedOnesAlone) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root(), kVariants});
  server.AwaitReady();
  EXPECT_THAT(Answerers(server, 20), ElementsAre(Key("fp32")));
  ASSERT_TRUE(SetTraffic(server, Split({{"fp32", 75}, {"bf16", 25}})).ok());
  const auto counts = Answerers(server, 400);
  EXPECT_NEAR(counts.at("fp32"), 300, 5);
  EXPECT_NEAR(counts.at("bf16"), 100, 5);
  EXPECT_EQ(Answerer(server, IdentityRequest("identity@fp16", {1})), "fp16");
  const v1::ModelVariants listed = List(server);
  EXPECT_EQ(listed.default_variant(), "fp32");
  ASSERT_EQ(listed.traffic().split_size(), 2);
  EXPECT_EQ(listed.traffic().split(1).variant(), "bf16");
  EXPECT_EQ(listed.traffic().split(1).percent(), 25);

  ASSERT_TRUE(SetTraffic(server, Split({{"fp16", 100}})).ok());
  EXPECT_THAT(Answerers(server, 20), ElementsAre(Key("fp16")));
  ASSERT_TRUE(SetTraffic(server, {}).ok());
  EXPECT_THAT(Answerers(server, 20), ElementsAre(Key("fp32")));
  EXPECT_THAT(server.Metrics(),
              HasSubstr(R"(precis_requests_total{code="OK",model="identity",variant="bf16",version="1"} )" +
                        std::to_string(counts.at("bf16"))));
}

TEST(TrafficProcessTest, EqualStickyValuesMeetTheSameVariantOnEveryServer) {
  const IdentityRepository repository;
  v1::Traffic traffic = Split({{"fp32", 50}, {"bf16", 50}});
  traffic.set_sticky_parameter("user");
  std::map<std::string, std::string> first;
  for (int replica = 0; replica < 2; ++replica) {
    PrecisdProcess server({"--model_repository=" + repository.root(), kVariants});
    server.AwaitReady();
    ASSERT_TRUE(SetTraffic(server, traffic).ok());
    for (int user = 0; user < 40; ++user) {
      inference::ModelInferRequest text = IdentityRequest("identity", {1}), number = text;
      (*text.mutable_parameters())["user"].set_string_param(std::to_string(user));
      (*number.mutable_parameters())["user"].set_int64_param(user);
      const std::string answerer = Answerer(server, text);
      EXPECT_EQ(answerer, Answerer(server, text));
      EXPECT_EQ(answerer, Answerer(server, number));
      const auto [entry, added] = first.emplace(std::to_string(user), answerer);
      EXPECT_EQ(entry->second, answerer);
    }
  }
  std::map<std::string, int> counts;
  for (const auto& [user, variant] : first) ++counts[variant];
  EXPECT_GT(counts["fp32"], 5);
  EXPECT_GT(counts["bf16"], 5);
}

TEST(TrafficProcessTest, RefusesWhatCannotAnswer) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root(), "--load=identity@fp32,identity@bf16"});
  server.AwaitReady();
  ASSERT_TRUE(SetTraffic(server, Split({{"bf16", 100}})).ok());
  EXPECT_FALSE(Load(server, "identity@int8").ok());  // no calibration data
  const struct {
    v1::Traffic traffic;
    const char* model;
    grpc::StatusCode code;
    const char* message;
  } cases[] = {
      {Split({{"fp32", 50}, {"fp16", 50}}), "identity", grpc::StatusCode::NOT_FOUND, "identity@fp16"},
      {Split({{"fp32", 50}, {"int8", 50}}), "identity", grpc::StatusCode::UNAVAILABLE, "identity@int8"},
      {Split({{"fp32", 50}, {"bf16", 49}}), "identity", grpc::StatusCode::INVALID_ARGUMENT, "split"},
      {Split({{"fp32", 100}}), "nobody", grpc::StatusCode::NOT_FOUND, "nobody"},
      {Split({{"fp32", 100}}), "identity@fp32", grpc::StatusCode::INVALID_ARGUMENT, "model name"},
  };
  for (const auto& c : cases) {
    const grpc::Status status = SetTraffic(server, c.traffic, c.model);
    EXPECT_EQ(status.error_code(), c.code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(c.message));
  }
  grpc::ClientContext context;
  v1::SetTrafficRequest unset;
  unset.set_model("identity");
  v1::SetTrafficResponse response;
  EXPECT_EQ(server.precision->SetTraffic(&context, unset, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(Answerers(server, 10), ElementsAre(Key("bf16")));  // nothing has changed
}

TEST(TrafficProcessTest, AnUnloadedVariantsShareGoesToTheOthersAndComesBack) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root(), kVariants});
  server.AwaitReady();
  ASSERT_TRUE(SetTraffic(server, Split({{"bf16", 50}, {"fp16", 50}})).ok());
  ASSERT_TRUE(Unload(server, "identity@fp16").ok());
  EXPECT_THAT(Answerers(server, 20), ElementsAre(Key("bf16")));
  ASSERT_TRUE(Load(server, "identity@fp16").ok());
  EXPECT_THAT(Answerers(server, 20), ElementsAre(Key("bf16"), Key("fp16")));
}

TEST(TrafficProcessTest, TheModelsFileSaysWhatIsLoadedAndHowItIsSplit) {
  const IdentityRepository repository;
  repository.Write("identity/precision.textproto",
                   "traffic { split { variant: 'bf16' percent: 50 } split { variant: 'half' percent: 50 } } "
                   "policies { name: 'half' policy { precision: FP16 } }");
  PrecisdProcess server({"--model_repository=" + repository.root()});
  server.AwaitReady();
  EXPECT_THAT(Answerers(server, 20), ElementsAre(Key("bf16"), Key("half")));
}

v1::GetDriftResponse Drift(PrecisdProcess& server, const std::string& model) {
  grpc::ClientContext context;
  v1::GetDriftRequest request;
  request.set_model(model);
  v1::GetDriftResponse response;
  const grpc::Status status = server.precision->GetDrift(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

TEST(TrafficProcessTest, ShadowsCompareTheBaselinesAnswersAndTheVariants) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root(), kVariants});
  server.AwaitReady();
  v1::Traffic traffic;
  traffic.add_shadow()->set_variant("bf16");
  traffic.mutable_shadow(0)->set_rate(1);
  ASSERT_TRUE(SetTraffic(server, traffic).ok());
  for (int i = 0; i < 10; ++i) Answerer(server, IdentityRequest("identity", {1.001F, 2}));       // fp32 answers
  for (int i = 0; i < 10; ++i) Answerer(server, IdentityRequest("identity@bf16", {1.001F, 2}));  // pinned
  for (int i = 0; i < 10; ++i) Answerer(server, IdentityRequest("identity@fp16", {1.001F, 2}));  // not of the pair
  v1::GetDriftResponse drift = Drift(server, "identity@bf16");
  for (int i = 0; i < 100 && drift.samples() + drift.dropped_samples() < 20; ++i) {
    absl::SleepFor(absl::Milliseconds(50));
    drift = Drift(server, "identity@bf16");
  }
  EXPECT_EQ(drift.samples() + drift.dropped_samples(), 20);
  // A busy machine may have had no processor to spare for any of them.
  for (int i = 0; i < 600 && drift.samples() < 5; ++i) {
    Answerer(server, IdentityRequest("identity@bf16", {1.001F, 2}));
    absl::SleepFor(absl::Milliseconds(50));
    drift = Drift(server, "identity@bf16");
  }
  EXPECT_GE(drift.samples(), 5);
  EXPECT_EQ(drift.baseline(), "fp32");
  EXPECT_GT(drift.cosine().value(), 0.999);
  EXPECT_EQ(Drift(server, "identity@fp16").samples(), 0);
}

TEST(TrafficProcessTest, ShadowsNeedTheBaselineAndGiveUnloadedVariantsBack) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root(), "--load=identity@bf16"});
  server.AwaitReady();
  v1::Traffic traffic;
  traffic.add_shadow()->set_variant("bf16");
  traffic.mutable_shadow(0)->set_rate(1);
  const grpc::Status refused = SetTraffic(server, traffic);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(refused.error_message(), HasSubstr("identity@fp32"));
  ASSERT_TRUE(Load(server, "identity@fp32").ok());
  ASSERT_TRUE(SetTraffic(server, traffic).ok());
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 50; ++i) Answerer(server, IdentityRequest("identity@bf16", {1, 2}));
    EXPECT_TRUE(Unload(server, "identity@fp32").ok());
    EXPECT_TRUE(Load(server, "identity@fp32").ok());
  }
}

TEST(TrafficProcessTest, ChangesUnderLoadFailNoRequest) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root(), kVariants});
  server.AwaitReady();
  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0, failed = 0, wrong = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < 3; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; !stop; ++i) {
        const std::vector<float> values = {static_cast<float>(c), static_cast<float>(i % 100)};
        inference::ModelInferRequest request = IdentityRequest("identity", values);
        (*request.mutable_parameters())["user"].set_int64_param(i);
        grpc::ClientContext context;
        inference::ModelInferResponse response;
        if (!server.inference->ModelInfer(&context, request, &response).ok()) ++failed;
        if (Values(response) != values) ++wrong;
        ++answered;
      }
    });
  }
  v1::Traffic sticky = Split({{"fp32", 40}, {"bf16", 30}, {"fp16", 30}});
  sticky.set_sticky_parameter("user");
  sticky.add_shadow()->set_variant("fp16");
  sticky.mutable_shadow(0)->set_rate(0.2);
  for (int round = 0; round < 20; ++round) {
    EXPECT_TRUE(SetTraffic(server, round % 2 == 0 ? sticky : Split({{"bf16", 50}, {"fp16", 50}})).ok());
    EXPECT_TRUE(Unload(server, "identity@fp16").ok());
    EXPECT_TRUE(SetTraffic(server, Split({{"fp32", 10}, {"bf16", 90}})).ok());
    EXPECT_TRUE(Load(server, "identity@fp16").ok());
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_GT(answered, 100);
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace precis::server
