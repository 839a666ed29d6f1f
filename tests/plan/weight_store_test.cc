#include "engine/plan/weight_store.h"

#include <cstdint>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"

namespace precis::plan {
namespace {

std::shared_ptr<const void> Number(int n) { return std::make_shared<const int>(n); }

TEST(WeightStoreTest, ReturnsTheHeldEntry) {
  WeightStore store;
  const auto first = store.GetOrMake("a", [] { return Number(1); });
  const auto again = store.GetOrMake("a", [] { return Number(2); });
  EXPECT_EQ(first, again);
  EXPECT_EQ(*static_cast<const int*>(again.get()), 1);
}

TEST(WeightStoreTest, KeysAreApart) {
  WeightStore store;
  const auto a = store.GetOrMake("a", [] { return Number(1); });
  EXPECT_NE(a, store.GetOrMake("b", [] { return Number(2); }));
}

TEST(WeightStoreTest, EntryDiesWithItsLastHolder) {
  WeightStore store;
  auto first = store.GetOrMake("a", [] { return Number(1); });
  const std::weak_ptr<const void> watched = first;
  first.reset();
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(*static_cast<const int*>(store.GetOrMake("a", [] { return Number(2); }).get()), 2);
}

TEST(WeightStoreTest, SmallPiecesLieApartInBlocksThatLiveAsLongAsOneOfThem) {
  std::vector<std::shared_ptr<void>> pieces;
  {
    WeightStore store;
    for (int i = 0; i < 100; ++i) {
      const size_t size = static_cast<size_t>(i) * 4099;  // some ten blocks
      pieces.push_back(store.Allocate(size));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(pieces.back().get()) % 64, 0u);
      std::memset(pieces.back().get(), i, size);
    }
  }
  for (int i = 0; i < 100; ++i) {
    const auto* bytes = static_cast<const unsigned char*>(pieces[static_cast<size_t>(i)].get());
    for (int at = 0; at < i * 4099; ++at) ASSERT_EQ(bytes[at], i);
  }
  const std::weak_ptr<void> first = pieces[1];
  pieces.clear();
  EXPECT_TRUE(first.expired());
}

TEST(AllocateAlignedTest, AlignsToCacheLinesAndHugePages) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{64}, size_t{100'000}, size_t{5} << 20}) {
    const auto block = AllocateAligned(size);
    const size_t alignment = size >= size_t{2} << 20 ? size_t{2} << 20 : 64;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block.get()) % alignment, 0u) << size;
  }
}

}  // namespace
}  // namespace precis::plan
