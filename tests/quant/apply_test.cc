#include <algorithm>
#include <cmath>
#include <random>

#include "engine/quant/calibration_table.h"
#include "engine/quant/quantize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/quant/quantized_graphs.h"
#include "tests/quant/reference_runner.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

using ir::ValueId;
using testing::GraphBuilder;
using ::testing::HasSubstr;
using testing::SquareWindow;

// The quantized graph; aborts the test when it is not well formed.
ir::Graph Quantized(const ir::Graph& graph, const Policy& policy = kInt8, float low = -1, float high = 1,
                    const Target& target = {}) {
  ir::Graph g = graph;
  const absl::Status status = ApplyPolicy(g, policy, CalibrateRandomly(graph, policy, low, high).get(), target);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(g.Verify().ok()) << g.Verify();
  return g;
}

// Conv + ReLU, residual block, pooling, classifier.
GraphBuilder SmallNetwork() {
  GraphBuilder b(5);
  const ValueId x = b.Input({1, 3, 8, 8});
  const ValueId stem = b.Conv(x, 8, SquareWindow({3, 3}, 1, 1));
  b.Fuse(stem, ir::Unary{ir::UnaryKind::kRelu});
  const ValueId inner = b.Conv(stem, 8, SquareWindow({3, 3}, 1, 1));
  b.Fuse(inner, ir::Unary{ir::UnaryKind::kRelu});
  const ValueId sum = b.Conv(inner, 8, SquareWindow({1, 1}));
  b.Fuse(sum, ir::BinaryKind::kAdd, stem);
  const ValueId flat = b.Node(ir::Flatten{1}, {b.Node(ir::GlobalPool{}, {sum})});
  b.Output(b.Node(ir::MatMul{false, true}, {flat, b.Weights({10, 8}), b.Weights({10})}));
  return b;
}

TEST(ApplyPolicyTest, F32LeavesTheGraphAsItIs) {
  GraphBuilder b = SmallNetwork();
  const std::string before = b.graph().ToString();
  ASSERT_TRUE(ApplyPolicy(b.graph(), {}, nullptr, {}).ok());
  EXPECT_EQ(b.graph().ToString(), before);
}

TEST(ApplyPolicyTest, Int8KeepsLevelsFromEndToEnd) {
  GraphBuilder b = SmallNetwork();
  const ir::Graph g = Quantized(b.graph());
  EXPECT_EQ(CountConverts(g), 1);  // of the input; the classifier writes f32
  for (ir::NodeId id = 0; id < g.num_node_slots(); ++id) {
    if (!g.alive(id)) continue;
    EXPECT_TRUE(g.node(id).precision_note.empty()) << g.node(id).precision_note;
    for (ValueId v : g.node(id).outputs) EXPECT_TRUE(IsInt8(g.value(v).dtype) || g.IsGraphOutput(v)) << g.value(v).name;
  }
  EXPECT_EQ(g.value(g.inputs[0].value).dtype, DataType::kF32);
  EXPECT_EQ(g.value(g.outputs[0].value).dtype, DataType::kF32);
}

TEST(ApplyPolicyTest, Int8IsCloseToF32WithEveryMethod) {
  GraphBuilder b = SmallNetwork();
  for (auto method : {CalibrationMethod::kDefault, CalibrationMethod::kMinMax, CalibrationMethod::kMovingAverage,
                      CalibrationMethod::kPercentile, CalibrationMethod::kEntropy, CalibrationMethod::kMse}) {
    for (bool symmetric : {false, true}) {
      Policy policy = kInt8;
      policy.calibration.method = method;
      policy.symmetric_activations = symmetric;
      EXPECT_GT(SqnrDb(b.graph(), Quantized(b.graph(), policy)), 25) << static_cast<int>(method) << symmetric;
    }
  }
}

TEST(ApplyPolicyTest, ValuesAreU8WithoutZeroPointAfterReluAndWithOneElsewhere) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 3, 8, 8}), y = b.Conv(x, 4, SquareWindow({1, 1})),
                z = b.Conv(y, 4, SquareWindow({1, 1}));
  b.Fuse(z, ir::Unary{ir::UnaryKind::kRelu});
  b.Output(b.Conv(z, 4, SquareWindow({1, 1})));
  const ir::Graph g = Quantized(b.graph());
  EXPECT_EQ(g.value(y).dtype, DataType::kU8);
  EXPECT_NE(g.value(y).quant->zero_point(), 0);
  EXPECT_EQ(g.value(z).dtype, DataType::kU8);
  EXPECT_EQ(g.value(z).quant->zero_point(), 0);
  Policy symmetric = kInt8;
  symmetric.symmetric_activations = true;
  const ir::Graph s = Quantized(b.graph(), symmetric);
  EXPECT_EQ(s.value(y).dtype, DataType::kS8);
  EXPECT_TRUE(s.value(y).quant->zero_points.empty());
  EXPECT_EQ(s.value(z).dtype, DataType::kU8);
}

