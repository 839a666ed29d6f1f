#include "client/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace precis::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Time that moves only when somebody sleeps.
class RetryTest : public ::testing::Test {
 protected:
  // Fails with `failure` so many times, then succeeds.
  absl::Status Call(const RetryOptions& options, absl::Duration deadline, int failures,
                    const absl::Status& failure = absl::UnavailableError("down")) {
    return CallWithRetries(options, environment_, start_ + deadline, [&, left = failures]() mutable {
      ++calls_;
      return left-- > 0 ? failure : absl::OkStatus();
    });
  }

  const absl::Time start_ = absl::FromUnixSeconds(1000);
  absl::Time now_ = start_;
  double random_ = 1.0 - 1e-9;
  int calls_ = 0;
  std::vector<int64_t> sleeps_ms_;
  const RetryEnvironment environment_ = {
      .now = [this] { return now_; },
      .sleep =
          [this](absl::Duration pause) {
            now_ += pause;
            sleeps_ms_.push_back(absl::ToInt64Milliseconds(pause + absl::Microseconds(500)));
          },
      .uniform = [this] { return random_; },
  };
};

constexpr RetryOptions kOptions = {
    .max_attempts = 6, .initial_backoff = absl::Milliseconds(100), .max_backoff = absl::Milliseconds(500)};

TEST_F(RetryTest, SuccessTakesOneCall) {
  EXPECT_TRUE(Call(kOptions, absl::Seconds(10), 0).ok());
  EXPECT_EQ(calls_, 1);
  EXPECT_THAT(sleeps_ms_, IsEmpty());
}

TEST_F(RetryTest, PausesDoubleUpToTheirBound) {
  EXPECT_TRUE(Call(kOptions, absl::Seconds(10), 5).ok());
  EXPECT_EQ(calls_, 6);
  EXPECT_THAT(sleeps_ms_, ElementsAre(100, 200, 400, 500, 500));
}

TEST_F(RetryTest, JitterHalvesAPauseAtMost) {
  random_ = 0;
  EXPECT_TRUE(Call(kOptions, absl::Seconds(10), 2).ok());
  EXPECT_THAT(sleeps_ms_, ElementsAre(50, 100));
}

TEST_F(RetryTest, GivesUpAfterItsAttempts) {
  EXPECT_EQ(Call(kOptions, absl::Seconds(100), 99).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(calls_, 6);
}

TEST_F(RetryTest, OneAttemptMeansNoRetry) {
  RetryOptions options = kOptions;
  options.max_attempts = 1;
  EXPECT_EQ(Call(options, absl::Seconds(10), 1).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(calls_, 1);
}

TEST_F(RetryTest, NoPauseRunsPastTheDeadline) {
  EXPECT_EQ(Call(kOptions, absl::Milliseconds(250), 99).code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(sleeps_ms_, ElementsAre(100));
  EXPECT_LT(now_, start_ + absl::Milliseconds(250));
}

TEST_F(RetryTest, ServerThatShutsDownUnderACallIsAskedAgain) {
  EXPECT_TRUE(Call(kOptions, absl::Seconds(10), 1, absl::CancelledError("")).ok());
  EXPECT_EQ(calls_, 2);
}

TEST_F(RetryTest, OtherCodesAreNotRetried) {
  for (int code = 1; code <= 16; ++code) {
    if (IsWorthARetry(static_cast<absl::StatusCode>(code))) continue;
    calls_ = 0;
    const absl::Status failure(static_cast<absl::StatusCode>(code), "no");
    EXPECT_EQ(Call(kOptions, absl::Seconds(10), 1, failure), failure);
    EXPECT_EQ(calls_, 1) << failure;
  }
}

TEST_F(RetryTest, OptionsMustMakeSense) {
  EXPECT_TRUE(CheckRetryOptions(kOptions).ok());
  EXPECT_TRUE(CheckRetryOptions(RetryOptions()).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(CheckRetryOptions({.max_attempts = 0})));
  EXPECT_TRUE(absl::IsInvalidArgument(CheckRetryOptions({.initial_backoff = absl::ZeroDuration()})));
  EXPECT_TRUE(absl::IsInvalidArgument(
      CheckRetryOptions({.initial_backoff = absl::Seconds(2), .max_backoff = absl::Seconds(1)})));
}

}  // namespace
}  // namespace precis::client
