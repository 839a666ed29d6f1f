#include "server/config/server_options.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace precis::server {
namespace {

absl::StatusOr<CommandLine> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "precisd");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

TEST(ServerOptionsTest, HasDefaultsForAllButTheModels) {
  const auto line = Parse({"--model_repository=/models"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_TRUE(line->text.empty());
  EXPECT_EQ(line->options.model_repository, "/models");
  EXPECT_EQ(line->options.grpc_port, 8001);
  EXPECT_EQ(line->options.metrics_port, 8002);
  EXPECT_EQ(line->options.load, std::vector<std::string>{"all"});
  EXPECT_EQ(line->options.control_mode, ControlMode::kExplicit);
}

TEST(ServerOptionsTest, TakesModelsRepeatedOrInAList) {
  const auto line = Parse({"--model=a=/x/a.onnx,b=/y", "--model", "c=/z.onnx", "--load=a@int8,b", "--load=c"});
  ASSERT_TRUE(line.ok()) << line.status();
  ASSERT_EQ(line->options.models.size(), 3U);
  EXPECT_EQ(line->options.models[0].name, "a");
  EXPECT_EQ(line->options.models[1].path, "/y");
  EXPECT_EQ(line->options.models[2].path, "/z.onnx");
  EXPECT_EQ(line->options.load, (std::vector<std::string>{"a@int8", "b", "c"}));
}

TEST(ServerOptionsTest, LoadsNothingWhenToldSo) {
  EXPECT_TRUE(Parse({"--model_repository=/m", "--load=none"})->options.load.empty());
}

TEST(ServerOptionsTest, ReadsModesAndTimes) {
  const auto line = Parse({"--model_repository=/m", "--model_control_mode=poll", "--drain_seconds=0.5",
                           "--repository_poll_secs=2", "--strict_readiness", "--grpc_port=0"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->options.control_mode, ControlMode::kPoll);
  EXPECT_EQ(line->options.drain_grace, absl::Milliseconds(500));
  EXPECT_EQ(line->options.poll_interval, absl::Seconds(2));
  EXPECT_TRUE(line->options.strict_readiness);
  EXPECT_EQ(line->options.grpc_port, 0);
}

TEST(ServerOptionsTest, TellsNoCalibrationCacheFromTheUsualOne) {
  EXPECT_FALSE(Parse({"--model_repository=/m"})->options.calibration_cache.has_value());
  EXPECT_EQ(Parse({"--model_repository=/m", "--calibration_cache="})->options.calibration_cache, "");
  EXPECT_EQ(Parse({"--model_repository=/m", "--calibration_cache=/c"})->options.calibration_cache, "/c");
}

TEST(ServerOptionsTest, ReadsTlsAndTheAgeOfConnections) {
  const auto plain = Parse({"--model_repository=/m"});
  EXPECT_TRUE(plain->options.tls.cert_file.empty());
  EXPECT_EQ(plain->options.max_connection_age, absl::Minutes(5));
  EXPECT_EQ(plain->options.max_connection_grace, absl::InfiniteDuration());
  const auto line = Parse({"--model_repository=/m", "--tls_cert=c", "--tls_key=k", "--tls_client_ca=a",
                           "--max_connection_age=0", "--max_connection_age_grace=2.5"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->options.tls.cert_file, "c");
  EXPECT_EQ(line->options.tls.key_file, "k");
  EXPECT_EQ(line->options.tls.client_ca_file, "a");
  EXPECT_EQ(line->options.max_connection_age, absl::InfiniteDuration());
  EXPECT_EQ(line->options.max_connection_grace, absl::Milliseconds(2500));
}

TEST(ServerOptionsTest, NamesTheFlagThatIsWrong) {
  for (const char* flag : {"--grpc_port=70000", "--threads=-1", "--model_control_mode=maybe", "--nonsense=1",
                           "--model=x", "--model=../x=/y", "--queue_size=-1", "--drain_seconds=nan", "--tls_cert=c",
                           "--tls_key=k", "--tls_client_ca=a", "--max_connection_age=-1"}) {
    const auto line = Parse({"--model_repository=/m", flag});
    EXPECT_TRUE(absl::IsInvalidArgument(line.status())) << flag;
    const std::string name = std::string(flag).substr(0, std::string(flag).find('='));
    EXPECT_NE(line.status().message().find(name), std::string::npos) << line.status();
  }
}

TEST(ServerOptionsTest, NeedsSomethingToServe) { EXPECT_TRUE(absl::IsInvalidArgument(Parse({}).status())); }

TEST(ServerOptionsTest, HelpNamesEveryFlag) {
  const auto line = Parse({"--help"});
  ASSERT_TRUE(line.ok()) << line.status();
  for (const char* flag : {"--model_repository", "--model ", "--load", "--grpc_port", "--metrics_port", "--threads",
                           "--workers", "--queue_size", "--model_control_mode", "--strict_readiness", "--drain_seconds",
                           "--max_message_bytes", "--repository_poll_secs", "--calibration_cache", "--tls_cert",
                           "--tls_key", "--tls_client_ca", "--max_connection_age ", "--max_connection_age_grace"}) {
    EXPECT_NE(line->text.find(flag), std::string::npos) << flag << "\n" << line->text;
  }
}

}  // namespace
}  // namespace precis::server
