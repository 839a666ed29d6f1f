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

v1::ModelPrecision ParseFile(const std::string& text) {
  v1::ModelPrecision file;
  const absl::Status status = ParseTextProto(text, "file", UnknownFields::kError, &file, nullptr);
  EXPECT_TRUE(status.ok()) << status;
  return file;
}

TEST(CheckDriftTest, TakesAlertsWithLimits) {
  EXPECT_TRUE(CheckDrift({}).ok());
  const v1::ModelPrecision file = ParseFile(
      "drift { baseline: 'bf16' alerts { variant: 'int8' min_sqnr_db: 20 } alerts { variant: 'fp32' max_psi: 0 } }");
  EXPECT_TRUE(CheckDrift(file.drift()).ok());
  EXPECT_EQ(BaselineOf(file), "bf16");
  EXPECT_EQ(BaselineOf({}), "fp32");
  EXPECT_EQ(AlertOf(file, "int8").min_sqnr_db(), 20);
  EXPECT_FALSE(AlertOf(file, "fp16").has_min_sqnr_db());
}

TEST(CheckDriftTest, RefusesWithTheFieldsName) {
  const struct {
    const char *text, *field;
  } cases[] = {
      {"alerts { variant: 'int8' }", "min_sqnr_db"},
      {"alerts { variant: 'fp32' max_psi: 1 }", "variant"},
      {"baseline: 'int8' alerts { variant: 'int8' max_psi: 1 }", "variant"},
      {"alerts { variant: 'int8' max_psi: 1 } alerts { variant: 'int8' max_psi: 2 }", "variant"},
      {"alerts { max_psi: 1 }", "variant"},
      {"baseline: 'a/b'", "baseline"},
      {"alerts { variant: 'int8' min_sqnr_db: inf }", "min_sqnr_db"},
      {"alerts { variant: 'int8' min_top1_agreement: 1.5 }", "min_top1_agreement"},
      {"alerts { variant: 'int8' max_clipped_ratio: nan }", "max_clipped_ratio"},
      {"alerts { variant: 'int8' max_psi: -1 }", "max_psi"},
      {"alerts { variant: 'int8' max_psi: 1 min_samples: -1 }", "min_samples"},
  };
  for (const auto& c : cases) {
    const absl::Status status = CheckDrift(ParseFile("drift { " + std::string(c.text) + " }").drift());
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << c.text << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.field)) << c.text;
  }
}

TEST(MoveShareTest, GivesOneVariantsShareToAnother) {
  v1::Traffic traffic = Parse("split { variant: 'int8' percent: 60 } split { variant: 'bf16' percent: 40 }");
  EXPECT_TRUE(MoveShare("int8", "fp32", &traffic));
  EXPECT_EQ(traffic.split(0).percent(), 0);
  EXPECT_EQ(traffic.split(2).variant(), "fp32");
  EXPECT_EQ(traffic.split(2).percent(), 60);
  EXPECT_TRUE(MoveShare("bf16", "fp32", &traffic));
  EXPECT_EQ(traffic.split(2).percent(), 100);
  EXPECT_TRUE(CheckTraffic(traffic).ok());
  EXPECT_FALSE(MoveShare("bf16", "fp32", &traffic));
  EXPECT_FALSE(MoveShare("fp16", "fp32", &traffic));
}

TEST(VariantsOfTrafficTest, NamesEachOnce) {
  EXPECT_THAT(VariantsOf(Parse("shadow { variant: 'b' } shadow { variant: 'c' } split { variant: 'a' percent: 50 } "
                               "split { variant: 'b' percent: 50 }")),
              ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace precis::server
