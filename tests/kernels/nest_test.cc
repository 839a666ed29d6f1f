#include "engine/kernels/nest.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace precis::kernels {
namespace {

using ::testing::ElementsAre;

TEST(NestTest, DenseDimensionsMergeIntoOneLoop) {
  const Nest nest({2, 3, 4}, {{12, 4, 1}, {12, 4, 1}});
  EXPECT_THAT(nest.sizes, ElementsAre(24));
  EXPECT_THAT(nest.strides[1], ElementsAre(1));
}

TEST(NestTest, BroadcastKeepsLoopsApart) {
  const Nest nest({2, 3, 4}, {{12, 4, 1}, {0, 1, 0}});
  EXPECT_THAT(nest.sizes, ElementsAre(2, 3, 4));
  const Nest row({2, 3, 4}, {{12, 4, 1}, {0, 0, 1}});
  EXPECT_THAT(row.sizes, ElementsAre(6, 4));
}

TEST(NestTest, SingleIterationsVanish) {
  EXPECT_THAT(Nest({1, 5, 1}, {{99, 2, 7}}).sizes, ElementsAre(5));
  EXPECT_THAT(Nest({}, {{}}).sizes, ElementsAre(1));
}

TEST(NestTest, WalkVisitsEveryOuterPositionOnce) {
  const Nest nest({2, 3, 4}, {{100, 10, 1}});
  std::vector<int64_t> seen;
  Walk<1>(nest, 1, [&](const auto& at) { seen.push_back(at[0]); });
  EXPECT_THAT(seen, ElementsAre(0, 10, 20, 100, 110, 120));
  int calls = 0;
  Walk<1>(Nest({2, 0, 4}, {{0, 4, 1}}), 1, [&](const auto&) { ++calls; });
  EXPECT_EQ(calls, 0);
}

}  // namespace
}  // namespace precis::kernels
