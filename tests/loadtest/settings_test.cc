#include "loadtest/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "absl/strings/str_split.h"
#include "client/cli/exit_code.h"

namespace precis::loadtest {
namespace {

using ::testing::HasSubstr;

TEST(ParseRateTest, CallsPerSecondOrAShare) {
  EXPECT_EQ(ParseRate("120")->per_second, 120);
  EXPECT_EQ(ParseRate("0.5/s")->per_second, 0.5);
  EXPECT_EQ(ParseRate("70%")->of_capacity, 0.7);
  EXPECT_EQ(ParseRate("70%")->per_second, 0);
  for (const char* text : {"", "fast", "0", "-3", "nan", "inf", "1e999", "70%/s"})
    EXPECT_FALSE(ParseRate(text)) << text;
}

class CommandLineTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::optional<int>> Parse(const std::string& flags) {
    settings_ = Settings();
    return ParseCommandLine(absl::StrSplit(flags, ' '), &settings_, out_, err_);
  }

  Settings settings_;
  std::ostringstream out_, err_;
};

TEST_F(CommandLineTest, ReadsTheContractsFlags) {
  const auto ended = Parse("--target=host:1 --model=net@int8 --rate=50 --duration=3s --warmup=0s --retries=2 --json");
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_FALSE(ended->has_value());
  EXPECT_EQ(settings_.target, "host:1");
  EXPECT_EQ(settings_.model, "net@int8");
  EXPECT_EQ(settings_.load.rate, 50);
  EXPECT_EQ(settings_.run.duration, std::chrono::seconds(3));
  EXPECT_EQ(settings_.run.warmup, std::chrono::seconds(0));
  EXPECT_EQ(settings_.retries, 2);
  EXPECT_TRUE(settings_.json);
}

TEST_F(CommandLineTest, SaysWhatDoesNotGoTogether) {
  const std::pair<const char*, const char*> cases[] = {
      {"--concurrency=1", "--model is missing"},
      {"--model=net", "either --concurrency=N or --rate=R"},
      {"--model=net --concurrency=1 --rate=5", "either --concurrency=N or --rate=R"},
      {"--model=net --rate=fast", "--rate=fast"},
      {"--model=net --rate=5 --duration=1s --window=2s", "--window is longer"},
      {"--model=net --rate=5 --until-stable=2s", "--until-stable is shorter"},
      {"--model=net --rate=5 --search-p99=5ms", "either --concurrency=N or --rate=R or --search-p99"},
      {"--model=net --search-p99=5ms --against-model=b", "looks at one server"},
      {"--model=net --rate=5 --json --csv", "either --json or --csv"},
      {"--model=net --rate=5 --shape=x", "want INPUT=1,3,224,224"},
  };
  for (const auto& [flags, message] : cases) {
    const absl::Status status = Parse(flags).status();
    EXPECT_EQ(cli::ExitCode(status), cli::kWrongUsage) << flags;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << flags;
  }
}

TEST_F(CommandLineTest, RefusesValuesThatMakeNoSense) {
  for (const char* flags : {"--concurrency=0", "--concurrency=x", "--duration=5", "--duration=0s", "--warmup=-1s",
                            "--retries=-1", "--stability=0", "--arrivals=often", "--unknown"}) {
    const auto ended = Parse(std::string("--model=net --rate=5 ") + flags);
    ASSERT_TRUE(ended.ok()) << flags;
    EXPECT_EQ(*ended, cli::kWrongUsage) << flags;
    EXPECT_NE(err_.str(), "") << flags;
  }
}

}  // namespace
}  // namespace precis::loadtest
