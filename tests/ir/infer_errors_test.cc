// What the rules refuse, and what they say.
#include "engine/ir/infer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/ir/infer_probe.h"

namespace precis::ir {
namespace {

constexpr DataType kS32 = DataType::kS32, kS64 = DataType::kS64;

struct Bad {
  Op op;
  std::vector<Given> inputs;
  std::string message;
};

void ExpectRefused(const std::vector<Bad>& cases) {
  for (const Bad& bad : cases) {
    const Probe probe(bad.op, bad.inputs, 1);
    EXPECT_EQ(probe.Result(), "INVALID_ARGUMENT: " + bad.message);
    EXPECT_THAT(std::string(probe.status.message()), ::testing::StartsWith("node \"n\": "));
  }
}

Window Kernel(Ints kernel) { return {std::move(kernel), {}, {}, {}, {}, AutoPad::kExplicit}; }

TEST(InferErrorsTest, Convolutions) {
  Window still = Kernel({});
  still.strides = {0};
  ExpectRefused({
      {Conv{}, {F32({1, 3, 4})}, "input 1 is missing, want 2 inputs"},
      {Conv{}, {F32({1, 3}), F32({1, 3, 1})}, "source rank 2, want at least 3"},
      {Conv{}, {F32({1, 3, 4}), F32({1, 3})}, "weights rank 2, want 3"},
      {Conv{}, {F32({1, 3, 4}), Of(kS32, {1, 3, 1})}, "input 1 is s32, want f32 like input 0"},
      {Conv{}, {F32({1, 3, 4}), F32({1, 2, 1})}, "source has 3 channels, want 2 x 1 groups"},
      {Conv{{}, 2}, {F32({1, 2, 4}), F32({1, 1, 1})}, "2 groups do not divide the weights' 1"},
      {Conv{}, {F32({1, 3, 4}), F32({2, 3, 1}), F32({3})}, "bias has shape [3], want [2]"},
      {Conv{}, {F32({1, 3, 4}), F32({1, 3, 5})}, "spatial dimension 0 has 4 cells with pads, the kernel covers 5"},
      {Conv{Kernel({2})}, {F32({1, 3, 4}), F32({1, 3, 3})}, "kernel_shape [2] and weights [1,3,3] disagree"},
      {Conv{still}, {F32({1, 3, 4}), F32({1, 3, 3})}, "strides hold 0, want at least 1"},
      {ConvTranspose{}, {F32({1, 3, 4}), F32({1, 3, 1})}, "source has 3 channels, want 1"},
      {Pool{}, {F32({1, 3, 4})}, "no kernel_shape"},
      {Pool{PoolKind::kMax, Kernel({2})}, {F32({1, 3, 4, 4})}, "1 kernel sizes, want 2"},
  });
}

TEST(InferErrorsTest, MatMul) {
  ExpectRefused({
      {MatMul{}, {F32({2, 3}), F32({4, 5})}, "inner dimensions 3 and 4 of [2,3] and [4,5] differ"},
      {MatMul{}, {F32({}), F32({4})}, "a scalar operand, want rank 1 or more"},
      {MatMul{}, {F32({2, 1, 3}), F32({5, 3, 1})}, "shapes [2] and [5] do not broadcast"},
      {MatMul{}, {F32({2, 3}), F32({3, 4}), F32({3})}, "bias [3] does not broadcast to [2,4]"},
  });
}

TEST(InferErrorsTest, Elementwise) {
  ExpectRefused({
      {Binary{}, {F32({2}), F32({3})}, "shapes [2] and [3] do not broadcast"},
      {Binary{}, {F32({2}), Of(kS64, {2})}, "input 1 is s64, want f32 like input 0"},
      {Where{}, {F32({2}), F32({2}), F32({2})}, "condition is f32, want bool"},
      {Clip{}, {F32({2}), F32({2})}, "bound of shape [2], want a scalar"},
      {Softmax{3}, {F32({2, 3})}, "axis 3 outside rank 2"},
      {BatchNorm{}, {F32({1, 2}), F32({3}), F32({2}), F32({2}), F32({2})}, "per-channel input has shape [3], want [2]"},
      {GroupNorm{3}, {F32({1, 4}), F32({4}), F32({4})}, "3 groups do not divide 4 channels"},
      {Quantize{}, {F32({2, 3}), F32({2})}, "scale [2], want [3]"},
      {Dequantize{}, {Of(DataType::kU8, {2}), F32({}), Of(DataType::kS8, {})}, "input 2 is s8, want u8 like input 0"},
      {Convert{}, {F32({2})}, "the output of a Convert has no type to convert to"},
  });
}

TEST(InferErrorsTest, Recurrent) {
  Recurrent lstm, gru, both;
  lstm.activations.resize(3);
  gru.cell = CellKind::kGru;
  gru.activations.resize(2);
  gru.linear_before_reset = true;
  both = lstm;
  both.direction = Direction::kBidirectional;
  Recurrent wide = lstm;
  wide.hidden_size = 5;
  const Given x = F32({6, 2, 3}), w = F32({1, 16, 3}), r = F32({1, 16, 4});
  ExpectRefused({
      {lstm, {x, w}, "input 2 is missing, want 3 inputs"},
      {lstm, {F32({6, 3}), w, r}, "x of rank 2 and recurrence of rank 3, want 3"},
      {lstm, {Of(kS32, {6, 2, 3}), w, r}, "x is s32, want a float type"},
      {lstm, {x, F32({1, 16, 5}), r}, "weights has shape [1,16,5], want [1,16,3]"},
      {lstm, {x, F32({1, 12, 3}), r}, "weights has shape [1,12,3], want [1,16,3]"},
      {wide, {x, w, r}, "hidden size 5, the recurrence's is 4"},
      {both, {x, w, r}, "3 activations, want 6"},
      {lstm, {x, w, r, F32({1, 32})}, "bias has shape [1,32], want [1,16]"},
      {gru, {x, F32({1, 12, 3}), F32({1, 12, 4}), F32({1, 12})}, "bias has shape [1,12], want [1,16]"},
      {lstm, {x, w, r, Absent(), Of(kS32, {3})}, "sequence_lens has shape [3], want [2]"},
      {lstm, {x, w, r, Absent(), F32({2})}, "indices are f32, want s32 or s64"},
      {lstm, {x, w, r, Absent(), Absent(), F32({2, 4})}, "initial_h has shape [2,4], want [1,2,4]"},
  });
}

TEST(InferErrorsTest, Sampling) {
  ExpectRefused({
      {GridSample{}, {F32({1, 2, 4, 4}), F32({1, 3, 3, 3})}, "x [1,2,4,4] and grid [1,3,3,3] do not fit"},
      {GridSample{}, {F32({1, 2, 0, 4}), F32({1, 3, 3, 2})}, "x [1,2,0,4] has an empty dimension"},
      {GridSample{ResizeMode::kCubic},
       {F32({1, 2, 4, 4, 4}), F32({1, 3, 3, 3, 3})},
       "cubic interpolation in three dimensions"},
      {RoiAlign{},
       {F32({1, 2, 4, 4}), F32({5, 3}), Of(kS64, {5})},
       "x [1,2,4,4] and rois [5,3], want [N,C,H,W] and [R,4]"},
      {RoiAlign{}, {F32({1, 2, 4, 4}), F32({5, 4}), Of(kS64, {4})}, "batch_indices has shape [4], want [5]"},
      {RoiAlign{false, true, 1, 1, 1 << 20},
       {F32({1, 2, 4, 4}), F32({5, 4}), Of(kS64, {5})},
       "output 1 x 1, sampling ratio 1048576"},
      {Choose{}, {F32({}), F32({2}), F32({2})}, "condition is f32[], want one bool"},
  });
}

TEST(InferErrorsTest, Movement) {
  ExpectRefused({
      {Reshape{}, {F32({2, 3}), Numbers({4, 2})}, "[2,3] cannot be reshaped to [4,2]"},
      {Reshape{}, {F32({2, 3}), Numbers({-1, -1})}, "[2,3] cannot be reshaped to [?,?]"},
      {Reshape{}, {F32({2, 3}), Numbers({-1, 4})}, "[2,3] cannot be reshaped to [?,4]"},
      {Reshape{},
       {F32({2}), Numbers({INT64_MAX, INT64_MAX})},
       "[2] cannot be reshaped to [9223372036854775807,9223372036854775807]"},
      {Squeeze{}, {F32({2, 3}), Numbers({0})}, "dimension 0 is 2, only 1 can be squeezed"},
      {Unsqueeze{}, {F32({2}), Numbers({0, 0})}, "axis 0 given twice"},
      {Transpose{{0, 0}}, {F32({2, 3})}, "[0,0] does not permute 2 dimensions"},
      {Concat{}, {F32({2, 3}), F32({2, 4})}, "input 1 of shape [2,4] does not fit [2,3] along axis 0"},
      {Split{}, {F32({4}), Numbers({5})}, "parts do not add up to the dimension 4"},
      {Slice{}, {F32({4}), Numbers({0}), Numbers({1}), Numbers({0}), Numbers({0})}, "step 0"},
      {Gather{}, {F32({4}), F32({1})}, "indices are f32, want s32 or s64"},
      {Gather{}, {F32({0}), Of(kS64, {1})}, "dimension 0 is empty"},
      {GatherNd{}, {F32({4}), Of(kS64, {1, 2})}, "indices [1,2] do not fit data [4] with batch_dims 0"},
      {ScatterNd{}, {F32({4}), Of(kS64, {2, 1}), F32({3})}, "updates [3], want [2]"},
      {Expand{}, {F32({2}), Numbers({3})}, "shapes [2] and [3] do not broadcast"},
      {Tile{}, {F32({2}), Numbers({1, 1})}, "2 repeats, want 1"},
      {Pad{PadMode::kReflect}, {F32({2}), Numbers({2, 0})}, "pad 2 of dimension 0 is larger than its 2 cells allow"},
      {Pad{PadMode::kWrap}, {F32({1}), Numbers({-1, 1})}, "pad 1 of dimension 0 is larger than its 0 cells allow"},
      {Pad{}, {F32({2}), Numbers({-3, 0})}, "pads crop more than dimension 0 has"},
      {DepthToSpace{2}, {F32({1, 3, 2, 2})}, "3 channels, want a multiple of 4"},
      {TopK{}, {F32({3}), Numbers({4})}, "k is not one number between 0 and 3"},
      {Range{}, {Scalar(0), Scalar(1), Scalar(0)}, "bounds and delta make no finite range"},
      {Resize{}, {F32({2}), Absent(), Floats({0})}, "scale 0"},
      {Resize{}, {F32({2})}, "want either scales or sizes"},
  });
}

TEST(InferErrorsTest, OutputsBeyondTheSizeLimitAreRefused) {
  ExpectRefused({
      {ConstantOfShape{}, {Numbers({1 << 20, 1 << 20})}, "output of shape [1048576,1048576] exceeds 4294967296 bytes"},
      {ConstantOfShape{}, {Numbers({-1})}, "output of shape [?] exceeds 4294967296 bytes"},
      {Expand{}, {F32({1}), Numbers({int64_t{1} << 33})}, "shape [8589934592] is out of range"},
      {Tile{}, {F32({4}), Numbers({int64_t{1} << 62})}, "repeats [4611686018427387904] are out of range"},
      {Pad{}, {F32({1}), Numbers({int64_t{1} << 39, 0})}, "output of shape [549755813889] exceeds 4294967296 bytes"},
      {MatMul{}, {F32({1 << 16, 1}), F32({1, 1 << 16})}, "output of shape [65536,65536] exceeds 4294967296 bytes"},
  });
}

TEST(InferErrorsTest, ShapesThatDependOnDataAreUnimplemented) {
  for (const Op& op : {Op(Reshape{}), Op(Expand{}), Op(Tile{})}) {
    EXPECT_EQ(Probe(op, {F32({2}), Of(kS64, {1})}).status.code(), absl::StatusCode::kUnimplemented);
  }
  EXPECT_EQ(Probe(Slice{}, {F32({2}), Of(kS64, {1}), Numbers({1})}).Result(),
            "UNIMPLEMENTED: starts is computed at run time");
}

TEST(InferErrorsTest, UntypedInputIsOurBug) {
  Graph graph;
  const ValueId x = graph.AddValue("x"), y = graph.AddValue("y");
  EXPECT_EQ(InferNode(graph, graph.AddNode("n", Identity{}, {x}, {y})).code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace precis::ir
