#include "server/rpc/lifecycle.h"

#include <thread>

#include "gtest/gtest.h"

namespace precis::server {
namespace {

TEST(LifecycleTest, ServesWhileDrainingAndIsNotReadyAgain) {
  Lifecycle lifecycle;
  EXPECT_FALSE(lifecycle.ready());
  lifecycle.SetReady();
  EXPECT_TRUE(lifecycle.ready());
  lifecycle.StartDraining();
  EXPECT_FALSE(lifecycle.ready());
  EXPECT_TRUE(lifecycle.Enter());
  lifecycle.SetReady();  // a load that ends late
  EXPECT_FALSE(lifecycle.ready());
  lifecycle.Leave();
}

TEST(LifecycleTest, WaitsForThoseInsideAndLetsNobodyIn) {
  Lifecycle lifecycle;
  ASSERT_TRUE(lifecycle.Enter());
  EXPECT_FALSE(lifecycle.CloseAndAwaitIdle(absl::ZeroDuration()));
  EXPECT_FALSE(lifecycle.Enter());
  std::thread last([&] { lifecycle.Leave(); });
  EXPECT_TRUE(lifecycle.CloseAndAwaitIdle(absl::Seconds(60)));
  last.join();
}

}  // namespace
}  // namespace precis::server
