// Integer layers, their sums whole or cut into chunks, against double precision. With scales of 1 every partial sum is an integer that f32 holds, so that results
// are equal to the last bit; with scales of each chunk's own they differ by f32 rounding across chunks only.
#include <algorithm>
#include <cmath>
#include <functional>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "engine/base/float16.h"
#include "engine/plan/cpu_features.h"
#include "engine/plan/plan.h"
#include "gtest/gtest.h"
#include "tests/plan/precision.h"
#include "tests/reference/reference.h"
#include "tests/support/graph_builder.h"

namespace precis::testing {
namespace {

using ir::ValueId;

struct ChunkedCase {
  std::string name = "";
  Shape input = {};
  Shape weights = {};  // convolution [O,I,…]; product [K,N], or [N,K] when transposed
  int64_t chunk = 0;   // input channels
  ir::Op op = ir::MatMul{};
  DataType source = DataType::kU8;
  int32_t zero_point = 0;
  bool bias = true;
  bool residual = false;  // f32, followed by Relu
  DataType output = DataType::kF32;
  Shape bias_shape = {};  // default: one number per output channel
  bool relu = false;      // without a residual
};

// Cases that ChunkKernel takes, where the CPU has it.
bool IsForKernel(const ChunkedCase& c) {
  static const absl::flat_hash_set<std::string> kNames = {"Pointwise",
                                                          "PointwiseUnevenChunks",
                                                          "PointwiseStrideTwo",
                                                          "PointwiseWithZeroPoint",
                                                          "PointwiseWithZeroPointWithoutBias",
                                                          "SmallImage",
                                                          "SmallImageStrideTwo",
                                                          "SmallImageWithoutBias",
                                                          "LargeImage",
                                                          "LargeImageBatchOfThree",
                                                          "WideImageOddOutputs",
                                                          "TilesOfEight",
                                                          "LinesOfTwo",
                                                          "LinesOfThree",
                                                          "ManyOutputs",
                                                          "TallWindow",
                                                          "PaddedAtTheEndOnly",
                                                          "DilatedWithoutPadding",
                                                          "WindowOverTheEdgesOfASingleCell"};
  return std::any_of(kNames.begin(), kNames.end(), [&](const std::string& name) {
    const absl::string_view rest = absl::StripPrefix(c.name, name);
    return rest.size() < c.name.size() && (rest.empty() || absl::StartsWith(rest, "To") ||
                                           absl::StartsWith(rest, "Relu") || absl::StartsWith(rest, "Residual"));
  });
}

void PrintTo(const ChunkedCase& c, std::ostream* os) { *os << c.name; }

ir::Conv ConvOf(ir::Window window) { return ir::Conv{std::move(window), 1}; }

std::vector<ChunkedCase> Cases() {
  const ir::Window one = SquareWindow({1, 1}), three = SquareWindow({3, 3}, 1, 1);
  std::vector<ChunkedCase> cases = {
      {"Pointwise", {1, 64, 9, 9}, {32, 64, 1, 1}, 16, ConvOf(one)},
      {"PointwiseUnevenChunks", {1, 70, 9, 9}, {32, 70, 1, 1}, 32, ConvOf(one)},
      {"PointwiseStrideTwo", {1, 64, 9, 9}, {32, 64, 1, 1}, 16, ConvOf(SquareWindow({1, 1}, 2))},
      {"SmallImage", {1, 64, 7, 7}, {48, 64, 3, 3}, 28, ConvOf(three)},
      {"SmallImageWithZeroPoint", {1, 64, 7, 7}, {48, 64, 3, 3}, 28, ConvOf(three), DataType::kU8, 77},
      {"PointwiseWithZeroPoint", {1, 64, 9, 9}, {32, 64, 1, 1}, 16, ConvOf(one), DataType::kU8, 200},
      {"PointwiseWithZeroPointWithoutBias", {1, 64, 9, 9}, {32, 64, 1, 1}, 16, ConvOf(one), DataType::kU8, 3, false},
      {"ProductWithZeroPointAndAlpha", {5, 100}, {100, 24}, 32, ir::MatMul{false, false, 0.5f}, DataType::kU8, 99},
      {"ProductTransposedWithZeroPointWithoutBias",
       {5, 96},
       {24, 96},
       32,
       ir::MatMul{false, true},
       DataType::kU8,
       99,
       false},
      {"ProductWithZeroPointAndBiasPerRow",
       {5, 100},
       {100, 24},
       32,
       ir::MatMul{},
       DataType::kU8,
       9,
       true,
       false,
       DataType::kF32,
       {5, 1}},
      {"SmallImageStrideTwo", {2, 64, 9, 7}, {48, 64, 3, 3}, 28, ConvOf(SquareWindow({3, 3}, 2, 1))},
      {"SmallImageDilated", {1, 64, 9, 9}, {48, 64, 3, 3}, 28, ConvOf(SquareWindow({3, 3}, 1, 2, 2))},
      {"LargeImage", {1, 64, 28, 28}, {32, 64, 3, 3}, 28, ConvOf(three)},
      {"LargeImageWithZeroPoint", {1, 64, 28, 28}, {32, 64, 3, 3}, 28, ConvOf(three), DataType::kU8, 130},
      {"LargeImageBatchOfThree", {3, 48, 20, 20}, {32, 48, 3, 3}, 20, ConvOf(SquareWindow({3, 3}, 2, 1))},
      {"WideImageOddOutputs", {2, 42, 6, 19}, {37, 42, 3, 3}, 13, ConvOf(three)},
      {"WideWindow", {1, 40, 9, 9}, {24, 40, 5, 5}, 12, ConvOf(SquareWindow({5, 5}, 1, 2))},
      {"WindowOverTheEdgesOfASingleCell", {1, 40, 1, 1}, {24, 40, 3, 3}, 12, ConvOf(three)},
      {"TilesOfEight", {1, 64, 5, 16}, {48, 64, 3, 3}, 28, ConvOf(three)},
      {"LinesOfTwo", {2, 32, 4, 2}, {16, 32, 3, 3}, 12, ConvOf(three)},
      {"LinesOfThree", {1, 32, 3, 3}, {20, 32, 3, 3}, 12, ConvOf(three)},
      {"ManyOutputs", {1, 64, 7, 7}, {100, 64, 3, 3}, 28, ConvOf(three)},
      {"SmallImageWithoutBias", {1, 64, 7, 7}, {48, 64, 3, 3}, 28, ConvOf(three), DataType::kU8, 0, false},
      {"TallWindow", {1, 32, 9, 6}, {24, 32, 7, 1}, 12, ConvOf({{7, 1}, {1, 1}, {1, 1}, {3, 0}, {3, 0}})},
      {"FlatWindow", {1, 32, 6, 9}, {24, 32, 1, 7}, 12, ConvOf({{1, 7}, {1, 1}, {1, 1}, {0, 3}, {0, 3}})},
      {"PaddedAtTheEndOnly", {1, 32, 8, 12}, {24, 32, 3, 3}, 12, ConvOf({{3, 3}, {2, 2}, {1, 1}, {0, 0}, {1, 1}})},
      {"DilatedWithoutPadding", {1, 32, 9, 11}, {24, 32, 3, 3}, 12, ConvOf(SquareWindow({3, 3}, 1, 0, 2))},
      {"ChunkOfFewChannels", {1, 3, 12, 12}, {16, 3, 3, 3}, 1, ConvOf(three)},
      {"SignedSource", {1, 64, 28, 28}, {32, 64, 3, 3}, 28, ConvOf(three), DataType::kS8},
      {"SignedSourceSmallImage", {1, 64, 7, 7}, {32, 64, 3, 3}, 28, ConvOf(three), DataType::kS8},
      {"Whole", {1, 64, 9, 9}, {32, 64, 3, 3}, 64, ConvOf(three), DataType::kU8, 20},
      {"WholeProduct", {5, 100}, {100, 24}, 100, ir::MatMul{}, DataType::kU8, 20},
      {"OneDimensional", {1, 64, 50}, {32, 64, 3}, 20, ConvOf(SquareWindow({3}, 1, 1))},
      {"ThreeDimensional", {1, 32, 5, 6, 7}, {16, 32, 3, 3, 3}, 8, ConvOf(SquareWindow({3, 3, 3}, 1, 1))},
      {"ChunksOfOneChannel", {1, 3, 12, 12}, {16, 3, 7, 7}, 1, ConvOf(SquareWindow({7, 7}, 2, 3))},
      {"Product", {5, 100}, {100, 24}, 32},
      {"ProductOfOneRow", {1, 512}, {512, 40}, 64},
      {"ProductTransposed", {5, 96}, {24, 96}, 32, ir::MatMul{false, true}},
      {"ProductOfRankThree", {2, 6, 96}, {96, 24}, 40},
      {"ProductWithZeroPoint", {5, 100}, {100, 24}, 32, ir::MatMul{}, DataType::kU8, 99},
      {"ProductSigned", {5, 100}, {100, 24}, 32, ir::MatMul{}, DataType::kS8},
      {"ProductWithAlpha", {5, 100}, {100, 24}, 32, ir::MatMul{false, false, 0.5f}},
      {"ProductWithBiasPerRow",
       {5, 100},
       {100, 24},
       32,
       ir::MatMul{},
       DataType::kU8,
       0,
       true,
       false,
       DataType::kF32,
       {5, 1}},
      {"ProductWithoutBias", {5, 100}, {100, 24}, 32, ir::MatMul{}, DataType::kU8, 0, false},
  };
  for (size_t i = 0, n = cases.size(); i < n; ++i) {
    ChunkedCase c = cases[i];
    for (DataType type : {DataType::kU8, DataType::kS8}) {
      for (const bool relu : {false, true}) {
        c.output = type;
        c.relu = relu;
        c.name = absl::StrCat(cases[i].name, relu ? "Relu" : "", "To", Name(type));
        cases.push_back(c);
      }
    }
    c = cases[i];
    c.residual = true;
    c.name = absl::StrCat(cases[i].name, "Residual");
    cases.push_back(c);
    for (DataType type : {DataType::kU8, DataType::kS8, DataType::kBF16, DataType::kF16}) {
      c.output = type;
      c.name = absl::StrCat(cases[i].name, "ResidualTo", Name(type));
      cases.push_back(c);
    }
  }
  return cases;
}

class ChunkedSumTest : public ::testing::TestWithParam<ChunkedCase> {
 protected:
  // The network in levels, and in the real numbers that they stand for.
  struct Pair {
    ir::Graph levels, real;
    std::vector<Tensor> inputs, real_inputs;
  };

