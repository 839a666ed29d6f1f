// Gather, Scatter, ArgMax, TopK, CumSum.
#include <limits>

#include "tests/kernels/kernel_run.h"

namespace precis::kernels {
namespace {

using ::testing::ElementsAre;

const Tensor& Matrix() {
  static const auto* const matrix = new Tensor(Tensor::From<float>({2, 3}, {1, 2, 3, 4, 5, 6}));
  return *matrix;
}

TEST(GatherTest, PicksAlongAnAxis) {
  EXPECT_THAT(Elements<float>(RunOne(ir::Gather{1}, {Matrix(), Vector<int32_t>({2, -3})})), ElementsAre(3, 1, 6, 4));
  EXPECT_THAT(Elements<float>(RunOne(ir::Gather{0}, {Matrix(), Tensor::From<int64_t>({}, {1})})), ElementsAre(4, 5, 6));
}

TEST(GatherTest, IndexOutOfRangeReadsTheNearestElement) {
  EXPECT_THAT(Elements<float>(RunOne(ir::Gather{1}, {Matrix(), S64({99, INT64_MIN})})), ElementsAre(3, 1, 6, 4));
  EXPECT_THAT(Elements<float>(RunOne(ir::GatherNd{}, {Matrix(), Tensor::From<int64_t>({1, 2}, {INT64_MAX, -99})})),
              ElementsAre(4));
  EXPECT_THAT(Elements<float>(RunOne(ir::GatherElements{1}, {Matrix(), Tensor::From<int64_t>({1, 2}, {7, -7})})),
              ElementsAre(3, 1));
}

TEST(GatherTest, ElementsAndTuples) {
  EXPECT_THAT(Elements<float>(RunOne(ir::GatherElements{0}, {Matrix(), Tensor::From<int64_t>({1, 3}, {1, 0, -1})})),
              ElementsAre(4, 2, 6));
  EXPECT_THAT(Elements<float>(RunOne(ir::GatherNd{}, {Matrix(), Tensor::From<int64_t>({2, 2}, {0, 2, 1, 0})})),
              ElementsAre(3, 4));
  EXPECT_THAT(Elements<float>(RunOne(ir::GatherNd{1}, {Matrix(), Tensor::From<int64_t>({2, 1}, {1, -1})})),
              ElementsAre(2, 6));
}

TEST(ScatterTest, WritesAndCombinesInOrder) {
  const Tensor indices = Tensor::From<int64_t>({2, 2}, {0, 0, 2, -1}),
               updates = Tensor::From<float>({2, 2}, {10, 20, 30, 40});
  const auto scatter = [&](ir::ScatterReduction r) {
    return Elements<float>(RunOne(ir::ScatterElements{1, r}, {Matrix(), indices, updates}));
  };
  EXPECT_THAT(scatter(ir::ScatterReduction::kNone), ElementsAre(20, 2, 3, 4, 5, 40));
  EXPECT_THAT(scatter(ir::ScatterReduction::kAdd), ElementsAre(31, 2, 3, 4, 5, 76));
  EXPECT_THAT(scatter(ir::ScatterReduction::kMul), ElementsAre(200, 2, 3, 4, 5, 7200));
  EXPECT_THAT(scatter(ir::ScatterReduction::kMax), ElementsAre(20, 2, 3, 4, 5, 40));
  EXPECT_THAT(scatter(ir::ScatterReduction::kMin), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(ScatterTest, SlicesByTuple) {
  const Tensor indices = Tensor::From<int64_t>({1, 1}, {1}), updates = Tensor::From<float>({1, 3}, {7, 8, 9});
  EXPECT_THAT(Elements<float>(RunOne(ir::ScatterNd{}, {Matrix(), indices, updates})), ElementsAre(1, 2, 3, 7, 8, 9));
}

TEST(ScatterTest, IndexOutOfRangeIsDropped) {
  const Tensor updates = Tensor::From<float>({1, 2}, {7, 8});
  EXPECT_THAT(
      Elements<float>(RunOne(ir::ScatterElements{1}, {Matrix(), Tensor::From<int64_t>({1, 2}, {3, -4}), updates})),
      ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(
      Elements<float>(RunOne(ir::ScatterNd{}, {Matrix(), Tensor::From<int64_t>({1, 2}, {0, 3}), Vector<float>({9})})),
      ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(ArgReduceTest, TiesGoToTheFirstOrTheLast) {
  const Tensor x = Tensor::From<float>({2, 3}, {3, 1, 3, 0, 0, -1});
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::ArgReduce{true, 1}, {x})), ElementsAre(0, 0));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::ArgReduce{true, 1, false, true}, {x})), ElementsAre(2, 1));
  EXPECT_THAT(Elements<int64_t>(RunOne(ir::ArgReduce{false, 0}, {x})), ElementsAre(1, 1, 1));
}

TEST(TopKTest, OrdersValuesThenIndices) {
  const Tensor x = Tensor::From<float>({2, 4}, {1, 4, 4, 2, -1, std::numeric_limits<float>::quiet_NaN(), 0, 7});
  const auto top = RunAll(ir::TopK{}, {x, S64({2})}, 2);
  EXPECT_THAT(Elements<int64_t>(top[1]), ElementsAre(1, 2, 1, 3));
  const auto bottom = RunAll(ir::TopK{-1, false}, {x, S64({2})}, 2);
  EXPECT_THAT(Elements<float>(bottom[0]), ElementsAre(1, 2, -1, 0));
  const auto columns = RunAll(ir::TopK{0}, {Vector<int64_t>({5, 6}), S64({1})}, 2);
  EXPECT_THAT(Elements<int64_t>(columns[0]), ElementsAre(6));
}

TEST(CumSumTest, EitherWayWithOrWithoutTheElementItself) {
  const Tensor x = Vector<int32_t>({1, 2, 3}), axis = Tensor::From<int64_t>({}, {0});
  EXPECT_THAT(Elements<int32_t>(RunOne(ir::CumSum{}, {x, axis})), ElementsAre(1, 3, 6));
  EXPECT_THAT(Elements<int32_t>(RunOne(ir::CumSum{true}, {x, axis})), ElementsAre(0, 1, 3));
  EXPECT_THAT(Elements<int32_t>(RunOne(ir::CumSum{true, true}, {x, axis})), ElementsAre(5, 3, 0));
  EXPECT_THAT(Elements<float>(RunOne(ir::CumSum{}, {Matrix(), axis})), ElementsAre(1, 2, 3, 5, 7, 9));
}

}  // namespace
}  // namespace precis::kernels
