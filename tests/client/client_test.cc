#include "precis/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/client/fake_server.h"

namespace precis {
namespace {

using client::Tensor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<Client> MakeClient(const std::string& target, absl::Duration deadline = absl::Seconds(20)) {
  client::ClientOptions options;
  options.target = target;
  options.deadline = deadline;
  options.retry.initial_backoff = absl::Milliseconds(1);
  absl::StatusOr<std::unique_ptr<Client>> client = Client::Connect(options);
  EXPECT_TRUE(client.ok()) << client.status();
  return *std::move(client);
}

client::InferRequest Request(const std::string& model = "net@int8") {
  return {.model = model,
          .version = "",
          .id = "seven",
          .inputs = {Tensor::Of<float>("x", {1, 2}, {1.5f, -2.0f}), Tensor::Of<int64_t>("ids", {1}, {1LL << 40})},
          .outputs = {},
          .parameters = {{"a", true}, {"b", int64_t{7}}, {"c", 0.5}, {"d", std::string("text")}}};
}

TEST(ClientTest, TensorsAndParametersTravelBothWays) {
  FakeServer server;
  const auto response = MakeClient(server.target())->Infer(Request());
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->model, "net@int8");
  EXPECT_EQ(response->version, "1");
  EXPECT_EQ(response->id, "seven");
  ASSERT_NE(response->Output("x"), nullptr);
  EXPECT_THAT(response->Output("x")->shape, ElementsAre(1, 2));
  EXPECT_THAT(response->Output("x")->Values<float>(), ElementsAre(1.5f, -2.0f));
  EXPECT_THAT(response->Output("x")->Values<double>(), ElementsAre());
  EXPECT_THAT(response->Output("ids")->Values<int64_t>(), ElementsAre(1LL << 40));
  EXPECT_EQ(response->Output("nothing"), nullptr);
  EXPECT_EQ(response->parameters, Request().parameters);
}

TEST(ClientTest, UnavailableIsRetried) {
  FakeServer server;
  server.inference.on_infer = [&](const auto&, auto*) {
    return server.inference.infer_calls < 3 ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "loading") : grpc::Status::OK;
  };
  EXPECT_TRUE(MakeClient(server.target())->Infer(Request()).ok());
  EXPECT_EQ(server.inference.infer_calls, 3);
}

TEST(ClientTest, RetriesEndAfterTheirAttempts) {
  FakeServer server;
  server.inference.on_infer = [](const auto&, auto*) {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "draining");
  };
  const absl::Status status = MakeClient(server.target())->Infer(Request()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(std::string(status.message()), "draining");
  EXPECT_EQ(server.inference.infer_calls, client::RetryOptions().max_attempts);
}

TEST(ClientTest, OtherCodesArriveUnchangedAfterOneCall) {
  FakeServer server;
  for (const auto code : {grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::NOT_FOUND, grpc::StatusCode::INTERNAL,
                          grpc::StatusCode::RESOURCE_EXHAUSTED, grpc::StatusCode::UNIMPLEMENTED}) {
    server.inference.infer_calls = 0;
    server.inference.on_infer = [&](const auto&, auto*) { return grpc::Status(code, "why"); };
    const absl::Status status = MakeClient(server.target())->Infer(Request()).status();
    EXPECT_EQ(static_cast<int>(status.code()), static_cast<int>(code));
    EXPECT_EQ(std::string(status.message()), "why");
    EXPECT_EQ(server.inference.infer_calls, 1);
  }
}

TEST(ClientTest, DeadlineEndsACallThatHangs) {
  FakeServer server;
  std::atomic<bool> done = false;
  server.inference.on_infer = [&](const auto&, auto*) {
    done.wait(false);
    return grpc::Status::OK;
  };
  const absl::Status status = MakeClient(server.target(), absl::Milliseconds(50))->Infer(Request()).status();
  done = true;
  done.notify_all();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(ClientTest, ServerThatIsNotThereIsUnavailable) {
  EXPECT_EQ(MakeClient("localhost:1")->ServerLive().status().code(), absl::StatusCode::kUnavailable);
}

TEST(ClientTest, ReplyThatContradictsItselfIsInternal) {
  FakeServer server;
  server.inference.on_infer = [](const auto&, inference::ModelInferResponse* reply) {
    reply->add_outputs()->set_name("y");
    return grpc::Status::OK;
  };
  EXPECT_EQ(MakeClient(server.target())->Infer(Request()).status().code(), absl::StatusCode::kInternal);
}

TEST(ClientTest, ManyThreadsShareOneClient) {
  FakeServer server;
  const auto client = MakeClient(server.target());
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) good += client->Infer(Request()).ok() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 160);
}

