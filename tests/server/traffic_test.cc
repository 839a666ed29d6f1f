#include "server/config/traffic.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/config/text_proto.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Traffic Parse(const std::string& text) {
  v1::Traffic traffic;
  const absl::Status status = ParseTextProto(text, "traffic", UnknownFields::kError, &traffic, nullptr);
  EXPECT_TRUE(status.ok()) << status;
  return traffic;
}

TEST(CheckTrafficTest, TakesWhatAddsUp) {
  for (const char* text : {"", "split { variant: 'fp32' percent: 100 }", "sticky_parameter: 'user'",
                           "split { variant: 'a' percent: 33.3 } split { variant: 'b' percent: 33.3 } "
                           "split { variant: 'c' percent: 33.4 }",
                           "split { variant: 'a' percent: 0 } split { variant: 'b' percent: 100 }"}) {
    EXPECT_TRUE(CheckTraffic(Parse(text)).ok()) << text;
  }
}

TEST(CheckTrafficTest, RefusesWithTheFieldsName) {
  const struct {
    const char *text, *field, *what;
  } cases[] = {
      {"split { variant: 'a' percent: 90 } split { variant: 'b' percent: 20 }", "split", "sum to 110"},
      {"split { variant: 'a' percent: 50 } split { variant: 'a' percent: 50 }", "split", "\"a\" twice"},
      {"split { variant: 'a' percent: -1 } split { variant: 'b' percent: 101 }", "split", "\"a\": -1"},
      {"split { variant: 'a' percent: nan }", "split", "nan"},
      {"split { variant: 'a/b' percent: 100 }", "split", "variant name"},
      {"shadow { variant: 'a' rate: 1.5 }", "shadow", "\"a\": rate 1.5"},
      {"shadow { variant: 'a' rate: nan }", "shadow", "nan"},
      {"shadow { variant: 'a' } shadow { variant: 'a' }", "shadow", "\"a\" twice"},
      {"shadow { rate: 0.5 }", "shadow", "variant name"},
      {"sticky_parameter: 'precis_user'", "sticky_parameter", "precis_user"},
  };
  for (const auto& c : cases) {
    const absl::Status status = CheckTraffic(Parse(c.text));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << c.text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.field)) << c.text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.what)) << c.text;
  }
}

TEST(VariantsOfTrafficTest, NamesEachOnce) {
  EXPECT_THAT(VariantsOf(Parse("shadow { variant: 'b' } shadow { variant: 'c' } split { variant: 'a' percent: 50 } "
                               "split { variant: 'b' percent: 50 }")),
              ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace precis::server