TEST(ApplyPolicyTest, WeightsAreS8PerOutputChannel) {
  GraphBuilder b = SmallNetwork();
  const ir::Graph g = Quantized(b.graph());
  const ir::NodeId stem = g.producer(b.graph().node(0).outputs[0]);
  const ir::Value& w = g.value(g.Input(stem, 1));
  EXPECT_EQ(w.dtype, DataType::kS8);
  EXPECT_EQ(w.quant->axis, 0);
  EXPECT_EQ(w.quant->scales.size(), 8u);
}

TEST(ApplyPolicyTest, WeightsStaySmallWithoutVnni) {
  GraphBuilder b = SmallNetwork();
  const ir::Graph g = Quantized(b.graph(), kInt8, -1, 1, {.has_vnni = false});
  for (ValueId v = 0; v < g.num_values(); ++v) {
    if (!g.IsConstant(v) || g.value(v).dtype != DataType::kS8) continue;
    for (int8_t w : g.value(v).constant->As<int8_t>()) EXPECT_LE(std::abs(static_cast<int>(w)), 63);
  }
  EXPECT_GT(SqnrDb(b.graph(), g), 22);
}

TEST(ApplyPolicyTest, ChunksFollowThePolicyAndItsOverrides) {
  GraphBuilder b = SmallNetwork();
  Policy policy = kInt8;
  policy.accumulation = {36, true};
  const std::string inner = b.graph().node(1).name;
  const auto weights_of = [](const ir::Graph& g, ir::NodeId id) { return *g.value(g.Input(id, 1)).quant; };
  const ir::Graph cut = Quantized(b.graph(), policy);
  EXPECT_EQ(weights_of(cut, 1).chunk, 4);
  EXPECT_EQ(weights_of(cut, 1).scales.size(), 16u);
  EXPECT_THAT(cut.node(1).precision_note, HasSubstr("2 chunks"));
  EXPECT_EQ(weights_of(cut, 2).chunk, 0);  // K of 8 fits
  policy.overrides.resize(1);
  policy.overrides[0].pattern = inner;
  policy.overrides[0].accumulation = AccumulationPolicy{};
  EXPECT_EQ(weights_of(Quantized(b.graph(), policy), 1).chunk, 0);
}

TEST(ApplyPolicyTest, FewerBitsOfWeightsCostAccuracyAndChunksGiveSomeOfItBack) {
  GraphBuilder b(8);
  const ValueId x = b.Input({4, 512});
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  Tensor weights(DataType::kF32, {512, 16});
  for (float& w : weights.As<float>()) w = normal(random);
  b.Output(b.Node(ir::MatMul{}, {x, b.Constant(std::move(weights))}));
  double finer = 1e9;
  for (int bits : {8, 6, 4, 3, 2}) {
    Policy policy = kInt8;
    policy.weights.bits = bits;
    const ir::Graph g = Quantized(b.graph(), policy);
    int most = 0;
    for (int8_t v : g.value(g.Input(0, 1)).constant->As<int8_t>()) most = std::max(most, std::abs(static_cast<int>(v)));
    EXPECT_EQ(most, (1 << (bits - 1)) - 1);
    const double sqnr = SqnrDb(b.graph(), g);
    EXPECT_LT(sqnr, finer) << bits;
    finer = sqnr;
    if (bits != 4) continue;
    policy.accumulation = {32, true};
    EXPECT_GT(SqnrDb(b.graph(), Quantized(b.graph(), policy)), sqnr + 1);
  }
}

