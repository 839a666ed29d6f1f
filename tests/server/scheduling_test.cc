#include "server/config/scheduling.h"

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<Scheduling> Parse(const std::string& text) {
  inference::ModelConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return MakeScheduling(config);
}

TEST(SchedulingTest, WithoutDynamicBatchingNothingIsJoinedAndARequestChoosesItsTimeout) {
  const auto scheduling = Parse("max_batch_size: 8");
  ASSERT_TRUE(scheduling.ok()) << scheduling.status();
  EXPECT_EQ(scheduling->max_batch_size, 8);
  EXPECT_FALSE(scheduling->dynamic_batching);
  EXPECT_EQ(scheduling->workers, 0);
  EXPECT_EQ(scheduling->TimeoutOf(scheduling->LevelOf(3), absl::Milliseconds(1)), absl::Milliseconds(1));
}

TEST(SchedulingTest, ReadsEveryKnob) {
  const auto scheduling = Parse(R"(
      max_batch_size: 16
      instance_group { count: 2 } instance_group { kind: KIND_CPU } instance_group { kind: KIND_GPU count: 7 }
      dynamic_batching {
        preferred_batch_size: [ 8, 4 ] max_queue_delay_microseconds: 500 priority_levels: 2 default_priority_level: 2
        default_queue_policy { default_timeout_microseconds: 1000 max_queue_size: 5 }
        priority_queue_policy { key: 1 value { timeout_action: DELAY allow_timeout_override: true } }
      })");
  ASSERT_TRUE(scheduling.ok()) << scheduling.status();
  EXPECT_EQ(scheduling->workers, 3);
  EXPECT_TRUE(scheduling->dynamic_batching);
  EXPECT_THAT(scheduling->preferred_batch_sizes, ElementsAre(4, 8));
  EXPECT_EQ(scheduling->max_queue_delay, absl::Microseconds(500));
  ASSERT_EQ(scheduling->levels.size(), 2U);
  EXPECT_TRUE(scheduling->levels[0].delay_when_expired);
  EXPECT_TRUE(scheduling->levels[0].allow_timeout_override);
  EXPECT_EQ(scheduling->levels[0].default_timeout, absl::InfiniteDuration());
  EXPECT_FALSE(scheduling->levels[1].delay_when_expired);
  EXPECT_FALSE(scheduling->levels[1].allow_timeout_override);
  EXPECT_EQ(scheduling->levels[1].default_timeout, absl::Milliseconds(1));
  EXPECT_EQ(scheduling->levels[1].max_size, 5U);
  EXPECT_EQ(scheduling->LevelOf(1), 0U);
  EXPECT_EQ(scheduling->LevelOf(0), 1U);
  EXPECT_EQ(scheduling->LevelOf(3), 1U);
}

TEST(SchedulingTest, NamesTheFieldThatIsWrong) {
  const struct {
    const char *config, *field;
  } cases[] = {
      {"max_batch_size: -1", "max_batch_size"},
      {"max_batch_size: 4 dynamic_batching { preferred_batch_size: 8 }", "dynamic_batching.preferred_batch_size: 8"},
      {"max_batch_size: 4 dynamic_batching { preferred_batch_size: 0 }", "dynamic_batching.preferred_batch_size: 0"},
      {"dynamic_batching { priority_levels: 2 }", "dynamic_batching.default_priority_level: 0"},
      {"dynamic_batching { priority_levels: 2 default_priority_level: 3 }", "dynamic_batching.default_priority_level"},
      {"dynamic_batching { priority_levels: 99999 default_priority_level: 1 }", "dynamic_batching.priority_levels"},
      {"dynamic_batching { priority_levels: 2 default_priority_level: 1 preserve_ordering: true }",
       "dynamic_batching.priority_levels"},
      {"dynamic_batching { priority_queue_policy { key: 1 value {} } }", "dynamic_batching.priority_queue_policy"},
      {"dynamic_batching { preserve_ordering: true default_queue_policy { timeout_action: DELAY } }",
       "dynamic_batching.default_queue_policy.timeout_action"},
  };
  for (const auto& c : cases) {
    const auto scheduling = Parse(c.config);
    EXPECT_TRUE(absl::IsInvalidArgument(scheduling.status())) << c.config;
    EXPECT_THAT(std::string(scheduling.status().message()), HasSubstr(c.field));
  }
}

TEST(ChooseParallelismTest, WorkersTimesThreadsIsTheNumberOfCores) {
  const auto choose = [](int cores, int workers, int threads) {
    const Parallelism p = ChooseParallelism(cores, workers, threads);
    return std::vector<int>{p.workers, p.threads};
  };
  EXPECT_THAT(choose(4, 0, 0), ElementsAre(4, 1));
  EXPECT_THAT(choose(4, 1, 0), ElementsAre(1, 4));
  EXPECT_THAT(choose(4, 0, 2), ElementsAre(2, 2));
  EXPECT_THAT(choose(4, 3, 5), ElementsAre(3, 5));
  EXPECT_THAT(choose(2, 8, 0), ElementsAre(8, 1));
  EXPECT_THAT(choose(2, 0, 8), ElementsAre(1, 8));
}

}  // namespace
}  // namespace precis::server
