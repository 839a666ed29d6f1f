// Shapes and types that the rules give, and attributes that they resolve: one line per behaviour.
#include "engine/ir/infer.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/ir/infer_probe.h"

namespace precis::ir {
namespace {

using ::testing::ElementsAre;

std::string Infer(Op op, const std::vector<Given>& inputs, size_t outputs = 1) {
  return Probe(std::move(op), inputs, outputs).Result();
}

Window Sized(Ints kernel, Ints strides = {}, Ints pads_begin = {}, Ints pads_end = {},
             AutoPad auto_pad = AutoPad::kExplicit) {
  return {std::move(kernel), std::move(strides), {}, std::move(pads_begin), std::move(pads_end), auto_pad};
}

constexpr DataType kU8 = DataType::kU8, kS32 = DataType::kS32, kS64 = DataType::kS64, kBool = DataType::kBool;

TEST(InferTest, ConvCountsWindows) {
  EXPECT_EQ(Infer(Conv{Sized({}, {2, 2}, {1, 1}, {1, 1})}, {F32({1, 3, 224, 224}), F32({8, 3, 3, 3}), F32({8})}),
            "f32[1,8,112,112]");
  EXPECT_EQ(Infer(Conv{Window{{}, {}, {2}, {}, {}, AutoPad::kExplicit}, 2}, {F32({2, 4, 9}), F32({6, 2, 3})}),
            "f32[2,6,5]");
}

TEST(InferTest, ConvResolvesAutoPad) {
  const Probe upper(Conv{Sized({}, {2, 2}, {}, {}, AutoPad::kSameUpper)}, {F32({1, 1, 5, 6}), F32({1, 1, 3, 3})});
  EXPECT_EQ(upper.Result(), "f32[1,1,3,3]");
  const Window& w = std::get<Conv>(upper.op()).window;
  EXPECT_THAT(w.kernel, ElementsAre(3, 3));
  EXPECT_THAT(w.dilations, ElementsAre(1, 1));
  EXPECT_THAT(w.pads_begin, ElementsAre(1, 0));
  EXPECT_THAT(w.pads_end, ElementsAre(1, 1));
  EXPECT_EQ(w.auto_pad, AutoPad::kExplicit);
  const Probe lower(Conv{Sized({}, {2}, {}, {}, AutoPad::kSameLower)}, {F32({1, 1, 6}), F32({1, 1, 3})});
  EXPECT_THAT(std::get<Conv>(lower.op()).window.pads_begin, ElementsAre(1));
  EXPECT_THAT(std::get<Conv>(lower.op()).window.pads_end, ElementsAre(0));
}

TEST(InferTest, ConvTransposeHonoursOutputShape) {
  EXPECT_EQ(Infer(ConvTranspose{Sized({}, {3, 2}), 1, {}, {}}, {F32({1, 1, 3, 3}), F32({1, 2, 3, 3})}), "f32[1,2,9,7]");
  const Probe larger(ConvTranspose{Sized({}, {3, 2}), 1, {}, {10, 8}}, {F32({1, 1, 3, 3}), F32({1, 2, 3, 3})});
  EXPECT_EQ(larger.Result(), "f32[1,2,10,8]");
  EXPECT_THAT(std::get<ConvTranspose>(larger.op()).output_padding, ElementsAre(1, 1));
  EXPECT_EQ(Infer(ConvTranspose{Sized({}, {2}, {}, {}, AutoPad::kSameUpper), 1, {}, {}},
                  {F32({1, 4, 3}), F32({4, 2, 3}), F32({2})}),
            "f32[1,2,6]");
  EXPECT_EQ(Infer(ConvTranspose{Sized({}, {2}, {1}, {1}), 2, {1}, {}}, {F32({1, 4, 5}), F32({4, 3, 3})}),
            "f32[1,6,10]");
}

TEST(InferTest, MatMulFollowsNumpy) {
  EXPECT_EQ(Infer(MatMul{}, {F32({2, 3}), F32({3, 4})}), "f32[2,4]");
  EXPECT_EQ(Infer(MatMul{}, {F32({5, 1, 2, 3}), F32({7, 3, 4})}), "f32[5,7,2,4]");
  EXPECT_EQ(Infer(MatMul{}, {F32({3}), F32({3})}), "f32[]");
  EXPECT_EQ(Infer(MatMul{}, {F32({3}), F32({2, 3, 4})}), "f32[2,4]");
  EXPECT_EQ(Infer(MatMul{}, {F32({2, 3}), F32({3})}), "f32[2]");
  EXPECT_EQ(Infer(MatMul{true, true}, {F32({3, 2}), F32({4, 3}), F32({1, 4})}), "f32[2,4]");
}

TEST(InferTest, PoolCountsPartialWindowsInCeilMode) {
  EXPECT_EQ(Infer(Pool{PoolKind::kMax, Sized({3, 3}, {2, 2}), true}, {F32({1, 1, 4, 4})}), "f32[1,1,2,2]");
  EXPECT_EQ(Infer(Pool{PoolKind::kMax, Sized({3, 3}, {2, 2}), false}, {F32({1, 1, 4, 4})}), "f32[1,1,1,1]");
  // A window that would start in the trailing pad does not count.
  EXPECT_EQ(Infer(Pool{PoolKind::kMax, Sized({1, 1}, {2, 2}, {0, 0}, {0, 0}), true}, {F32({1, 1, 2, 2})}),
            "f32[1,1,1,1]");
  EXPECT_EQ(Infer(Pool{PoolKind::kMax, Sized({2})}, {Of(kU8, {1, 1, 4})}, 2), "u8[1,1,3] s64[1,1,3]");
  EXPECT_EQ(Infer(GlobalPool{}, {F32({2, 3, 4, 5})}), "f32[2,3,1,1]");
}

TEST(InferTest, NormalizationsKeepTheShape) {
  EXPECT_EQ(Infer(BatchNorm{}, {F32({1, 2, 3}), F32({2}), F32({2}), F32({2}), F32({2})}), "f32[1,2,3]");
  EXPECT_EQ(Infer(InstanceNorm{}, {F32({1, 2, 3}), F32({2}), F32({2})}), "f32[1,2,3]");
  EXPECT_EQ(Infer(GroupNorm{2}, {F32({1, 4, 3}), F32({4}), F32({4})}), "f32[1,4,3]");
  EXPECT_EQ(Infer(LayerNorm{-2}, {F32({2, 3, 4}), F32({3, 4}), F32({4})}, 3), "f32[2,3,4] f32[2,1,1] f32[2,1,1]");
  EXPECT_EQ(Infer(Lrn{3}, {F32({1, 5, 2, 2})}), "f32[1,5,2,2]");
  EXPECT_EQ(Infer(LpNorm{-1}, {F32({2, 3})}), "f32[2,3]");
  const Probe softmax(Softmax{-2}, {F32({2, 3, 4})});
  EXPECT_EQ(softmax.Result(), "f32[2,3,4]");
  EXPECT_EQ(std::get<Softmax>(softmax.op()).axis, 1);
}

TEST(InferTest, ElementwiseBroadcasts) {
  EXPECT_EQ(Infer(Unary{UnaryKind::kIsNan}, {F32({2})}), "bool[2]");
  EXPECT_EQ(Infer(Binary{BinaryKind::kAdd}, {F32({2, 1, 4}), F32({3, 1})}), "f32[2,3,4]");
  EXPECT_EQ(Infer(Binary{BinaryKind::kAdd}, {F32({0, 2}), F32({1, 2})}), "f32[0,2]");
  EXPECT_EQ(Infer(Binary{BinaryKind::kLess}, {Of(kS32, {2}), Of(kS32, {})}), "bool[2]");
  EXPECT_EQ(Infer(Binary{BinaryKind::kPow}, {F32({2}), Of(kS64, {})}), "f32[2]");
  EXPECT_EQ(Infer(Where{}, {Of(kBool, {2, 1}), F32({3}), F32({})}), "f32[2,3]");
  EXPECT_EQ(Infer(Clip{}, {F32({2}), F32({}), Absent()}), "f32[2]");
  EXPECT_EQ(Infer(Cast{kS64}, {F32({2})}), "s64[2]");
}

TEST(InferTest, QuantizationTakesTheTypeOfTheZeroPoint) {
  EXPECT_EQ(Infer(Quantize{}, {F32({1, 4}), F32({})}), "u8[1,4]");
  EXPECT_EQ(Infer(Quantize{}, {F32({1, 4}), F32({4}), Of(DataType::kS8, {4})}), "s8[1,4]");
  EXPECT_EQ(Infer(Quantize{0, 2}, {F32({5, 4}), F32({3, 4})}), "u8[5,4]");
  EXPECT_EQ(Infer(Dequantize{}, {Of(kU8, {2}), Of(DataType::kF16, {}), Of(kU8, {})}), "f16[2]");
  EXPECT_EQ(Infer(DynamicQuantize{}, {F32({3})}, 3), "u8[3] f32[] u8[]");
}

TEST(InferTest, ReshapeFamily) {
  EXPECT_EQ(Infer(Reshape{}, {F32({2, 3, 4}), Numbers({0, -1})}), "f32[2,12]");
  EXPECT_EQ(Infer(Reshape{true}, {F32({0, 3}), Numbers({3, 0})}), "f32[3,0]");
  EXPECT_EQ(Infer(Reshape{}, {F32({1}), Numbers({})}), "f32[]");
  EXPECT_EQ(Infer(Flatten{-1}, {F32({2, 3, 4})}), "f32[6,4]");
  EXPECT_EQ(Infer(Flatten{0}, {F32({})}), "f32[1,1]");
  EXPECT_EQ(Infer(Squeeze{}, {F32({1, 2, 1})}), "f32[2]");
  EXPECT_EQ(Infer(Squeeze{}, {F32({1, 2, 1}), Numbers({-1})}), "f32[1,2]");
  EXPECT_EQ(Infer(Unsqueeze{}, {F32({2, 3}), Numbers({-1, 0})}), "f32[1,2,3,1]");
}

TEST(InferTest, Movement) {
  EXPECT_EQ(Infer(Transpose{}, {F32({2, 3, 4})}), "f32[4,3,2]");
  EXPECT_EQ(Infer(Transpose{{1, -1, 0}}, {F32({2, 3, 4})}), "f32[3,4,2]");
  EXPECT_EQ(Infer(Concat{-1}, {F32({2, 3}), F32({2, 0}), F32({2, 1})}), "f32[2,4]");
  EXPECT_EQ(Infer(Split{1}, {F32({1, 7})}, 3), "f32[1,3] f32[1,3] f32[1,1]");
  EXPECT_EQ(Infer(Split{}, {F32({4}), Numbers({1, 3})}, 2), "f32[1] f32[3]");
  EXPECT_EQ(Infer(Slice{}, {F32({4, 5}), Numbers({-2}), Numbers({INT64_MAX}), Numbers({1})}), "f32[4,2]");
  EXPECT_EQ(Infer(Slice{}, {F32({9}), Numbers({-1}), Numbers({INT64_MIN}), Numbers({0}), Numbers({-2})}), "f32[5]");
  EXPECT_EQ(Infer(Slice{}, {F32({9}), Numbers({20}), Numbers({30})}), "f32[0]");
  EXPECT_EQ(Infer(Expand{}, {F32({3, 1}), Numbers({2, 1, 4})}), "f32[2,3,4]");
  EXPECT_EQ(Infer(Tile{}, {F32({2, 3}), Numbers({2, 0})}), "f32[4,0]");
  EXPECT_EQ(Infer(Pad{}, {F32({2, 3}), Numbers({1, -1, 0, 2})}), "f32[3,4]");
  EXPECT_EQ(Infer(Pad{PadMode::kReflect}, {F32({2, 3}), Numbers({2, 2}), Absent(), Numbers({-1})}), "f32[2,7]");
  EXPECT_EQ(Infer(DepthToSpace{2}, {F32({1, 8, 2, 3})}), "f32[1,2,4,6]");
  EXPECT_EQ(Infer(SpaceToDepth{2}, {F32({1, 2, 4, 6})}), "f32[1,8,2,3]");
}

TEST(InferTest, GatherAndScatter) {
  EXPECT_EQ(Infer(Gather{-1}, {F32({2, 5}), Of(kS32, {3, 1})}), "f32[2,3,1]");
  EXPECT_EQ(Infer(Gather{}, {F32({5}), Of(kS64, {})}), "f32[]");
  EXPECT_EQ(Infer(GatherElements{1}, {F32({2, 5}), Of(kS64, {1, 9})}), "f32[1,9]");
  EXPECT_EQ(Infer(GatherNd{1}, {F32({2, 3, 4}), Of(kS64, {2, 5, 1})}), "f32[2,5,4]");
  EXPECT_EQ(Infer(ScatterElements{0}, {F32({3}), Of(kS64, {2}), F32({2})}), "f32[3]");
  EXPECT_EQ(Infer(ScatterNd{}, {F32({4, 5}), Of(kS64, {2, 1}), F32({2, 5})}), "f32[4,5]");
}

TEST(InferTest, TensorsMadeFromNumbers) {
  EXPECT_EQ(Infer(ShapeOf{}, {F32({2, 3})}), "s64[2]");
  EXPECT_EQ(Infer(ShapeOf{-1}, {F32({2, 3})}), "s64[1]");
  EXPECT_EQ(Infer(ShapeOf{2, -1}, {F32({2, 3})}), "s64[0]");
  EXPECT_EQ(Infer(SizeOf{}, {F32({2, 3})}), "s64[]");
  EXPECT_EQ(Infer(ConstantOfShape{}, {Numbers({2, 3})}), "f32[2,3]");
  EXPECT_EQ(Infer(Range{}, {Scalar(1), Scalar(8), Scalar(3)}), "s64[3]");
  EXPECT_EQ(Infer(Range{}, {Scalar(1), Scalar(8), Scalar(-3)}), "s64[0]");
  EXPECT_EQ(Infer(EyeLike{0, kS32}, {F32({2, 3})}), "s32[2,3]");
  EXPECT_EQ(Infer(OneHot{}, {Of(kS64, {2}), Scalar(5), F32({2})}), "f32[2,5]");
  EXPECT_EQ(Infer(Trilu{}, {F32({2, 3}), Scalar(1)}), "f32[2,3]");
  EXPECT_EQ(Infer(CumSum{}, {F32({2, 3}), Scalar(-1)}), "f32[2,3]");
}

TEST(InferTest, ReductionsAndSearch) {
  EXPECT_EQ(Infer(Reduce{}, {F32({2, 3, 4})}), "f32[1,1,1]");
  EXPECT_EQ(Infer(Reduce{ReduceKind::kSum, false}, {F32({2, 3, 4}), Numbers({-1, 0})}), "f32[3]");
  EXPECT_EQ(Infer(Reduce{ReduceKind::kSum, true, true}, {F32({2, 3})}), "f32[2,3]");
  EXPECT_EQ(Infer(ArgReduce{true, -1, false}, {F32({2, 3})}), "s64[2]");
  EXPECT_EQ(Infer(TopK{}, {F32({2, 3}), Numbers({2})}, 2), "f32[2,2] s64[2,2]");
}

TEST(InferTest, Resize) {
  EXPECT_EQ(Infer(ir::Resize{}, {F32({1, 1, 2, 4}), Absent(), Floats({1, 1, 0.6f, 0.6f})}), "f32[1,1,1,2]");
  EXPECT_EQ(Infer(ir::Resize{}, {F32({1, 1, 2, 4}), Absent(), Absent(), Numbers({1, 1, 3, 3})}), "f32[1,1,3,3]");
  ir::Resize op;
  op.axes = {2, 3};
  op.policy = ResizePolicy::kNotLarger;
  EXPECT_EQ(Infer(op, {F32({1, 1, 2, 4}), Absent(), Absent(), Numbers({7, 8})}), "f32[1,1,4,8]");
}

TEST(InferTest, ConvertKeepsTheTypeOfItsOutput) {
  Graph graph;
  const ValueId x = graph.AddValue("x", DataType::kF32, {2}), y = graph.AddValue("y", DataType::kU8, {2});
  const NodeId node = graph.AddNode("n", Convert{}, {x}, {y});
  EXPECT_TRUE(InferNode(graph, node).ok());
  EXPECT_EQ(graph.value(y).dtype, DataType::kU8);
}

TEST(InferTest, ExtraInputsOfPostOpsAreIgnored) {
  Probe probe(Conv{}, {F32({1, 1, 4, 4}), F32({1, 1, 1, 1}), Absent(), F32({1, 1, 4, 4})});
  EXPECT_EQ(probe.Result(), "f32[1,1,4,4]");
  EXPECT_EQ(Infer(MatMul{}, {F32({2, 3}), F32({3, 4}), Absent(), F32({9})}), "f32[2,4]");
}

}  // namespace
}  // namespace precis::ir