TEST(ApplyPolicyTest, WeightsThatLieOnTheLevelsOfTheirSchemeAreTakenAsTheyAre) {
  const std::pair<WeightScheme, std::vector<float>> cases[] = {
      {WeightScheme::kTernary, {-1, 0, 1}}, {WeightScheme::kBinary, {-1, 1}}, {WeightScheme::kLog2, {-8, 1, 0, -2, 4}}};
  for (const auto& [scheme, levels] : cases) {
    GraphBuilder b(8);
    const ValueId x = b.Input({4, 64});
    Tensor weights(DataType::kF32, {64, 16});
    for (size_t i = 0; i < 64 * 16; ++i)
      weights.As<float>()[i] = levels[i * 7 % 11 % levels.size()] * (0.013f * static_cast<float>(1 + i % 16));
    b.Output(b.Node(ir::MatMul{}, {x, b.Constant(std::move(weights))}));
    Policy policy = kInt8;
    policy.weights.scheme = scheme;
    policy.weights.bits = BitsOf(scheme).usual;
    EXPECT_THAT(Quantized(b.graph(), policy).node(0).precision_note, HasSubstr("exact")) << SchemeName(scheme);
  }
}

TEST(ApplyPolicyTest, ScalesOfChunksKeepSignalWhereChannelsDiffer) {
  // Half of K carries weights a hundred times larger than the other half.
  GraphBuilder b(8);
  const ValueId x = b.Input({4, 64});
  Tensor weights(DataType::kF32, {64, 16});
  for (size_t i = 0; i < 64 * 16; ++i)
    weights.As<float>()[i] = (i < 512 ? 1.0f : 0.01f) * static_cast<float>(std::sin(static_cast<double>(i)));
  Tensor large(DataType::kF32, {64});
  for (size_t i = 0; i < 64; ++i) large.As<float>()[i] = i < 32 ? 0.0f : 1.0f;
  const ValueId masked = b.Binary(ir::BinaryKind::kMul, x, b.Constant(std::move(large)));
  b.Output(b.Node(ir::MatMul{}, {masked, b.Constant(std::move(weights))}));
  Policy policy = kInt8;
  const double whole = SqnrDb(b.graph(), Quantized(b.graph(), policy));
  policy.accumulation = {32, false};
  EXPECT_NEAR(SqnrDb(b.graph(), Quantized(b.graph(), policy)), whole, 1e-3);
  policy.accumulation = {32, true};
  EXPECT_GT(SqnrDb(b.graph(), Quantized(b.graph(), policy)), whole + 15);
}

TEST(ApplyPolicyTest, SharedValuesGetOneConvert) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 3, 8, 8});
  b.Output(b.Conv(x, 4, SquareWindow({1, 1})));
  b.Output(b.Conv(x, 2, SquareWindow({1, 1})));
  const ir::Graph g = Quantized(b.graph());
  EXPECT_EQ(CountConverts(g), 1);
}

TEST(ApplyPolicyTest, BiasCorrectionBringsMeansCloser) {
  // Inputs far from zero: the rounding errors of weights add up instead of cancelling.
  GraphBuilder b(8);
  const ValueId x = b.Input({4, 64});
  b.Output(b.Node(ir::MatMul{}, {x, b.Weights({64, 16})}));
  Policy without = kInt8;
  without.bias_correction = false;
  const double corrected = SqnrDb(b.graph(), Quantized(b.graph(), kInt8, 3, 4), 3, 4);
  EXPECT_GT(corrected, SqnrDb(b.graph(), Quantized(b.graph(), without, 3, 4), 3, 4) + 3);
}

TEST(ApplyPolicyTest, MasksAreNeverQuantized) {
  // scores + mask, where the mask holds the lowest float; another product reads the sum.
  GraphBuilder b;
  const ValueId x = b.Input({1, 4, 8}), q = b.Node(ir::MatMul{}, {x, b.Weights({8, 4})});
  Tensor mask(DataType::kF32, {1, 4, 4});
  for (size_t i = 0; i < 16; ++i) mask.As<float>()[i] = i % 4 == 3 ? -3.4e38f : 0.0f;
  b.Fuse(q, ir::BinaryKind::kAdd, b.Constant(std::move(mask)));
  const ValueId y = b.Node(ir::MatMul{}, {q, b.Weights({4, 4})});
  b.Output(b.Node(ir::Softmax{-1}, {y}));
  const ir::Graph g = Quantized(b.graph());
  EXPECT_EQ(g.value(q).dtype, DataType::kF32);
  const ir::Node& reader = g.node(g.producer(y));
  EXPECT_EQ(g.value(reader.inputs[0]).dtype, DataType::kF32);
  EXPECT_THAT(reader.precision_note, HasSubstr("-3.4e+38"));
}

