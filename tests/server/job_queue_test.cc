#include "server/batching/job_queue.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const absl::Time kStart = absl::UnixEpoch() + absl::Seconds(1);

// Jobs are told apart by their number of items.
Job MakeJob(int64_t items, uint64_t priority = 0, absl::Time submitted = kStart) {
  static const float data[64] = {};
  Job job;
  job.inputs = {{DataType::kF32, {items, 2}, data}};
  job.batch_size = items;
  job.priority = priority;
  job.submitted = submitted;
  return job;
}

std::vector<int64_t> ItemsOf(const std::vector<Job>& jobs) {
  std::vector<int64_t> items;
  for (const Job& job : jobs) items.push_back(job.batch_size);
  return items;
}

std::vector<int64_t> TakeAll(JobQueue& queue) {
  std::vector<int64_t> items;
  while (!queue.empty()) items.push_back(queue.Take(1)[0].batch_size);
  return items;
}

Scheduling Levels(size_t levels, size_t default_level) {
  Scheduling scheduling;
  scheduling.levels.assign(levels, QueuePolicy());
  scheduling.default_level = default_level;
  return scheduling;
}

TEST(JobQueueTest, TakesByLevelThenByArrival) {
  const Scheduling scheduling = Levels(3, 1);
  JobQueue queue(&scheduling, 10);
  queue.Push(MakeJob(1, 3));
  queue.Push(MakeJob(2, 0));  // the default: level 2
  queue.Push(MakeJob(3, 1));
  queue.Push(MakeJob(4, 2));
  queue.Push(MakeJob(5, 99));  // out of range: the default
  EXPECT_EQ(queue.items(), 15);
  EXPECT_THAT(TakeAll(queue), ElementsAre(3, 2, 4, 5, 1));
  EXPECT_EQ(queue.items(), 0);
}

TEST(JobQueueTest, JoinsWholeJobsAcrossLevelsUpToTheLimit) {
  const Scheduling scheduling = Levels(2, 0);
  JobQueue queue(&scheduling, 10);
  queue.Push(MakeJob(2, 2));
  queue.Push(MakeJob(3, 1));
  queue.Push(MakeJob(4, 2));
  EXPECT_EQ(queue.LeadingItems(5), 5);
  EXPECT_EQ(queue.LeadingItems(8), 5);
  EXPECT_THAT(ItemsOf(queue.Take(8)), ElementsAre(3, 2));
  EXPECT_THAT(ItemsOf(queue.Take(1)), ElementsAre(4));  // a job is never cut
}

TEST(JobQueueTest, NeverJoinsOtherItemShapes) {
  const Scheduling scheduling;
  JobQueue queue(&scheduling, 10);
  queue.Push(MakeJob(1));
  Job other = MakeJob(2);
  other.inputs[0].shape = {2, 3};
  queue.Push(std::move(other));
  EXPECT_EQ(queue.LeadingItems(8), 1);
  EXPECT_THAT(ItemsOf(queue.Take(8)), ElementsAre(1));
}

TEST(JobQueueTest, BoundsTheWholeAndEachLevel) {
  Scheduling scheduling = Levels(2, 0);
  scheduling.levels[1].max_size = 1;
  JobQueue queue(&scheduling, 2);
  queue.Push(MakeJob(1, 2));
  EXPECT_TRUE(absl::IsResourceExhausted(queue.RoomFor(MakeJob(1, 2))));
  EXPECT_TRUE(queue.RoomFor(MakeJob(1, 1)).ok());
  queue.Push(MakeJob(1, 1));
  EXPECT_TRUE(absl::IsResourceExhausted(queue.RoomFor(MakeJob(1, 1))));
}

TEST(JobQueueTest, RefusesWhatExpiredWhereThePolicySaysReject) {
  Scheduling scheduling;
  scheduling.levels[0].default_timeout = absl::Milliseconds(10);
  JobQueue queue(&scheduling, 10);
  queue.Push(MakeJob(1));
  queue.Push(MakeJob(2, 0, kStart + absl::Milliseconds(5)));
  EXPECT_TRUE(queue.FirstMayRun(kStart + absl::Milliseconds(9)));
  EXPECT_FALSE(queue.FirstMayRun(kStart + absl::Milliseconds(10)));
  const auto refused = queue.Sweep(kStart + absl::Milliseconds(10));
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].job.batch_size, 1);
  EXPECT_TRUE(absl::IsDeadlineExceeded(refused[0].why)) << refused[0].why;
  EXPECT_EQ(queue.size(), 1U);
  EXPECT_EQ(queue.items(), 2);
  EXPECT_EQ(queue.oldest(), kStart + absl::Milliseconds(5));
}

TEST(JobQueueTest, RunsWhatExpiredLaterWhereThePolicySaysDelay) {
  Scheduling scheduling = Levels(2, 0);
  for (QueuePolicy& level : scheduling.levels) {
    level.default_timeout = absl::Milliseconds(10);
    level.delay_when_expired = true;
  }
  JobQueue queue(&scheduling, 10);
  queue.Push(MakeJob(1));
  queue.Push(MakeJob(2, 0, kStart + absl::Milliseconds(5)));
  queue.Push(MakeJob(3, 2, kStart + absl::Milliseconds(5)));
  EXPECT_THAT(queue.Sweep(kStart + absl::Milliseconds(10)), IsEmpty());
  EXPECT_THAT(queue.Sweep(kStart + absl::Milliseconds(11)), IsEmpty());
  EXPECT_THAT(TakeAll(queue), ElementsAre(2, 1, 3));
}

TEST(JobQueueTest, ARequestMayShortenItsTimeOnlyWhereAllowed) {
  Scheduling scheduling = Levels(2, 0);
  scheduling.levels[0].default_timeout = absl::Milliseconds(10);
  EXPECT_EQ(scheduling.TimeoutOf(0, absl::Milliseconds(3)), absl::Milliseconds(3));
  EXPECT_EQ(scheduling.TimeoutOf(0, absl::Milliseconds(30)), absl::Milliseconds(10));
  scheduling.levels[0].allow_timeout_override = false;
  EXPECT_EQ(scheduling.TimeoutOf(0, absl::Milliseconds(3)), absl::Milliseconds(10));
  EXPECT_EQ(scheduling.TimeoutOf(1, absl::InfiniteDuration()), absl::InfiniteDuration());
}

TEST(JobQueueTest, SweepsCancelledAndLateJobsAnywhere) {
  const Scheduling scheduling;
  JobQueue queue(&scheduling, 10);
  queue.Push(MakeJob(1));
  Job cancelled = MakeJob(2), late = MakeJob(3);
  cancelled.cancelled = [] { return true; };
  late.deadline = kStart + absl::Milliseconds(1);
  queue.Push(std::move(cancelled));
  queue.Push(std::move(late));
  const auto refused = queue.Sweep(kStart + absl::Milliseconds(1));
  ASSERT_EQ(refused.size(), 2U);
  EXPECT_TRUE(absl::IsCancelled(refused[0].why));
  EXPECT_TRUE(absl::IsDeadlineExceeded(refused[1].why));
  EXPECT_THAT(TakeAll(queue), ElementsAre(1));
}

}  // namespace
}  // namespace precis::server