TEST(ClientTest, OptionsAreChecked) {
  const auto code = [](const client::ClientOptions& options) { return Client::Connect(options).status().code(); };
  client::ClientOptions options;
  EXPECT_EQ(code(options), absl::StatusCode::kOk);
  options.target = "";
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
  options = {};
  options.deadline = absl::ZeroDuration();
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
  options = {};
  options.retry.max_attempts = 0;
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
  options = {};
  options.tls.ca_file = "/nowhere/ca.pem";
  EXPECT_EQ(code(options), absl::StatusCode::kNotFound);
  options = {};
  options.tls.use_tls = true;
  options.tls.cert_file = "/nowhere/client.pem";
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
  options.tls.use_tls = false;
  options.tls.key_file = "/nowhere/client.key";
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
}

TEST(ClientTest, MetadataIndexAndStatistics) {
  FakeServer server;
  const auto client = MakeClient(server.target());
  const auto server_metadata = client->ServerMetadata();
  ASSERT_TRUE(server_metadata.ok());
  EXPECT_EQ(server_metadata->name, "fake");
  EXPECT_THAT(server_metadata->extensions, ElementsAre("statistics"));
  const auto metadata = client->ModelMetadata("net");
  ASSERT_TRUE(metadata.ok());
  EXPECT_EQ(metadata->inputs[0].name, "x");
  EXPECT_THAT(metadata->inputs[0].shape, ElementsAre(-1, 3, 2, 2));
  EXPECT_EQ(client->ModelMetadata("other").status().code(), absl::StatusCode::kNotFound);
  const auto index = client->RepositoryIndex();
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->at(1).reason, "not an ONNX file");
  const auto statistics = client->Statistics();
  ASSERT_TRUE(statistics.ok());
  EXPECT_EQ(statistics->at(0).success.count, 4u);
  EXPECT_EQ(statistics->at(0).success.total_ns, 8'000'000u);
  EXPECT_EQ(client->ServerLive().status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_TRUE(client->UnloadModel("net").ok());
  EXPECT_EQ(client->UnloadModel("other").code(), absl::StatusCode::kNotFound);
}

TEST(ClientTest, LoadReportsItsProgress) {
  FakeServer server;
  std::vector<std::string> phases;
  const auto status = MakeClient(server.target())
                          ->LoadVariant({.model = "net",
                                         .version = "",
                                         .variant = "int8",
                                         .policy = "precision: INT8 weights { bits: 8 }",
                                         .warm_shapes = {{"x", {1, 3, 2, 2}}}},
                                        [&](const client::LoadProgress& p) { phases.push_back(p.phase); });
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->state, "READY");
  EXPECT_EQ(status->precision, "INT8");
  EXPECT_EQ(status->load_ms.at("compile"), 2.5);
  EXPECT_THAT(phases, ElementsAre("PARSE", "WARM_UP", "DONE"));
  EXPECT_EQ(server.precision.last_load.policy().weights().bits(), 8);
  EXPECT_THAT(server.precision.last_load.warm_shapes(0).shape(), ElementsAre(1, 3, 2, 2));
}

TEST(ClientTest, LoadFailsAsTheServerSays) {
  FakeServer server;
  server.precision.on_load = [](auto*) { return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "no samples"); };
  const auto client = MakeClient(server.target());
  EXPECT_EQ(client->LoadVariant({"net", "", "int8", "", {}}).status().code(), absl::StatusCode::kFailedPrecondition);
  server.precision.on_load = [](auto*) { return grpc::Status::OK; };
  EXPECT_EQ(client->LoadVariant({"net", "", "int8", "", {}}).status().code(), absl::StatusCode::kInternal);
}

