#include "engine/quant/chunks.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

using testing::GraphBuilder;
using ::testing::HasSubstr;
using testing::SquareWindow;

LayerPolicy ChunksOfSize(int size) { return {Precision::kInt8, {}, {size, true}}; }

LayerPolicy GroupsOfSize(int size) {
  LayerPolicy policy{Precision::kInt8, {}, {}};
  policy.weights.granularity = Granularity::kPerGroup;
  policy.weights.group_size = size;
  return policy;
}

Chunking OfConv(int64_t channels, int64_t kernel, int64_t groups, int chunk_size) {
  GraphBuilder b;
  b.Output(b.Conv(b.Input({1, channels, 16, 16}), 8, SquareWindow({kernel, kernel}), groups));
  return ChunkingOf(b.graph(), 0, ChunksOfSize(chunk_size));
}

TEST(ChunkingTest, ConvolutionsAreCutAfterWholeInputChannels) {
  EXPECT_EQ(OfConv(512, 1, 1, 256).chunks.size, 256);
  EXPECT_EQ(OfConv(512, 3, 1, 256).chunks.size, 28);  // 28 * 9 = 252
  EXPECT_EQ(OfConv(64, 7, 1, 100).chunks.size, 2);
  EXPECT_THAT(OfConv(64, 3, 1, 256).note, HasSubstr("s32 sums of 252, f32 across 3 chunks"));
}

TEST(ChunkingTest, WhatStaysWholeSaysWhy) {
  EXPECT_THAT(OfConv(16, 3, 1, 256).note, HasSubstr("K of 144 fits a chunk of 256"));
  EXPECT_THAT(OfConv(64, 3, 8, 16).note, HasSubstr("grouped"));
  EXPECT_THAT(OfConv(64, 7, 1, 32).note, HasSubstr("window of 49 exceeds a chunk of 32"));
  for (const Chunking& c : {OfConv(16, 3, 1, 256), OfConv(64, 3, 8, 16), OfConv(64, 7, 1, 32)})
    EXPECT_EQ(c.chunks.size, 0);
  EXPECT_TRUE(OfConv(64, 3, 1, 0).note.empty());
}

TEST(ChunkingTest, ProductsAreCutAlongTheirInnerDimension) {
  for (bool transposed : {false, true}) {
    GraphBuilder b;
    b.Output(b.Node(ir::MatMul{false, transposed},
                    {b.Input({4, 96}), b.Weights(transposed ? Shape{10, 96} : Shape{96, 10})}));
    EXPECT_EQ(ChunkingOf(b.graph(), 0, ChunksOfSize(64)).chunks.size, 64);
    EXPECT_EQ(ChunkingOf(b.graph(), 0, ChunksOfSize(96)).chunks.size, 0);
  }
}

TEST(ChunkingTest, GroupsOfWeightsAreChunksWithScalesOfTheirOwn) {
  GraphBuilder b;
  b.Output(b.Node(ir::MatMul{}, {b.Input({4, 96}), b.Weights({96, 10})}));
  const Chunking chunking = ChunkingOf(b.graph(), 0, GroupsOfSize(32));
  EXPECT_EQ(chunking.chunks.size, 32);
  EXPECT_TRUE(chunking.chunks.own_scales);
  EXPECT_EQ(ChunkingOf(b.graph(), 0, GroupsOfSize(96)).chunks.size, 0);
}

}  // namespace
}  // namespace precis::quant