TEST(ApplyPolicyTest, EveryFloatNodeSaysWhy) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 3, 8, 8}), y = b.Conv(x, 4, SquareWindow({1, 1})), e = b.Unary(ir::UnaryKind::kExp, y);
  b.Output(b.Node(ir::Reduce{ir::ReduceKind::kSum, true, false}, {e}));
  const ir::Graph g = Quantized(b.graph());
  for (ir::NodeId id = 0; id < g.num_node_slots(); ++id) {
    const ir::Op& op = g.node(id).op;
    if (std::holds_alternative<ir::Conv>(op) || std::holds_alternative<ir::Convert>(op)) continue;
    EXPECT_THAT(g.node(id).precision_note, HasSubstr("f32: ")) << g.node(id).name;
  }
}

TEST(ApplyPolicyTest, AValueThatOnlyHeldZerosGetsScaleOne) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 3, 8, 8});
  b.Output(b.Conv(x, 4, SquareWindow({1, 1})));
  const ir::Graph g = Quantized(b.graph(), kInt8, 0, 0);
  for (ValueId v = 0; v < g.num_values(); ++v) {
    if (!g.IsConstant(v) && g.value(v).quant) {
      EXPECT_EQ(g.value(v).quant->scale(), 1.0f);
    }
  }
}

TEST(ApplyPolicyTest, AValueThatOnlyHeldSubnormalsGetsANormalScale) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 3, 8, 8});
  b.Output(b.Conv(x, 4, SquareWindow({1, 1})));
  const ir::Graph g = Quantized(b.graph(), kInt8, 0, 1e-45f);
  for (ValueId v = 0; v < g.num_values(); ++v) {
    if (!g.IsConstant(v) && g.value(v).quant) {
      EXPECT_TRUE(std::isnormal(g.value(v).quant->scale())) << g.value(v).quant->scale();
    }
  }
}

