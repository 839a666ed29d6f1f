#include "server/models/traffic_route.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/models/served_variant.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class TrafficRouteTest : public ::testing::Test {
 protected:
  TrafficRouteTest() {
    for (const char* name : {"fp32", "bf16", "int8"}) served_[name].name = name;
  }

  TrafficRoute Make(const std::vector<std::pair<std::string, double>>& split, const std::vector<std::string>& loaded,
                    const std::string& fallback = "") {
    v1::Traffic traffic;
    for (const auto& [variant, percent] : split) {
      traffic.add_split()->set_variant(variant);
      traffic.mutable_split()->rbegin()->set_percent(percent);
    }
    std::vector<TrafficRoute::Candidate> candidates;
    for (const std::string& name : loaded) candidates.push_back({name, &served_.at(name)});
    return TrafficRoute(traffic, candidates, fallback.empty() ? nullptr : &served_.at(fallback));
  }

  std::map<std::string, ServedVariant> served_;
};

std::string NameOf(const ServedVariant* served) { return served == nullptr ? "" : served->name; }
std::string User(int i) { return "user-" + std::to_string(i); }

TEST_F(TrafficRouteTest, HashIsFnv1aForEver) {
  // Draft-eastlake-fnv, test vectors of FNV-1a 64.
  EXPECT_EQ(StickyHash(""), 0xCBF29CE484222325U);
  EXPECT_EQ(StickyHash("a"), 0xAF63DC4C8601EC8CU);
  EXPECT_EQ(StickyHash("foobar"), 0x85944171F73967E8U);
}

TEST_F(TrafficRouteTest, NoSplitGoesToTheFallback) {
  const TrafficRoute route = Make({}, {"bf16", "fp32"}, "fp32");
  EXPECT_EQ(NameOf(route.primary()), "fp32");
  EXPECT_EQ(NameOf(route.Choose(17)), "fp32");
  EXPECT_EQ(NameOf(route.ChooseSticky(17)), "fp32");
  EXPECT_EQ(TrafficRoute().Choose(1), nullptr);
}

TEST_F(TrafficRouteTest, SharesHoldForAnyRunOfConsecutiveRequests) {
  const TrafficRoute route = Make({{"fp32", 60}, {"bf16", 30}, {"int8", 10}}, {"bf16", "fp32", "int8"}, "bf16");
  EXPECT_EQ(NameOf(route.primary()), "fp32");
  for (const uint64_t first : {uint64_t{0}, uint64_t{12345}, ~uint64_t{0} - 500}) {
    std::map<std::string, int> counts;
    for (uint64_t i = 0; i < 1000; ++i) ++counts[NameOf(route.Choose(first + i))];
    EXPECT_NEAR(counts["fp32"], 600, 4);
    EXPECT_NEAR(counts["bf16"], 300, 4);
    EXPECT_NEAR(counts["int8"], 100, 4);
  }
}

TEST_F(TrafficRouteTest, StickyValuesSplitByTheSharesAndStay) {
  constexpr int kUsers = 20000;
  const TrafficRoute route = Make({{"fp32", 90}, {"int8", 10}}, {"fp32", "int8"});
  const TrafficRoute turned = Make({{"int8", 10}, {"fp32", 90}}, {"fp32", "int8"});
  int int8 = 0;
  for (int i = 0; i < kUsers; ++i) {
    const ServedVariant* chosen = route.ChooseSticky(StickyHash(User(i)));
    EXPECT_EQ(chosen, route.ChooseSticky(StickyHash(User(i))));
    EXPECT_EQ(chosen, turned.ChooseSticky(StickyHash(User(i)))) << "the order of the split matters";
    int8 += NameOf(chosen) == "int8" ? 1 : 0;
  }
  EXPECT_NEAR(int8, kUsers / 10, 5 * std::sqrt(kUsers * 0.09));  // five standard deviations
}

TEST_F(TrafficRouteTest, StickyChoicesAreThoseOfEveryReplicaAndRelease) {
  const TrafficRoute route = Make({{"fp32", 50}, {"int8", 50}}, {"fp32", "int8"});
  std::string choices;
  for (int i = 0; i < 16; ++i) choices += NameOf(route.ChooseSticky(StickyHash(User(i))))[0];
  EXPECT_EQ(choices, "fifififfififiiif");
}

TEST_F(TrafficRouteTest, OnlyTheLeavingVariantsValuesMove) {
  const std::vector<std::pair<std::string, double>> split = {{"fp32", 50}, {"bf16", 30}, {"int8", 20}};
  const TrafficRoute all = Make(split, {"bf16", "fp32", "int8"});
  const TrafficRoute fewer = Make(split, {"bf16", "fp32"});
  EXPECT_THAT(fewer.missing(), ElementsAre("int8"));
  std::map<std::string, int> heirs;
  for (int i = 0; i < 10000; ++i) {
    const uint64_t hash = StickyHash(User(i));
    const std::string before = NameOf(all.ChooseSticky(hash)), after = NameOf(fewer.ChooseSticky(hash));
    if (before == "int8") {
      ++heirs[after];
    } else {
      EXPECT_EQ(before, after);
    }
  }
  EXPECT_NEAR(heirs["fp32"] / static_cast<double>(heirs["fp32"] + heirs["bf16"]), 50.0 / 80, 0.06);
}

TEST_F(TrafficRouteTest, ALargerShareOnlyGains) {
  const TrafficRoute before = Make({{"fp32", 90}, {"int8", 10}}, {"fp32", "int8"});
  const TrafficRoute after = Make({{"fp32", 70}, {"int8", 30}}, {"fp32", "int8"});
  for (int i = 0; i < 5000; ++i) {
    const uint64_t hash = StickyHash(User(i));
    if (NameOf(before.ChooseSticky(hash)) == "int8") {
      EXPECT_EQ(NameOf(after.ChooseSticky(hash)), "int8");
    }
  }
}

TEST_F(TrafficRouteTest, MissingVariantsLeaveTheirShareToTheOthers) {
  const TrafficRoute one = Make({{"fp32", 10}, {"int8", 90}}, {"bf16", "fp32"}, "bf16");
  EXPECT_EQ(NameOf(one.Choose(3)), "fp32");
  EXPECT_EQ(NameOf(one.primary()), "fp32");
  EXPECT_THAT(one.missing(), ElementsAre("int8"));
  const TrafficRoute none = Make({{"int8", 100}}, {"bf16"}, "bf16");
  EXPECT_EQ(NameOf(none.Choose(3)), "bf16");
  const TrafficRoute zero = Make({{"fp32", 100}, {"int8", 0}}, {"fp32"}, "fp32");
  EXPECT_THAT(zero.missing(), IsEmpty());
}

}  // namespace
}  // namespace precis::server
