// How the spellings of old opsets, and operators that the graph has no word for, are translated. What operators compute is tested by
// tests/conformance.
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/onnx/text_model.h"

namespace precis::onnx_import {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// One node of opset `opset` between x, other inputs and y, as the graph has it.
std::string One(const std::string& node, int opset, const std::string& more_inputs = "") {
  return ImportedText("g (float[2,3,4,4] x" + more_inputs + ") => (float[k] y) { " + node + " }", opset);
}

// The operator that computes the output of such a model.
template <typename Op>
Op OpOf(const std::string& node, int opset, const std::string& more_inputs = "") {
  const auto graph = ImportText("g (float[2,3,4,4] x" + more_inputs + ") => (float[k] y) { " + node + " }", opset);
  EXPECT_TRUE(graph.ok()) << graph.status();
  if (!graph.ok()) return Op{};
  const auto* op = std::get_if<Op>(&graph->node(graph->producer(graph->outputs[0].value)).op);
  EXPECT_NE(op, nullptr) << graph->ToString();
  return op == nullptr ? Op{} : *op;
}

// Numbers of the constant that is the last input of the node computing y.
std::vector<float> LastConstant(const std::string& node, int opset) {
  const auto graph = ImportText("g (float[2,3,4,4] x) => (float[k] y) { " + node + " }", opset);
  EXPECT_TRUE(graph.ok()) << graph.status();
  if (!graph.ok()) return {};
  const auto& inputs = graph->node(graph->producer(graph->outputs[0].value)).inputs;
  const Tensor* constant = graph->ConstantOrNull(inputs.back());
  return constant == nullptr ? std::vector<float>{} : ToFloat(constant->view());
}

TEST(OldSpellingTest, AxesWereAttributes) {
  EXPECT_EQ(One("y = Squeeze <axes = [0]> (x)", 11), "Squeeze:y = Squeeze(x, y:axes:s64[1]) -> y\n");
  EXPECT_EQ(One("y = Squeeze (x)", 11), "Squeeze:y = Squeeze(x, -) -> y\n");
  EXPECT_EQ(One("y = Squeeze (x, a)", 13, ", int64[1] a"), "Squeeze:y = Squeeze(x, a) -> y\n");
  EXPECT_THAT(LastConstant("y = Unsqueeze <axes = [0, -1]> (x)", 11), ElementsAre(0, -1));
  EXPECT_THAT(LastConstant("y = ReduceMean <axes = [2, 3]> (x)", 17), ElementsAre(2, 3));
  EXPECT_THAT(LastConstant("y = ReduceSum <axes = [2, 3]> (x)", 12), ElementsAre(2, 3));
  EXPECT_EQ(One("y = ReduceSum (x, a)", 13, ", int64[1] a"), "ReduceSum:y = ReduceSum(x, a) -> y\n");
  EXPECT_EQ(One("y = ReduceMean (x, a)", 18, ", int64[1] a"), "ReduceMean:y = ReduceMean(x, a) -> y\n");
}

TEST(OldSpellingTest, BoundsWereAttributes) {
  EXPECT_EQ(One("y = Slice <starts = [0], ends = [1], axes = [2]> (x)", 9),
            "Slice:y = Slice(x, y:starts:s64[1], y:ends:s64[1], y:axes:s64[1], -) -> y\n");
  EXPECT_EQ(One("y = Slice (x, s, e)", 10, ", int64[1] s, int64[1] e"), "Slice:y = Slice(x, s, e, -, -) -> y\n");
  EXPECT_EQ(One("y = Pad <pads = [0,0,1,1,0,0,1,1]> (x)", 7), "Pad:y = Pad(x, y:pads:s64[8], -, -) -> y\n");
  EXPECT_EQ(One("y = Pad <pads = [0,0,1,1,0,0,1,1], value = 2.0> (x)", 7),
            "Pad:y = Pad(x, y:pads:s64[8], y:value:f32[], -) -> y\n");
  const auto clip = OpOf<ir::Unary>("y = Clip <min = 0.0, max = 6.0> (x)", 6 + 1);
  EXPECT_EQ(clip.kind, ir::UnaryKind::kClip);
  EXPECT_EQ(clip.alpha, 0.0f);
  EXPECT_EQ(clip.beta, 6.0f);
  EXPECT_EQ(One("y = Clip (x, , m)", 11, ", float m"), "Clip:y = Clip(x, -, m) -> y\n");
  EXPECT_EQ(One("y = Clip (x)", 11), "Clip:y = Identity(x) -> y\n");
}

TEST(OldSpellingTest, CountsWereAttributes) {
  EXPECT_EQ(One("y, i = TopK <k = 2> (x)", 9), "TopK:y = TopK(x, y:k:s64[1]) -> y, i\n");
  EXPECT_EQ(One("y, b = Split <split = [1, 1]> (x)", 12), "Split:y = Split(x, y:split:s64[2]) -> y, b\n");
  EXPECT_EQ(One("y, b = Split (x)", 12), "Split:y = Split(x, -) -> y, b\n");
  EXPECT_EQ(OpOf<ir::Split>("y, b, c = Split <num_outputs = 3> (x)", 18).num_outputs, 3);
  EXPECT_THAT(One("y, b, c = Split <num_outputs = 2> (x)", 18), HasSubstr("INVALID_ARGUMENT"));
}

TEST(OldSpellingTest, SoftmaxFlattenedBeforeOpset13) {
  EXPECT_EQ(One("y = Softmax (x)", 12),
            "Softmax:y/shape = ShapeOf(x) -> y:shape\n"
            "Softmax:y/rows = Flatten(x) -> y:rows\n"
            "Softmax:y/softmax = Softmax(y:rows) -> y:softmax\n"
            "Softmax:y = Reshape(y:softmax, y:shape) -> y\n");
  EXPECT_EQ(One("y = LogSoftmax <axis = -1> (x)", 12), "LogSoftmax:y = LogSoftmax(x) -> y\n");
  EXPECT_EQ(One("y = Softmax <axis = 1> (x)", 13), "Softmax:y = Softmax(x) -> y\n");
}

TEST(OldSpellingTest, UpsampleIsResizeByAsymmetricFloor) {
  for (int opset : {7, 9}) {
    const auto op = opset == 7 ? OpOf<ir::Resize>("y = Upsample <scales = [1.0, 1.0, 2.0, 2.0]> (x)", opset)
                               : OpOf<ir::Resize>("y = Upsample (x, s)", opset, ", float[4] s");
    EXPECT_EQ(op.coordinates, ir::ResizeCoordinates::kAsymmetric);
    EXPECT_EQ(op.nearest, ir::ResizeNearest::kFloor);
  }
  EXPECT_EQ(One("y = Resize (x, , s)", 13, ", float[4] s"), "Resize:y = Resize(x, -, s, -) -> y\n");
}

TEST(OldSpellingTest, BatchNormalizationHadMoreOutputs) {
  EXPECT_EQ(One("y, m, v, sm, sv = BatchNormalization (x, s, b, mean, var)", 9,
                ", float[3] s, float[3] b, float[3] mean, float[3] var"),
            "BatchNormalization:y = BatchNorm(x, s, b, mean, var) -> y\n");
}

TEST(OldSpellingTest, DropoutIsIdentity) {
  EXPECT_EQ(One("y = Dropout <ratio = 0.3> (x)", 7), "Dropout:y = Identity(x) -> y\n");
  EXPECT_THAT(One("y, mask = Dropout (x)", 13), HasSubstr("ConstantOfShape("));
  EXPECT_THAT(One("y = Dropout (x, r, t)", 13, ", float r, bool t"), HasSubstr("training_mode"));
}

TEST(TranslationTest, VariadicOperatorsAreChains) {
  EXPECT_EQ(One("y = Sum (x, a, b)", 13, ", float[4] a, float[4] b"),
            "Sum:y/step1 = Add(x, a) -> y:step1\nSum:y = Add(y:step1, b) -> y\n");
  EXPECT_EQ(One("y = Max (x)", 13), "Max:y = Identity(x) -> y\n");
  EXPECT_EQ(One("y = Mean (x, a)", 13, ", float[4] a"),
            "Mean:y/sum = Add(x, a) -> y:sum\nMean:y = Linear(y:sum) -> y\n");
}

TEST(TranslationTest, GemmKeepsAlphaAndScalesTheBias) {
  const auto op = OpOf<ir::MatMul>("y = Gemm <alpha = 0.5, transB = 1> (x, w)", 13, ", float[4,4] w");
  EXPECT_EQ(op.alpha, 0.5f);
  EXPECT_FALSE(op.transpose_a);
  EXPECT_TRUE(op.transpose_b);
  EXPECT_EQ(One("y = Gemm <beta = 2.0> (x, w, b)", 13, ", float[4,4] w, float[4] b"),
            "Gemm:y/beta = Linear(b) -> y:beta\nGemm:y = MatMul(x, w, y:beta) -> y\n");
  EXPECT_EQ(One("y = Gemm <beta = 0.0> (x, w, b)", 13, ", float[4,4] w, float[4] b"),
            "Gemm:y = MatMul(x, w, -) -> y\n");
}

TEST(TranslationTest, QuantizedConvolutionIsSpelledWithDequantize) {
  const std::string text = ImportedText(
      R"(g (uint8[1,1,4,4] x, float xs, uint8 xz, int8[1,1,3,3] w, float[1] ws, int8[1] wz, float ys, int8 yz, int32[1] b)
      => (int8[1,1,2,2] y) { y = QLinearConv(x, xs, xz, w, ws, wz, ys, yz, b) })",
      13);
  EXPECT_EQ(text,
            "QLinearConv:y/x = Dequantize(x, xs, xz) -> y:x\n"
            "QLinearConv:y/weights = Dequantize(w, ws, wz) -> y:weights\n"
            "QLinearConv:y/bias_scale = Mul(xs, ws) -> y:bias_scale\n"
            "QLinearConv:y/bias = Dequantize(b, y:bias_scale) -> y:bias\n"
            "QLinearConv:y/conv = Conv(y:x, y:weights, y:bias) -> y:conv\n"
            "QLinearConv:y = Quantize(y:conv, ys, yz) -> y\n");
}

