#include "server/batching/batch_plan.h"

#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fake_variant.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A size that took `ms` and answered the probe items with numbers that begin with `bits`; none: not the same at every place.
BatchPlan::Measured Size(int64_t size, double ms, std::optional<float> bits = 1) {
  BatchPlan::Measured measured;
  measured.size = size;
  measured.time = absl::Milliseconds(ms);
  if (bits) measured.items.push_back(Tensor::From<float>({3, 1}, {*bits, 2, 3}));
  return measured;
}

template <typename... Sizes>
BatchPlan Choose(int64_t max_size, Sizes... sizes) {
  std::vector<BatchPlan::Measured> measured;
  (measured.push_back(std::move(sizes)), ...);
  return BatchPlan::Choose(measured, max_size);
}

TEST(BatchPlanTest, RunsItemByItemWhereLargerRunsAreNotFaster) {
  const BatchPlan plan = Choose(4, Size(1, 2.8), Size(2, 5.5), Size(4, 11.3));
  EXPECT_THAT(plan.sizes(), ElementsAre(1));
  EXPECT_EQ(plan.best_size(), 1);
  EXPECT_THAT(plan.Runs(3), ElementsAre(1, 1, 1));
  EXPECT_THAT(plan.reason(), HasSubstr("item by item"));
}

TEST(BatchPlanTest, SplitsOrPadsWhicheverIsCheaper) {
  const BatchPlan plan = Choose(12, Size(1, 4), Size(4, 6), Size(8, 7));
  EXPECT_EQ(plan.best_size(), 8);
  EXPECT_THAT(plan.Runs(1), ElementsAre(1));
  EXPECT_THAT(plan.Runs(2), ElementsAre(4));  // padded: 6 ms instead of 8
  EXPECT_THAT(plan.Runs(5), ElementsAre(8));  // padded: 7 instead of 10
  EXPECT_THAT(plan.Runs(8), ElementsAre(8));
  EXPECT_THAT(plan.Runs(9), ElementsAre(8, 1));
  EXPECT_THAT(plan.Runs(12), ElementsAre(8, 4));
}

TEST(BatchPlanTest, NeverMixesSizesWithOtherBits) {
  const BatchPlan plan = Choose(4, Size(1, 4, 1), Size(2, 5, 1.5), Size(4, 6, 1));
  EXPECT_THAT(plan.sizes(), ElementsAre(1, 4));
  EXPECT_THAT(plan.reason(), HasSubstr("other bits than alone at 2"));
  const BatchPlan unsteady = Choose(2, Size(1, 4), Size(2, 5, std::nullopt));
  EXPECT_THAT(unsteady.sizes(), ElementsAre(1));
}

TEST(BatchPlanTest, PadsLoneRequestsWhereThatCostsThemNothingAndLargerRunsPay) {
  const BatchPlan plan = Choose(8, Size(1, 15.5, 1), Size(2, 20, 2), Size(4, 11.5, 3), Size(8, 16, 3));
  EXPECT_THAT(plan.sizes(), ElementsAre(4, 8));
  EXPECT_THAT(plan.Runs(1), ElementsAre(4));
  EXPECT_THAT(plan.Runs(5), ElementsAre(8));
  // A lone request would take longer: larger runs are given up.
  const BatchPlan slow = Choose(4, Size(1, 4, 1), Size(4, 6, 3));
  EXPECT_THAT(slow.sizes(), ElementsAre(1));
}

TEST(BatchPlanTest, MeasuresUntilItDoesNotPayAndDropsWhatIsNotUsed) {
  int64_t largest = 0;
  const FakeVariant variant([&](const std::vector<TensorView>& inputs) {
    largest = std::max(largest, inputs[0].shape[0]);
    const absl::Time end = absl::Now() + absl::Milliseconds(inputs[0].shape[0]);  // as long as the items one by one
    while (absl::Now() < end) {
    }
    return absl::OkStatus();
  });
  const auto plan = BatchPlan::Measure(variant, 64, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->sizes(), ElementsAre(1));
  EXPECT_EQ(largest, 4);  // 2 and 4 do not pay
  EXPECT_EQ(variant.dropped.size(), 2U);
  EXPECT_TRUE(plan->Covers({{DataType::kF32, {7}, nullptr}}));
  EXPECT_FALSE(plan->Covers({{DataType::kF32, {7, 3}, nullptr}}));
}

TEST(BatchPlanTest, UsesLargeRunsThatTakeAsLongAsSmallOnes) {
  const FakeVariant variant([](const std::vector<TensorView>&) {
    const absl::Time end = absl::Now() + absl::Milliseconds(2);
    while (absl::Now() < end) {
    }
    return absl::OkStatus();
  });
  const auto plan = BatchPlan::Measure(variant, 8, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->sizes(), ElementsAre(1, 2, 4, 8));
}

TEST(BatchPlanTest, RunsItemByItemWhatCannotRunLarger) {
  const FakeVariant variant([](const std::vector<TensorView>& inputs) {
    return inputs[0].shape[0] == 1 ? absl::OkStatus() : absl::InvalidArgumentError("written for one");
  });
  const auto plan = BatchPlan::Measure(variant, 8, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->sizes(), ElementsAre(1));
  EXPECT_THAT(plan->reason(), HasSubstr("2 items: written for one"));
}

TEST(BatchPlanTest, LeavesRequestsAloneWhoseOutputsHaveNoBatch) {
  const FakeVariant variant([](const auto&) { return absl::OkStatus(); }, FakeVariant::kScalarOutput);
  const auto plan = BatchPlan::Measure(variant, 8, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_FALSE(plan->batches());
  EXPECT_THAT(plan->reason(), HasSubstr("no batch dimension"));
}

}  // namespace
}  // namespace precis::server