  static Tensor RandomLevels(std::mt19937& random, const Shape& shape, DataType type) {
    Tensor t(type, shape);
    // Without VNNI pairs of products are summed in 16 bits, and s8 sources halve the weights: even and small levels survive both.
    const int bound = plan::CpuHasVnni() ? 127 : 31, step = plan::CpuHasVnni() ? 1 : 2;
    for (int64_t i = 0; i < t.num_elements(); ++i) {
      static_cast<uint8_t*>(t.data())[i] =
          static_cast<uint8_t>(step * (static_cast<int>(random() % static_cast<uint32_t>(2 * bound + 1)) - bound));
    }
    return t;
  }

  static Pair Make(const ChunkedCase& c, bool unit_scales) {
    std::mt19937 random(static_cast<uint32_t>(std::hash<std::string>{}(c.name)));
    Pair p;
    GraphBuilder low(1), real(1);
    // f16 ends at 65504: sums of a smaller unit, which f32 holds as exactly.
    const float unit = c.output == DataType::kF16 ? 0x1p-10f : 1.0f;
    const ir::QuantParams source{{unit_scales ? unit : 0.017f}, {c.zero_point}, -1};
    const ValueId x = low.Input(c.input, c.source), rx = real.Input(c.input);
    Tensor in(c.source, c.input);
    for (int64_t i = 0; i < in.num_elements(); ++i)
      static_cast<uint8_t*>(in.data())[i] = static_cast<uint8_t>(random());
    Tensor real_in(DataType::kF32, c.input);
    const auto values = ir::RealValues(in, source);
    std::copy(values.begin(), values.end(), real_in.As<float>().begin());
    p.inputs.push_back(std::move(in));
    p.real_inputs.push_back(std::move(real_in));

    const auto* matmul = std::get_if<ir::MatMul>(&c.op);
    const int axis = matmul != nullptr && !matmul->transpose_b ? 1 : 0;
    const auto outputs = static_cast<size_t>(c.weights[static_cast<size_t>(axis)]);
    const int64_t inputs = c.weights[axis == 0 ? 1 : 0];
    ir::QuantParams quant;
    quant.axis = axis;
    quant.chunk = c.chunk;
    const size_t chunks = static_cast<size_t>((inputs + c.chunk - 1) / c.chunk);
    for (size_t i = 0; i < outputs * chunks; ++i)
      quant.scales.push_back(unit_scales ? 1.0f : 0.001f * static_cast<float>(1 + random() % 20));
    Tensor w = RandomLevels(random, c.weights, DataType::kS8);
    Tensor real_w(DataType::kF32, c.weights);
    const auto weights = ir::RealValues(w, quant);
    std::copy(weights.begin(), weights.end(), real_w.As<float>().begin());
    std::vector<ValueId> operands = {x, low.Constant(std::move(w))},
                         real_operands = {rx, real.Constant(std::move(real_w))};
    if (c.bias) {
      Tensor bias(DataType::kF32, c.bias_shape.empty() ? Shape{static_cast<int64_t>(outputs)} : c.bias_shape);
      for (float& b : bias.As<float>()) b = static_cast<float>(static_cast<int>(random() % 200) - 100);
      real_operands.push_back(real.Constant(bias.Clone()));
      operands.push_back(low.Constant(std::move(bias)));
    }
    // The builder infers types of f32 operands; levels are set afterwards.
    low.graph().value(x).dtype = DataType::kF32;
    const ValueId weights_id = operands[1];
    low.graph().value(weights_id).dtype = DataType::kF32;
    const ValueId y = low.Node(c.op, operands), ry = real.Node(c.op, real_operands);
    low.graph().value(x).dtype = c.source;
    low.graph().value(x).quant = source;
    low.graph().value(weights_id).dtype = DataType::kS8;
    low.graph().value(weights_id).quant = quant;
    if (c.residual) {
      const Shape shape = low.graph().value(y).shape;
      const ValueId r = low.Input(shape), rr = real.Input(shape);
      low.Fuse(y, ir::BinaryKind::kAdd, r);
      low.Fuse(y, ir::Unary{ir::UnaryKind::kRelu});
      real.Fuse(ry, ir::BinaryKind::kAdd, rr);
      real.Fuse(ry, ir::Unary{ir::UnaryKind::kRelu});
      Tensor residual(DataType::kF32, shape);
      for (float& v : residual.As<float>()) v = static_cast<float>(static_cast<int>(random() % 2000) - 1000);
      p.real_inputs.push_back(residual.Clone());
      p.inputs.push_back(std::move(residual));
    }
    if (c.relu) {
      low.Fuse(y, ir::Unary{ir::UnaryKind::kRelu});
      real.Fuse(ry, ir::Unary{ir::UnaryKind::kRelu});
    }
    low.graph().value(y).dtype = c.output;
    low.Output(y);
    real.Output(ry);
    p.levels = std::move(low.graph());
    p.real = std::move(real.graph());
    return p;
  }

