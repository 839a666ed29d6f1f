#include "loadtest/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loadtest/run.h"

namespace precis::loadtest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::Pair;

class RecorderTest : public ::testing::Test {
 protected:
  // A call meant to begin at `intended` after the beginning that ends `latency` later.
  void Call(milliseconds intended, milliseconds latency, const std::string& code = "", int retries = 0) {
    recorder_.Began(begin_ + intended, begin_ + intended);
    recorder_.Ended(begin_ + intended, begin_ + intended + latency, code, code.empty() ? "" : "why", retries);
  }

  const Clock::time_point begin_ = Clock::time_point(seconds(1000));
  Recorder recorder_{begin_, seconds(1)};
};

TEST_F(RecorderTest, ACallBelongsToTheWindowInWhichItWasMeantToBegin) {
  Call(milliseconds(900), seconds(2));  // ends two windows later
  EXPECT_EQ(recorder_.Window(0).calls, 1);
  EXPECT_EQ(recorder_.Window(0).latency.max(), 2'000'000'000);
  EXPECT_EQ(recorder_.Window(0).answers, 0);
  EXPECT_EQ(recorder_.Window(2).calls, 0);
  EXPECT_EQ(recorder_.Window(2).answers, 1);  // throughput counts where the answer came
}

TEST_F(RecorderTest, LatencyCountsFromTheIntendedBeginningHoweverLateTheGeneratorWas) {
  recorder_.Began(begin_, begin_ + milliseconds(300));
  recorder_.Ended(begin_, begin_ + milliseconds(310), "", "", 0);
  EXPECT_EQ(recorder_.Window(0).latency.max(), 310'000'000);
  EXPECT_EQ(recorder_.Window(0).send_delay.max(), 300'000'000);
}

TEST_F(RecorderTest, ARetriedCallCountsOnce) {
  Call(milliseconds(0), milliseconds(100), "", 3);
  Call(milliseconds(10), milliseconds(100), "UNAVAILABLE", 4);
  const Tally sum = recorder_.Sum(0, 1);
  EXPECT_EQ(sum.calls, 2);
  EXPECT_EQ(sum.failed(), 1);
  EXPECT_EQ(sum.retries, 7);
  EXPECT_EQ(sum.latency.count(), 1);
  EXPECT_THAT(sum.errors, ElementsAre(Pair("UNAVAILABLE", 1)));
  EXPECT_THAT(sum.first_error, ElementsAre(Pair("UNAVAILABLE", "why")));
}

TEST_F(RecorderTest, WarmUpAndUnreportedWindowsAreOutside) {
  Call(milliseconds(-500), milliseconds(10), "INTERNAL");
  Call(milliseconds(100), milliseconds(10));
  Call(milliseconds(1100), milliseconds(10));
  Call(milliseconds(2100), milliseconds(10));
  EXPECT_EQ(recorder_.Sum(1, 3).calls, 2);
  EXPECT_EQ(recorder_.Outside(1, 3).calls, 2);
  EXPECT_EQ(recorder_.Outside(1, 3).failed(), 1);
}

TEST_F(RecorderTest, AWindowIsCompleteWhenItsCallsHaveEnded) {
  recorder_.Began(begin_, begin_);
  EXPECT_FALSE(recorder_.AllEnded(0, 1));
  recorder_.Ended(begin_, begin_ + milliseconds(1), "", "", 0);
  EXPECT_TRUE(recorder_.AllEnded(0, 1));
  EXPECT_EQ(recorder_.WindowsBefore(begin_ + milliseconds(2500)), 2);
  EXPECT_EQ(recorder_.WindowsBefore(begin_ - milliseconds(1)), 0);
}

Tally WindowOf(int answers, milliseconds latency) {
  Tally window;
  for (int i = 0; i < answers; ++i) window.latency.Record(std::chrono::nanoseconds(latency).count());
  window.calls = window.ended = window.answers = answers;
  return window;
}

TEST(AgreeTest, ThroughputAndLatencyMustBothBeClose) {
  const auto agree = [](std::vector<Tally> windows) { return Agree(windows, 0.1); };
  EXPECT_TRUE(
      agree({WindowOf(100, milliseconds(10)), WindowOf(105, milliseconds(10)), WindowOf(95, milliseconds(10))}));
  EXPECT_FALSE(
      agree({WindowOf(100, milliseconds(10)), WindowOf(130, milliseconds(10)), WindowOf(95, milliseconds(10))}));
  EXPECT_FALSE(
      agree({WindowOf(100, milliseconds(10)), WindowOf(100, milliseconds(13)), WindowOf(100, milliseconds(10))}));
  EXPECT_FALSE(agree({WindowOf(0, milliseconds(10)), WindowOf(0, milliseconds(10)), WindowOf(0, milliseconds(10))}));
}

}  // namespace
}  // namespace precis::loadtest
