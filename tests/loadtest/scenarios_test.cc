#include "loadtest/scenarios.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/exit_code.h"

namespace precis::loadtest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ParseScenariosTest, KeepsOrderAndWritesFlags) {
  const auto scenarios = ParseScenarios(R"({
    // the second letter first
    "b": {"model": "net@int8", "rate": "70%", "stability": 0.05},
    "a": {"model": "net", "concurrency": 2, "tls": true, "json": false, "shape": ["x=1,2", "y=3"]}
  })");
  ASSERT_TRUE(scenarios.ok()) << scenarios.status();
  ASSERT_EQ(scenarios->size(), 2u);
  EXPECT_EQ((*scenarios)[0].name, "b");
  EXPECT_THAT((*scenarios)[0].flags, ElementsAre("--model=net@int8", "--rate=70%", "--stability=0.05"));
  EXPECT_THAT((*scenarios)[1].flags,
              ElementsAre("--model=net", "--concurrency=2", "--tls", "--shape=x=1,2", "--shape=y=3"));
}

TEST(ParseScenariosTest, SaysWhereTheFormIsAnother) {
  const std::pair<const char*, const char*> cases[] = {
      {"{", "no JSON"},
      {"[]", "want a JSON object"},
      {"{}", "want a JSON object"},
      {R"({"a": 3})", "scenario \"a\": want an object"},
      {R"({"a": {"model": null}})", "scenario \"a\": \"model\" is null"},
      {R"({"a": {"model": {"b": 1}}})", "\"model\" is {\"b\":1}"},
      {R"({"a": {"model": [["b"]]}})", "\"model\" is [[\"b\"]]"},
  };
  for (const auto& [text, message] : cases) {
    const absl::Status status = ParseScenarios(text).status();
    EXPECT_EQ(cli::ExitCode(status), cli::kWrongUsage) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << text;
  }
  EXPECT_THAT(std::string(ReadScenarios("/nowhere.json").status().message()), HasSubstr("/nowhere.json: cannot read"));
}

TEST(MergeFlagsTest, TheCommandLineWins) {
  const Scenario scenario{"a", {"--model=net", "--duration=60s", "--shape=x=1"}};
  EXPECT_THAT(MergeFlags(scenario, {"--scenarios=f.json", "--duration=1s", "--json"}),
              ElementsAre("--duration=1s", "--json", "--model=net", "--shape=x=1"));
  EXPECT_THAT(MergeFlags(scenario, {"--scenarios", "f.json", "--duration", "1s"}),
              ElementsAre("--duration", "1s", "--model=net", "--shape=x=1"));
}

}  // namespace
}  // namespace precis::loadtest