TEST(TranslationTest, QuantizeTakesItsTypeFromTheZeroPoint) {
  EXPECT_EQ(OpOf<ir::Quantize>("y = QuantizeLinear (x, s, z)", 13, ", float s, int8 z").output_type, DataType::kS8);
  EXPECT_EQ(OpOf<ir::Quantize>("y = QuantizeLinear (x, s)", 13, ", float s").output_type, DataType::kU8);
  EXPECT_EQ(OpOf<ir::Quantize>("y = QuantizeLinear <output_dtype = 5> (x, s)", 21, ", float s").output_type,
            DataType::kS16);
}

TEST(TranslationTest, ConstantsComeInManyForms) {
  EXPECT_THAT(LastConstant("c = Constant <value = float[2] {1, 2}> () y = Add(x, c)", 13), ElementsAre(1, 2));
  EXPECT_THAT(LastConstant("c = Constant <value_float = 1.5> () y = Add(x, c)", 13), ElementsAre(1.5f));
  EXPECT_THAT(LastConstant("c = Constant <value_floats = [1.0, 2.5]> () y = Add(x, c)", 13), ElementsAre(1.0f, 2.5f));
  EXPECT_THAT(LastConstant("c = Constant <value_int = 3> () y = Add(x, c)", 13), ElementsAre(3));
  EXPECT_THAT(LastConstant("c = Constant <value_ints = [3, 4]> () y = Add(x, c)", 13), ElementsAre(3, 4));
  EXPECT_THAT(One("c = Constant <value_string = \"s\"> () y = Add(x, c)", 13), HasSubstr("UNIMPLEMENTED"));
}