TEST(ApplyPolicyTest, Int8WithoutATableIsRefused) {
  GraphBuilder b = SmallNetwork();
  EXPECT_EQ(ApplyPolicy(b.graph(), kInt8, nullptr, {}).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ApplyPolicyTest, ValuesThatCalibrationDidNotSeeStayFloat) {
  GraphBuilder b = SmallNetwork();
  const CalibrationTable empty;
  ASSERT_TRUE(ApplyPolicy(b.graph(), kInt8, &empty, {}).ok());
  EXPECT_EQ(CountConverts(b.graph()), 0);
  EXPECT_THAT(b.graph().node(0).precision_note, HasSubstr("not seen in calibration"));
}

LayerOverride Override(std::string pattern, Precision precision) {
  LayerOverride o;
  o.pattern = std::move(pattern);
  o.precision = precision;
  return o;
}

DataType WeightType(const ir::Graph& g, ValueId result) { return g.value(g.Input(g.producer(result), 1)).dtype; }

// Three convolutions with ReLUs between them, and a classifier.
struct Chain {
  Chain() : b(5) {
    const ValueId x = b.Input({1, 3, 8, 8});
    for (ValueId* v : {&first, &second, &third}) {
      *v = b.Conv(v == &first ? x : v == &second ? first : second, 8, SquareWindow({3, 3}, 1, 1));
      b.Fuse(*v, ir::Unary{ir::UnaryKind::kRelu});
    }
    const ValueId flat = b.Node(ir::Flatten{1}, {b.Node(ir::GlobalPool{}, {third})});
    last = b.Node(ir::MatMul{false, true}, {flat, b.Weights({10, 8}), b.Weights({10})});
    b.Output(last);
  }
  std::string NameOf(ValueId result) { return b.graph().node(b.graph().producer(result)).name; }
  GraphBuilder b;
  ValueId first, second, third, last;
};

TEST(OverridesTest, EachLayerRunsAtItsOwnPrecisionWithConvertsAtTheBorders) {
  Chain c;
  Policy policy = kInt8;
  policy.overrides = {Override(c.NameOf(c.second), Precision::kBF16), Override(c.NameOf(c.third), Precision::kF16),
                      Override(c.NameOf(c.last), Precision::kF32)};
  const ir::Graph g = Quantized(c.b.graph(), policy);
  EXPECT_EQ(WeightType(g, c.first), DataType::kS8);
  EXPECT_EQ(WeightType(g, c.second), DataType::kBF16);
  EXPECT_EQ(WeightType(g, c.third), DataType::kF16);
  EXPECT_EQ(WeightType(g, c.last), DataType::kF32);
  // Of the input to levels, and of bf16's result, which is f32, to f16; int8 writes bf16 itself.
  EXPECT_EQ(CountConverts(g), 2);
  EXPECT_EQ(g.node(g.producer(c.last)).precision_note, "f32: as the policy says");
  EXPECT_GT(SqnrDb(c.b.graph(), g), SqnrDb(c.b.graph(), Quantized(c.b.graph())));
}

TEST(OverridesTest, NeighboursOfOnePrecisionPassItOnWithoutConverts) {
  Chain c;
  Policy policy;
  policy.precision = Precision::kBF16;
  policy.overrides = {Override(c.NameOf(c.first), Precision::kInt8), Override(c.NameOf(c.second), Precision::kInt8)};
  const ir::Graph g = Quantized(c.b.graph(), policy);
  EXPECT_TRUE(IsInt8(g.value(c.first).dtype));
  EXPECT_EQ(g.value(c.second).dtype, DataType::kBF16);
  EXPECT_EQ(g.value(c.third).dtype, DataType::kBF16);
  EXPECT_EQ(CountConverts(g), 1);  // of the input to levels
}

TEST(OverridesTest, TheFirstPatternThatMatchesApplies) {
  Chain c;
  Policy policy;
  policy.overrides = {Override(c.NameOf(c.second), Precision::kF32), Override("*", Precision::kInt8)};
  const ir::Graph g = Quantized(c.b.graph(), policy);
  EXPECT_EQ(WeightType(g, c.first), DataType::kS8);
  EXPECT_EQ(WeightType(g, c.second), DataType::kF32);
  EXPECT_EQ(WeightType(g, c.third), DataType::kS8);
}

TEST(OverridesTest, TheResidualOfAConvolutionInAnotherPrecisionKeepsItsOwn) {
  GraphBuilder b = SmallNetwork();
  const std::string inner = b.graph().node(1).name;
  Policy policy = kInt8;
  policy.overrides = {Override(inner, Precision::kF32)};
  const ir::Graph g = Quantized(b.graph(), policy);
  EXPECT_GT(SqnrDb(b.graph(), g), 25);
  EXPECT_EQ(g.value(g.node(1).outputs[0]).dtype, DataType::kF32);
}

// The pooled value has a reader at each precision, so that it is converted behind the pooling, whose range is that of its source.
TEST(OverridesTest, AConvertBehindMovementTakesTheRangeOfItsSource) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 3, 8, 8});
  ir::Pool pool;
  pool.window = SquareWindow({2, 2}, 2, 0);
  pool.window.kernel = {2, 2};
  const ValueId pooled = b.Node(pool, {x});
  const ValueId kept = b.Conv(pooled, 4, SquareWindow({1, 1})), exact = b.Conv(pooled, 4, SquareWindow({1, 1}));
  b.Output(kept);
  b.Output(exact);
  Policy policy = kInt8;
  policy.overrides = {Override(b.graph().node(b.graph().producer(exact)).name, Precision::kF32)};
  EXPECT_GT(SqnrDb(b.graph(), Quantized(b.graph(), policy)), 30);
}

TEST(OverridesTest, NeedCalibrationWhereTheyAskForInt8) {
  Policy policy;
  EXPECT_FALSE(NeedsCalibration(policy));
  policy.overrides = {Override("*", Precision::kBF16)};
  EXPECT_FALSE(NeedsCalibration(policy));
  policy.overrides.push_back(Override("stem", Precision::kInt8));
  EXPECT_TRUE(NeedsCalibration(policy));
}

TEST(OverridesTest, APatternThatMatchesNoLayerIsRefused) {
  Chain c;
  Policy policy = kInt8;
  policy.overrides = {Override("*", Precision::kF32)};
  EXPECT_TRUE(CheckOverrides(c.b.graph(), policy).ok());
  policy.overrides.push_back(Override("decoder*", Precision::kF32));
  const absl::Status status = CheckOverrides(c.b.graph(), policy);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("overrides: pattern \"decoder*\""));
}

// What a search has not seen, as happens at other input shapes, is exact.
TEST(OverridesTest, LayersOfAMixedVariantThatNoneNamesAreF32) {
  Chain c;
  Policy policy;
  policy.precision = Precision::kMixed;
  policy.overrides = {Override(c.NameOf(c.first), Precision::kInt8)};
  const ir::Graph g = Quantized(c.b.graph(), policy);
  EXPECT_EQ(WeightType(g, c.first), DataType::kS8);
  EXPECT_EQ(WeightType(g, c.second), DataType::kF32);
}

}  // namespace
}  // namespace precis::quant