// Samples of "net" without end, or `count` of them.
Client::NextSample Samples(int count = 1'000'000) {
  return [count]() mutable -> absl::StatusOr<std::optional<std::vector<Tensor>>> {
    if (count-- == 0) return std::nullopt;
    return std::vector<Tensor>{Tensor::Of<float>("x", {1, 3, 2, 2}, std::vector<float>(12, 0.5f))};
  };
}

TEST(ClientTest, CalibrateSendsEverySampleAfterTheStart) {
  FakeServer server;
  const auto done =
      MakeClient(server.target())
          ->Calibrate({.model = "net", .version = "", .variant = "int8", .policy = "precision: INT8"}, Samples(5));
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->samples, 5);
  EXPECT_EQ(done->variant.state, "READY");
  ASSERT_EQ(server.precision.calibration.size(), 6u);
  EXPECT_EQ(server.precision.calibration[0].start().precision_policy().precision(), precis::v1::PrecisionPolicy::INT8);
  EXPECT_EQ(server.precision.calibration[5].sample().inputs(0).name(), "x");
  EXPECT_EQ(server.precision.calibration[5].sample().raw_input_contents(0).size(), 48u);
}

TEST(ClientTest, CalibrateEndsWhenTheServerHasEnough) {
  FakeServer server;
  server.precision.most_samples = 3;
  const auto done = MakeClient(server.target())->Calibrate({"net", "", "int8", ""}, Samples());
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->samples, 3);
}

TEST(ClientTest, CalibrateFailsAsTheServerOrTheSamplesSay) {
  FakeServer server;
  server.precision.most_samples = 2;
  server.precision.calibrate_status = grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "calibration sample 1: NaN");
  const auto client = MakeClient(server.target());
  EXPECT_THAT(std::string(client->Calibrate({"net", "", "int8", ""}, Samples()).status().message()),
              HasSubstr("sample 1"));
  const auto broken = []() -> absl::StatusOr<std::optional<std::vector<Tensor>>> {
    return absl::DataLossError("disk");
  };
  EXPECT_EQ(client->Calibrate({"net", "", "int8", ""}, broken).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(client->Calibrate({"net", "", "int8", "waights {}"}, Samples(1)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ClientTest, MisspeltPolicyIsToldBeforeTheCall) {
  const absl::Status status =
      MakeClient("localhost:1")->LoadVariant({"net", "", "int8", "precision: INT8\nwaights {}", {}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("line 2"));
}

TEST(ClientTest, VariantsAndPlans) {
  FakeServer server;
  const auto client = MakeClient(server.target());
  const auto models = client->ListVariants();
  ASSERT_TRUE(models.ok());
  EXPECT_EQ(models->at(0).default_variant, "fp32");
  EXPECT_EQ(models->at(0).variants[1].precision, "INT8");
  EXPECT_FALSE(models->at(0).preprocessing.has_value());
  const auto plan =
      client->DescribePlan({.model = "net", .version = "", .variant = "int8", .shapes = {}, .repetitions = 3});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->layers[0].implementation, "brgconv:avx512_core_vnni");
  EXPECT_EQ(plan->layers[0].error_sqnr_db, 31.5);
  EXPECT_EQ(plan->layers[0].time_us, 3);
}

TEST(ClientTest, HealthAndWaiting) {
  FakeServer server;
  const auto client = MakeClient(server.target());
  server.SetServing(false);
  EXPECT_EQ(*client->Health(), "NOT_SERVING");
  const absl::Status late = client->WaitUntilServing(absl::Milliseconds(100));
  EXPECT_EQ(late.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(late.message()), HasSubstr("NOT_SERVING"));
  std::thread waiter([&] { EXPECT_TRUE(client->WaitUntilServing(absl::Seconds(20)).ok()); });
  server.SetServing(true);
  waiter.join();
  EXPECT_EQ(*client->Health(), "SERVING");
  EXPECT_EQ(client->Health("net").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(MakeClient("localhost:1")->WaitUntilServing(absl::Milliseconds(100)).code(),
            absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace precis