TEST(TranslationTest, GroupNormalizationRepeatsPerGroupScalesBeforeOpset21) {
  const std::string inputs = ", float[3] s, float[3] b";
  EXPECT_THAT(One("y = GroupNormalization <num_groups = 3> (x, s, b)", 18, inputs), HasSubstr("Expand("));
  EXPECT_EQ(One("y = GroupNormalization <num_groups = 3> (x, s, b)", 21, inputs),
            "GroupNormalization:y = GroupNorm(x, s, b) -> y\n");
}

TEST(TranslationTest, ContribOperatorsNeedTheirInputs) {
  const std::string header =
      "<ir_version: 8, opset_import: [\"\" : 17, \"com.microsoft\" : 1]> g (float[2,3,4,4] x) => (float[k] y) ";
  EXPECT_EQ(ImportedText(header + "{ y = com.microsoft.FastGelu(x) }"), "FastGelu:y = GeluTanh(x) -> y\n");
  EXPECT_THAT(ImportedText(header + "{ y = com.microsoft.FusedConv(x) }"), HasSubstr("input 1 is missing"));
  EXPECT_THAT(ImportedText(header + "{ y = com.microsoft.Gelu <alpha = 1> (x) }"), HasSubstr("= Gelu(x)"));
}

TEST(TranslationTest, BadAttributeValuesAreRefused) {
  EXPECT_THAT(One("y = MaxPool <kernel_shape = [2, 2], auto_pad = \"SOME\"> (x)", 13), HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(One("y = MaxPool <kernel_shape = [2, 2], pads = [1, 1, 1]> (x)", 13),
              HasSubstr("\"pads\" has 3 entries"));
  EXPECT_THAT(One("y = Gelu <approximate = \"rough\"> (x)", 20), HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(One("y = Pad <mode = \"mirror\"> (x, p)", 13, ", int64[8] p"), HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(One("y = GroupNormalization <num_groups = 0> (x, s, s)", 21, ", float[3] s"),
              HasSubstr("want at least 1"));
}

}  // namespace
}  // namespace precis::onnx_import
