#include <signal.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/precisd_process.h"

namespace precis::server {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

bool ServerReady(PrecisdProcess& server) {
  grpc::ClientContext context;
  inference::ServerReadyResponse response;
  EXPECT_TRUE(server.inference->ServerReady(&context, {}, &response).ok());
  return response.ready();
}

TEST(DrainTest, IsNotReadyButServesDuringTheGraceThenExitsWithZero) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root(), "--drain_seconds=2"});
  server.AwaitReady();
  EXPECT_TRUE(ServerReady(server));

  grpc::ClientContext watch_context;
  const auto watch = server.health->Watch(&watch_context, HealthCheckRequest());
  HealthCheckResponse status;
  ASSERT_TRUE(watch->Read(&status));
  EXPECT_EQ(status.status(), HealthCheckResponse::SERVING);
  server.Signal(SIGTERM);
  ASSERT_TRUE(watch->Read(&status));
  EXPECT_EQ(status.status(), HealthCheckResponse::NOT_SERVING);

  EXPECT_FALSE(ServerReady(server));
  grpc::ClientContext context;
  inference::ModelInferResponse response;
  const grpc::Status inferred = server.inference->ModelInfer(&context, IdentityRequest("identity", {1, 2}), &response);
  EXPECT_TRUE(inferred.ok()) << inferred.error_message();
  EXPECT_EQ(server.AwaitEnd(), 0);
}

TEST(DrainTest, EndsIdleStreamsWhenTheGraceIsOver) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root(), "--drain_seconds=0"});
  server.AwaitReady();
  grpc::ClientContext context;
  const auto stream = server.inference->ModelStreamInfer(&context);
  ASSERT_TRUE(stream->Write(IdentityRequest("identity", {1})));
  inference::ModelStreamInferResponse response;
  ASSERT_TRUE(stream->Read(&response));
  server.Signal(SIGTERM);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_FALSE(stream->Finish().ok());
  EXPECT_EQ(server.AwaitEnd(), 0);
}

TEST(DrainTest, SecondSignalEndsTheProcess) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root(), "--drain_seconds=3600"});
  server.AwaitReady();
  grpc::ClientContext watch_context;
  const auto watch = server.health->Watch(&watch_context, HealthCheckRequest());
  HealthCheckResponse status;
  ASSERT_TRUE(watch->Read(&status));
  server.Signal(SIGTERM);
  ASSERT_TRUE(watch->Read(&status));  // it has seen the first one
  server.Signal(SIGTERM);
  EXPECT_EQ(server.AwaitEnd(), -SIGTERM);
}

TEST(DrainTest, InterruptHasNoGrace) {
  const IdentityRepository repository;
  PrecisdProcess server({"--model_repository=" + repository.root(), "--drain_seconds=3600"});
  server.AwaitReady();
  server.Signal(SIGINT);
  EXPECT_EQ(server.AwaitEnd(), 0);
}

TEST(StartTest, WrongFlagsAndTakenPortsAreErrors) {
  const IdentityRepository repository;
  EXPECT_EQ(WEXITSTATUS(system((std::string(PRECISD_PATH) + " --nonsense 2> /dev/null").c_str())), 2);
  EXPECT_EQ(
      WEXITSTATUS(system((std::string(PRECISD_PATH) + " --model_repository=/does/not/exist 2> /dev/null").c_str())), 1);
  EXPECT_EQ(WEXITSTATUS(system((std::string(PRECISD_PATH) + " --help > /dev/null").c_str())), 0);
}

}  // namespace
}  // namespace precis::server
