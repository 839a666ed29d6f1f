#include "engine/ir/shape_rules.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace precis::ir {
namespace {

using ::testing::ElementsAre;

TEST(ShapeRulesTest, AxesCountFromEitherEnd) {
  EXPECT_EQ(*ResolveAxis(-1, 3), 2);
  EXPECT_EQ(*ResolveAxis(2, 3), 2);
  EXPECT_EQ(ResolveAxis(3, 3).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ResolveAxis(0, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ResolveAxes(Ints{0, -2}, 2).status().message(), "axis -2 given twice");
}

TEST(ShapeRulesTest, BroadcastStridesStandStillWhereOneElementServesAll) {
  EXPECT_THAT(*BroadcastShapes({2, 1, 3}, {4, 1}), ElementsAre(2, 4, 3));
  EXPECT_THAT(BroadcastStrides({4, 1}, {2, 4, 3}), ElementsAre(0, 1, 0));
  EXPECT_THAT(BroadcastStrides({}, {2, 3}), ElementsAre(0, 0));
}

SliceRange SliceOf(int64_t dim, int64_t start, int64_t end, int64_t step) {
  return (*ResolveSlice({dim}, Ints{start}, Ints{end}, Ints{0}, Ints{step}))[0];
}

TEST(ShapeRulesTest, SliceClampsAsNumpyDoes) {
  EXPECT_EQ(SliceOf(10, 2, 8, 3).size, 2);
  EXPECT_EQ(SliceOf(10, -3, INT64_MAX, 1).start, 7);
  EXPECT_EQ(SliceOf(10, -3, INT64_MAX, 1).size, 3);
  EXPECT_EQ(SliceOf(10, INT64_MAX, INT64_MIN, -1).start, 9);
  EXPECT_EQ(SliceOf(10, INT64_MAX, INT64_MIN, -1).size, 10);
  EXPECT_EQ(SliceOf(10, 0, 5, -1).size, 0);
  EXPECT_EQ(SliceOf(0, 0, 5, 1).size, 0);
  EXPECT_EQ(SliceOf(10, 0, 10, INT64_MAX).size, 1);
  EXPECT_EQ(SliceOf(10, 9, INT64_MIN, INT64_MIN).size, 1);
}

TEST(ShapeRulesTest, SplitLeavesTheRestToTheLastPart) {
  EXPECT_THAT(*ResolveSplit(7, {}, 3), ElementsAre(3, 3, 1));
  EXPECT_THAT(*ResolveSplit(7, Ints{0, 7}, 2), ElementsAre(0, 7));
  EXPECT_EQ(ResolveSplit(7, Ints{8, -1}, 2).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ResolveSplit(4, {}, 4'000'000).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ShapeRulesTest, ReductionWithoutAxesIsOverAllOrNone) {
  const Ints none;
  EXPECT_THAT(*ResolveReduction(2, nullptr, false), ElementsAre(true, true));
  EXPECT_THAT(*ResolveReduction(2, &none, true), ElementsAre(false, false));
  const Ints last = {-1};
  EXPECT_THAT(*ResolveReduction(2, &last, true), ElementsAre(false, true));
}

TEST(ShapeRulesTest, ResizePolicyKeepsTheAspectRatio) {
  Resize op;
  op.policy = ResizePolicy::kNotSmaller;
  const auto axes = ResolveResize(op, {2, 4}, {}, {}, Ints{7, 8});
  EXPECT_EQ((*axes)[0].out, 7);
  EXPECT_EQ((*axes)[1].out, 14);
  EXPECT_DOUBLE_EQ((*axes)[1].scale, 3.5);
}

TEST(ShapeRulesTest, PadsOfSomeAxes) {
  const auto padding = ResolvePads(3, Ints{1, 2, 3, 4}, Ints{-1, 0});
  EXPECT_THAT(padding->begin, ElementsAre(2, 0, 1));
  EXPECT_THAT(padding->end, ElementsAre(4, 0, 3));
  EXPECT_EQ(ResolvePads(3, Ints{1, 2}, {}).status().message(), "2 pads for 3 axes, want 6");
  EXPECT_EQ(ResolvePads(1, Ints{INT64_MIN, 0}, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace precis::ir
