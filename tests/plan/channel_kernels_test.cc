// Cuts and joints against copies one element at a time, at lengths around those where a run is copied in another way.
#include "engine/plan/channel_kernels.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace precis::plan {
namespace {

std::vector<uint8_t> RandomBytes(int64_t count) {
  std::mt19937 random(static_cast<uint32_t>(count));
  std::vector<uint8_t> bytes(static_cast<size_t>(count));
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
  return bytes;
}

void Check(int64_t positions, const std::vector<int64_t>& counts, int64_t element_bytes) {
  SCOPED_TRACE(absl::StrCat(positions, " positions, first run of ", counts[0], " x ", element_bytes, " bytes"));
  const int64_t channels = std::accumulate(counts.begin(), counts.end(), int64_t{0}), row = channels * element_bytes;
  const std::vector<uint8_t> whole = RandomBytes(positions * row);
  std::vector<std::vector<uint8_t>> parts;
  std::vector<ChannelRange> ranges;
  std::vector<TensorView> views;
  std::vector<kernels::MutableTensorView> targets;
  int64_t first = 0;
  for (int64_t count : counts) {
    ranges.push_back({first, count});
    first += count;
    parts.emplace_back(static_cast<size_t>(positions * count * element_bytes));
  }
  for (auto& part : parts) {
    const Shape shape = {static_cast<int64_t>(part.size())};
    views.push_back({DataType::kU8, shape, part.data()});
    targets.push_back({DataType::kU8, shape, part.data()});
  }
  const TensorView source{DataType::kU8, {positions * row}, whole.data()};
  SplitChannels(positions, channels, ranges, element_bytes)(std::span(&source, 1), targets);
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t bytes = ranges[i].count * element_bytes;
    for (int64_t p = 0; p < positions; ++p) {
      const uint8_t* want = whole.data() + p * row + ranges[i].first * element_bytes;
      ASSERT_TRUE(std::equal(want, want + bytes, parts[i].data() + p * bytes)) << "part " << i << ", position " << p;
    }
  }
  std::vector<uint8_t> joined(whole.size());
  const kernels::MutableTensorView target{DataType::kU8, {positions * row}, joined.data()};
  JoinChannels(positions, counts, element_bytes)(views, std::span(&target, 1));
  EXPECT_EQ(joined, whole);
}

TEST(ChannelKernelsTest, CutAndJoinRunsOfAnyLength) {
  for (int64_t positions : {1, 64, 65, 500}) {
    for (int64_t run : {1, 15, 16, 17, 31, 511, 512, 513}) Check(positions, {run, 3, 40}, 1);
    for (int64_t element_bytes : {2, 4}) Check(positions, {5, 27}, element_bytes);
  }
}

TEST(ChannelKernelsTest, RangesMayOverlapAndLeaveChannelsOut) {
  const std::vector<uint8_t> x = {0, 1, 2, 3, 4, 10, 11, 12, 13, 14};
  std::vector<uint8_t> a(4), b(6);
  const TensorView source{DataType::kU8, {2, 5}, x.data()};
  const kernels::MutableTensorView parts[] = {{DataType::kU8, {2, 2}, a.data()}, {DataType::kU8, {2, 3}, b.data()}};
  SplitChannels(2, 5, {{3, 2}, {1, 3}}, 1)(std::span(&source, 1), parts);
  EXPECT_EQ(a, (std::vector<uint8_t>{3, 4, 13, 14}));
  EXPECT_EQ(b, (std::vector<uint8_t>{1, 2, 3, 11, 12, 13}));
}

}  // namespace
}  // namespace precis::plan