  // The output's levels cover what the network gives, on both sides of 0 where it is not Relu's.
  static void SetOutputLevels(ir::Graph& graph, const ChunkedCase& c, float largest) {
    if (!IsInt8(c.output)) return;
    const bool positive = c.relu || c.residual;
    const int32_t zero = c.output == DataType::kS8 ? -5 : positive ? 77 : 128;
    const int32_t levels = c.output == DataType::kU8 ? 255 - zero : positive ? 127 - zero : 122;
    graph.value(graph.outputs[0].value).quant = ir::QuantParams{{largest / static_cast<float>(levels)}, {zero}, -1};
  }

  // The level, not rounded, of a real number.
  static double LevelOf(const ir::Graph& graph, const ChunkedCase& c, float real) {
    const ir::QuantParams& q = *graph.value(graph.outputs[0].value).quant;
    const double level = static_cast<double>(real) / static_cast<double>(q.scale()) + q.zero_point();
    return c.output == DataType::kU8 ? std::clamp(level, 0.0, 255.0) : std::clamp(level, -128.0, 127.0);
  }
};

TEST_P(ChunkedSumTest, IntegersInsideAChunkAreExact) {
  const ChunkedCase& c = GetParam();
  Pair p = Make(c, /*unit_scales=*/true);
  const auto want = reference::Run(p.real, p.real_inputs);
  ASSERT_TRUE(want.ok()) << want.status();
  const auto w = want->front().As<float>();
  float largest = 1;
  for (float x : w) largest = std::max(largest, std::abs(x));
  ASSERT_LT(largest, 0x1p24f) << "f32 does not hold the exact sums";
  SetOutputLevels(p.levels, c, largest);
  const auto got = RunPlan(p.levels, p.inputs);
  ASSERT_TRUE(got.ok()) << got.status();
  const std::vector<float> g = ToFloat(got->front().view());
  for (size_t i = 0; i < w.size(); ++i) {
    if (IsInt8(c.output)) {
      ASSERT_LE(std::abs(static_cast<double>(g[i]) - LevelOf(p.levels, c, w[i])), 0.5 + 1e-4) << "at " << i;
    } else if (c.output == DataType::kBF16) {
      ASSERT_LE(std::abs(g[i] - w[i]), 0x1p-8f * std::abs(w[i])) << "at " << i;
    } else if (c.output == DataType::kF16) {
      ASSERT_EQ(g[i], F16ToF32(F32ToF16(w[i]))) << "at " << i;  // s32 to f16, rounded once
    } else {
      ASSERT_EQ(g[i], w[i]) << "at " << i;
    }
  }
}

TEST_P(ChunkedSumTest, EachChunkHasItsOwnScales) {
  const ChunkedCase& c = GetParam();
  Pair p = Make(c, /*unit_scales=*/false);
  const auto want = reference::Run(p.real, p.real_inputs);
  ASSERT_TRUE(want.ok()) << want.status();
  const auto w = want->front().As<float>();
  float largest = 1;
  for (float x : w) largest = std::max(largest, std::abs(x));
  SetOutputLevels(p.levels, c, largest);
  const auto got = RunPlan(p.levels, p.inputs, /*threads=*/2);
  ASSERT_TRUE(got.ok()) << got.status();
  const std::vector<float> g = ToFloat(got->front().view());
  // Some roundings of f32 across chunks, of numbers that may be larger than their sum.
  const float ulps = 64 * 0x1p-24f * std::max(largest, 1000.0f);
  for (size_t i = 0; i < w.size(); ++i) {
    if (IsInt8(c.output)) {
      ASSERT_LE(std::abs(static_cast<double>(g[i]) - LevelOf(p.levels, c, w[i])), 0.51) << "at " << i;
    } else if (c.output == DataType::kBF16) {
      ASSERT_LE(std::abs(g[i] - w[i]), 0x1p-8f * std::abs(w[i]) + ulps) << "at " << i;
    } else if (c.output == DataType::kF16) {
      ASSERT_LE(std::abs(g[i] - w[i]), 0x1p-11f * std::abs(w[i]) + ulps) << "at " << i;
    } else {
      ASSERT_NEAR(g[i], w[i], ulps) << "at " << i;
    }
  }
}

TEST_P(ChunkedSumTest, NoChunkRunsOnAReferenceImplementation) {
  if (!GetParam().bias_shape.empty()) GTEST_SKIP() << "oneDNN has no fast product with a bias per row";
  Pair p = Make(GetParam(), false);
  SetOutputLevels(p.levels, GetParam(), 100);
  plan::WeightStore store;
  const auto plan = plan::BuildPlan(p.levels, {}, store);
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (const plan::LayerInfo& layer : (*plan)->layers) {
    EXPECT_FALSE(layer.slow_reference) << layer.implementation;
    EXPECT_NE(layer.implementation, "plain");
  }
  const bool has_kernel = plan::CpuHasAvx512Vnni() && !plan::CpuHasAmx();
  EXPECT_EQ(absl::StrContains((*plan)->layers[0].implementation, "windows:"), has_kernel && IsForKernel(GetParam()))
      << (*plan)->layers[0].implementation;
}

INSTANTIATE_TEST_SUITE_P(Cases, ChunkedSumTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace precis::testing
