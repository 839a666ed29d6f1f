#include "server/config/model_name.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace precis::server {
namespace {

TEST(ModelNameTest, TakesNamesApart) {
  EXPECT_EQ(ParseModelName("net")->model, "net");
  EXPECT_EQ(ParseModelName("net")->variant, "");
  EXPECT_EQ(ParseModelName("net-1.2_b@int8")->model, "net-1.2_b");
  EXPECT_EQ(ParseModelName("net@int8")->variant, "int8");
  EXPECT_EQ(JoinModelName("net", "int8"), "net@int8");
}

TEST(ModelNameTest, RefusesWhatCouldLeaveTheRepository) {
  for (const std::string& name : std::vector<std::string>{"", "@int8", "net@", "..", ".hidden", "a/b", "a b", "net@a@b",
                                                          "a\n", std::string("a\0b", 3)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseModelName(name).status())) << name;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(ParseModelName(std::string(256, 'a')).status()));
}

TEST(ModelNameTest, ParsesVersions) {
  EXPECT_EQ(*ParseVersion(""), 0);
  EXPECT_EQ(*ParseVersion("12"), 12);
  for (const std::string version : {"0", "-1", "1.0", "01", " 1", "x", "99999999999999999999"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseVersion(version).status())) << version;
  }
}

}  // namespace
}  // namespace precis::server
