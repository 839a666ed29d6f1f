// A run takes no memory: arena and scratchpads are made with the context. oneDNN itself builds one small map of arguments per primitive, which
// is why the limit is on the size of a block, not on zero of them.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

#include "engine/exec/context.h"
#include "gtest/gtest.h"
#include "tests/support/graph_builder.h"

namespace {

std::atomic<bool> counting = false;
std::atomic<size_t> largest = 0;

void* Allocate(size_t size, size_t alignment) {
  if (counting) largest = std::max(largest.load(), size);
  void* p = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (p == nullptr) std::abort();
  return p;
}

}  // namespace

void* operator new(size_t size) { return Allocate(size, alignof(std::max_align_t)); }
void* operator new(size_t size, std::align_val_t alignment) { return Allocate(size, static_cast<size_t>(alignment)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// oneDNN's own buffers come from here.
extern "C" int posix_memalign(void** p, size_t alignment, size_t size) {
  *p = Allocate(size, alignment);
  return 0;
}
#endif

namespace precis::exec {
namespace {

using precis::testing::GraphBuilder;
using precis::testing::RandomInputs;
using precis::testing::SquareWindow;

constexpr size_t kArgumentMap = 2048;

TEST(AllocationTest, RunTakesNoMemory) {
  GraphBuilder b;
  ir::ValueId x = b.Input({1, 3, 32, 32});
  for (int i = 0; i < 4; ++i) {
    x = b.Conv(x, 32, SquareWindow({3, 3}, 1, 1));
    b.Fuse(x, ir::Unary{i % 2 == 0 ? ir::UnaryKind::kRelu : ir::UnaryKind::kErf});
  }
  x = b.Node(ir::Pool{ir::PoolKind::kAverage, SquareWindow({2, 2}, 2)}, {x});
  const ir::ValueId tokens = b.Transpose(b.Reshape(x, {1, 32, 256}), {0, 2, 1});
  const ir::ValueId y = b.Node(ir::LayerNorm{}, {tokens, b.Weights({32}), b.Weights({32})});
  const ir::ValueId scores = b.Node(ir::Softmax{-1}, {b.Node(ir::MatMul{false, true}, {y, y})});
  b.Output(b.Node(ir::MatMul{}, {scores, y}));
  plan::WeightStore store;
  const auto plan = plan::BuildPlan(b.graph(), {}, store);
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto inputs = RandomInputs(b.graph(), b.random());
  const void* in[] = {inputs[0].data()};
  std::vector<float> result(256 * 32);
  void* out[] = {result.data()};
  Context context(*plan);
  ASSERT_TRUE(context.Run(in, out).ok());  // lets oneDNN and OpenMP make what they keep per thread
  counting = true;
  const bool ok = context.Run(in, out).ok();
  counting = false;
  EXPECT_TRUE(ok);
  EXPECT_LT(largest.load(), kArgumentMap);
}

}  // namespace
}  // namespace precis::exec
