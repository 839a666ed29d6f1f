#include "server/models/load_threads.h"

#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace precis::server {
namespace {

TEST(LoadThreadsTest, RunsTasksInOrder) {
  std::vector<int> order;
  absl::Notification done;
  LoadThreads threads(1);
  for (int i = 0; i < 3; ++i) {
    threads.Run([&, i](bool run) {
      EXPECT_TRUE(run);
      order.push_back(i);
      if (i == 2) done.Notify();
    });
  }
  done.WaitForNotification();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST(LoadThreadsTest, FinishesWhatRunsAndRefusesWhatComesAfterStop) {
  absl::Notification running;
  bool first_ran = false, second_ran = true;
  LoadThreads threads(1);
  threads.Run([&](bool run) {
    running.Notify();
    first_ran = run;
  });
  running.WaitForNotification();
  threads.Stop();
  EXPECT_TRUE(first_ran);
  threads.Run([&](bool run) { second_ran = run; });
  EXPECT_FALSE(second_ran);
}

}  // namespace
}  // namespace precis::server
