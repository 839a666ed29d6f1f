#include "server/models/live_samples.h"

#include <atomic>
#include <limits>
#include <optional>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace precis::server {
namespace {

using ::testing::ElementsAre;
using Sample = LiveCollection::Sample;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class LiveSamplesTest : public testing::Test {
 protected:
  // Of net@int8, begun.
  std::shared_ptr<LiveCollection> Begin(int64_t limit, bool items_are_samples = true, size_t most_bytes = 1 << 20) {
    LiveCollection::Options options;
    options.model = "net";
    options.version = 1;
    options.variant = "int8";
    options.items_are_samples = items_are_samples;
    options.limit = limit;
    options.most_bytes = most_bytes;
    options.caller_gone = gone_;
    options.on_progress = [this](int64_t taken) { progress_.push_back(taken); };
    options.done = [this](absl::StatusOr<std::vector<Sample>> samples) {
      ++ends_;
      status_ = samples.status();
      if (samples.ok()) samples_ = *std::move(samples);
    };
    auto collection = std::make_shared<LiveCollection>(std::move(options));
    EXPECT_TRUE(live_.Begin(collection).ok());
    return collection;
  }
  void Offer(const std::shared_ptr<LiveCollection>& collection, const Shape& shape, std::vector<float> values) {
    live_.Offer(collection, {{DataType::kF32, shape, values.data()}});
  }
  // The values of the only input of each sample.
  std::vector<std::vector<float>> Values() const {
    std::vector<std::vector<float>> values;
    for (const Sample& sample : samples_) {
      EXPECT_EQ(sample.size(), 1u);
      values.emplace_back(sample[0].As<float>().begin(), sample[0].As<float>().end());
    }
    return values;
  }

  const std::shared_ptr<std::atomic<bool>> gone_ = std::make_shared<std::atomic<bool>>(false);
  std::vector<int64_t> progress_;
  int ends_ = 0;
  absl::Status status_;
  std::vector<Sample> samples_;
  LiveSamples live_;  // last: what it holds at the end refers to the rest
};

TEST_F(LiveSamplesTest, TakesInputsInTheirOrderUntilThereAreEnough) {
  EXPECT_FALSE(live_.wanted());
  const auto collection = Begin(2);
  EXPECT_TRUE(live_.wanted());
  EXPECT_THAT(live_.Of("net"), ElementsAre(collection));
  EXPECT_TRUE(live_.Of("other").empty());
  Offer(collection, {1, 2}, {1, 2});
  EXPECT_EQ(ends_, 0);
  Offer(collection, {1, 2}, {3, 4});
  EXPECT_EQ(ends_, 1);
  EXPECT_TRUE(status_.ok());
  EXPECT_THAT(Values(), ElementsAre(ElementsAre(1, 2), ElementsAre(3, 4)));
  EXPECT_THAT(progress_, ElementsAre(1, 2));
  EXPECT_FALSE(live_.wanted());
  Offer(collection, {1, 2}, {5, 6});  // by a request that had looked before
  EXPECT_EQ(ends_, 1);
  EXPECT_TRUE(collection->ended());
}

TEST_F(LiveSamplesTest, ABatchGivesASampleAnItemAndNoMoreThanAreWanted) {
  const auto collection = Begin(3);
  Offer(collection, {2, 2}, {1, 2, 3, 4});
  Offer(collection, {2, 2}, {5, 6, 7, 8});
  EXPECT_THAT(Values(), ElementsAre(ElementsAre(1, 2), ElementsAre(3, 4), ElementsAre(5, 6)));
  EXPECT_EQ(samples_[0][0].shape(), (Shape{1, 2}));
  EXPECT_THAT(progress_, ElementsAre(2, 3));
}

TEST_F(LiveSamplesTest, WithoutAFreeFirstDimensionARequestIsOneSample) {
  Offer(Begin(1, /*items_are_samples=*/false), {2, 2}, {1, 2, 3, 4});
  ASSERT_EQ(samples_.size(), 1u);
  EXPECT_EQ(samples_[0][0].shape(), (Shape{2, 2}));
}

TEST_F(LiveSamplesTest, InputsOfUnequalFirstDimensionsAreOneSample) {
  const std::vector<float> a = {1, 2}, b = {3};
  live_.Offer(Begin(1), {{DataType::kF32, {2}, a.data()}, {DataType::kF32, {1}, b.data()}});
  ASSERT_EQ(samples_.size(), 1u);
  EXPECT_EQ(samples_[0][0].shape(), (Shape{2}));
  EXPECT_EQ(samples_[0][1].shape(), (Shape{1}));
}

TEST_F(LiveSamplesTest, SplitsEveryInputOfARequest) {
  const std::vector<float> a = {1, 2};
  const std::vector<int64_t> b = {3, 4, 5, 6};
  live_.Offer(Begin(2), {{DataType::kF32, {2, 1}, a.data()}, {DataType::kS64, {2, 2}, b.data()}});
  ASSERT_EQ(samples_.size(), 2u);
  EXPECT_THAT(samples_[1][0].As<float>(), ElementsAre(2));
  EXPECT_THAT(samples_[1][1].As<int64_t>(), ElementsAre(5, 6));
}

TEST_F(LiveSamplesTest, TakesNothingThatIsNotFinite) {
  const auto collection = Begin(2);
  Offer(collection, {1, 2}, {1, kNan});
  Offer(collection, {1, 2}, {1, std::numeric_limits<float>::infinity()});
  EXPECT_EQ(collection->taken(), 0);
  Offer(collection, {3, 1}, {1, kNan, 3});
  EXPECT_THAT(Values(), ElementsAre(ElementsAre(1), ElementsAre(3)));
}

TEST_F(LiveSamplesTest, GivesTheShapeOfWhichThereAreEnoughFirst) {
  const auto collection = Begin(2);
  Offer(collection, {1, 1}, {1});
  Offer(collection, {1, 2}, {2, 3});
  EXPECT_EQ(collection->taken(), 1);
  Offer(collection, {1, 2}, {4, 5});
  EXPECT_THAT(Values(), ElementsAre(ElementsAre(2, 3), ElementsAre(4, 5)));
}

TEST_F(LiveSamplesTest, WhatFillsTheMemoryIsEnough) {
  const auto collection = Begin(100, true, 3 * sizeof(float));
  Offer(collection, {1, 1}, {1});
  Offer(collection, {1, 1}, {2});
  EXPECT_EQ(ends_, 0);
  Offer(collection, {1, 1}, {3});
  EXPECT_THAT(Values(), ElementsAre(ElementsAre(1), ElementsAre(2), ElementsAre(3)));
}

TEST_F(LiveSamplesTest, ACallerThatLeavesEndsItsOwn) {
  const auto collection = Begin(1);
  live_.EndAbandoned();
  EXPECT_EQ(ends_, 0);
  gone_->store(true);
  live_.EndAbandoned();
  EXPECT_EQ(status_.code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(live_.wanted());
  Offer(collection, {1, 1}, {1});
  live_.EndAbandoned();
  EXPECT_EQ(ends_, 1);
}

TEST_F(LiveSamplesTest, EndsThoseThatAreChosen) {
  Begin(1);
  EXPECT_EQ(live_.EndIf([](const LiveCollection& c) { return c.variant() == "mixed"; }, absl::CancelledError()), 0);
  EXPECT_EQ(live_.EndIf([](const LiveCollection& c) { return c.version() == 1; }, absl::AbortedError("why")), 1);
  EXPECT_EQ(status_, absl::AbortedError("why"));
}

TEST_F(LiveSamplesTest, ClosedItTakesNoMore) {
  const auto collection = Begin(1);
  live_.Close(absl::UnavailableError("draining"));
  EXPECT_EQ(status_, absl::UnavailableError("draining"));
  EXPECT_EQ(live_.Begin(collection), absl::UnavailableError("draining"));
  EXPECT_FALSE(live_.wanted());
}

TEST_F(LiveSamplesTest, TheirNumberIsBounded) {
  for (size_t i = 0; i < LiveSamples::kMostCollections; ++i) Begin(1);
  EXPECT_EQ(live_.Begin(std::make_shared<LiveCollection>(LiveCollection::Options())).code(),
            absl::StatusCode::kResourceExhausted);
  live_.Close(absl::CancelledError());
}

TEST(LiveSamplesThreadsTest, ManyRequestsEndItOnceWithWhatWasWanted) {
  constexpr int64_t kLimit = 100;
  LiveSamples live;
  std::atomic<int> ends = 0;
  std::atomic<size_t> samples = 0;
  LiveCollection::Options options;
  options.items_are_samples = true;
  options.limit = kLimit;
  options.done = [&](absl::StatusOr<std::vector<Sample>> taken) {
    ++ends;
    samples = taken.ok() ? taken->size() : 0;
  };
  ASSERT_TRUE(live.Begin(std::make_shared<LiveCollection>(std::move(options))).ok());
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      const std::vector<float> values(3, 1);
      while (live.wanted()) {
        for (const auto& collection : live.Of("")) live.Offer(collection, {{DataType::kF32, {3, 1}, values.data()}});
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(samples, kLimit);
}

}  // namespace
}  // namespace precis::server
