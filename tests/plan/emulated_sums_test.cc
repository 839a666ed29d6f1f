// Layers with emulated accumulators, as plans run them, against the most obvious form of the same: every term gathered by itself and rounded with
// accumulate::Round, in the same order, so that results are equal to the last bit.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "engine/accumulate/accumulator.h"
#include "engine/base/float16.h"
#include "engine/exec/context.h"
#include "engine/plan/plan.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/plan/precision.h"
#include "tests/support/graph_builder.h"

namespace precis::testing {
namespace {

using ir::Accumulation;
using ir::Accumulator;
using ir::ValueId;

double RoundF32(double x) { return static_cast<double>(static_cast<float>(x)); }

// The sum as ir::Accumulation defines it.
double Sum(const std::vector<double>& terms, const Accumulation& how) {
  const size_t k = terms.size(), chunk = how.chunk == 0 ? k : static_cast<size_t>(how.chunk);
  double outer = 0;
  for (size_t first = 0; first < k; first += chunk) {
    double inner = 0;
    for (size_t j = first; j < std::min(first + chunk, k); ++j) {
      const double product = accumulate::Round(how.accumulator, terms[j]);
      inner = accumulate::Round(how.accumulator, inner + product);
    }
    if (chunk >= k) return inner;
    outer = how.outer_same ? accumulate::Round(how.accumulator, outer + inner) : RoundF32(outer + inner);
  }
  return outer;
}

std::vector<int64_t> Unravel(int64_t index, const Shape& shape) {
  std::vector<int64_t> at(shape.size());
  for (size_t i = shape.size(); i-- > 0; index /= shape[i]) at[i] = index % shape[i];
  return at;
}
size_t Ravel(const std::vector<int64_t>& at, const Shape& shape) {
  int64_t index = 0;
  for (size_t i = 0; i < shape.size(); ++i) index = index * shape[i] + at[i];
  return static_cast<size_t>(index);
}

// f(source element or -1 for padding, weights element) for each term of an output, along K. Also its channel.
using Visit = std::function<void(int64_t, int64_t)>;

int64_t ConvTerms(const ir::Conv& op, const Shape& src, const Shape& weights, const std::vector<int64_t>& at,
                  const Visit& f) {
  const int64_t group = at[1] / (weights[0] / op.groups);
  const Shape taps(weights.begin() + 2, weights.end());
  for (int64_t c = 0; c < weights[1]; ++c) {
    for (int64_t t = 0; t < NumElements(taps); ++t) {
      const std::vector<int64_t> tap = Unravel(t, taps);
      std::vector<int64_t> from = {at[0], group * weights[1] + c}, with = {at[1], c};
      bool inside = true;
      for (size_t i = 0; i < taps.size(); ++i) {
        from.push_back(at[i + 2] * op.window.strides[i] + tap[i] * op.window.dilations[i] - op.window.pads_begin[i]);
        with.push_back(tap[i]);
        inside = inside && from.back() >= 0 && from.back() < src[i + 2];
      }
      f(inside ? static_cast<int64_t>(Ravel(from, src)) : -1, static_cast<int64_t>(Ravel(with, weights)));
    }
  }
  return at[1];
}

int64_t TransposeTerms(const ir::ConvTranspose& op, const Shape& src, const Shape& weights,
                       const std::vector<int64_t>& at, const Visit& f) {
  const int64_t group = at[1] / weights[1], channels = src[1] / op.groups;
  const Shape taps(weights.begin() + 2, weights.end());
  for (int64_t c = group * channels; c < (group + 1) * channels; ++c) {
    for (int64_t t = 0; t < NumElements(taps); ++t) {
      const std::vector<int64_t> tap = Unravel(t, taps);
      std::vector<int64_t> from = {at[0], c}, with = {c, at[1] % weights[1]};
      bool inside = true;
      for (size_t i = 0; i < taps.size(); ++i) {
        const int64_t p = at[i + 2] + op.window.pads_begin[i] - tap[i] * op.window.dilations[i];
        from.push_back(p / op.window.strides[i]);
        with.push_back(tap[i]);
        inside = inside && p >= 0 && p % op.window.strides[i] == 0 && from.back() < src[i + 2];
      }
      f(inside ? static_cast<int64_t>(Ravel(from, src)) : -1, static_cast<int64_t>(Ravel(with, weights)));
    }
  }
  return at[1];
}

// Operands of two or more dimensions.
int64_t ProductTerms(const ir::MatMul& op, const Shape& a, const Shape& b, const std::vector<int64_t>& at,
                     const Visit& f) {
  const auto place = [&](const Shape& shape, int64_t row, int64_t column) {
    std::vector<int64_t> index(at.end() - static_cast<std::ptrdiff_t>(shape.size()), at.end());
    for (size_t i = 0; i + 2 < shape.size(); ++i) index[i] = shape[i] == 1 ? 0 : index[i];
    index[shape.size() - 2] = row;
    index.back() = column;
    return static_cast<int64_t>(Ravel(index, shape));
  };
  const int64_t k = op.transpose_a ? a[a.size() - 2] : a.back(), m = at[at.size() - 2], n = at.back();
  for (int64_t j = 0; j < k; ++j) {
    f(op.transpose_a ? place(a, j, m) : place(a, m, j), op.transpose_b ? place(b, n, j) : place(b, j, n));
  }
  return n;
}

int64_t TermsAt(const ir::Op& op, const Shape& src, const Shape& weights, const std::vector<int64_t>& at,
                const Visit& f) {
  if (const auto* conv = std::get_if<ir::Conv>(&op)) return ConvTerms(*conv, src, weights, at, f);
  if (const auto* transpose = std::get_if<ir::ConvTranspose>(&op))
    return TransposeTerms(*transpose, src, weights, at, f);
  return ProductTerms(std::get<ir::MatMul>(op), src, weights, at, f);
}

struct Layer {
  std::string name;
  Shape src, weights;
  ir::Op op;
  bool dynamic_weights = false;
};

ir::ConvTranspose TransposeOf(ir::Window window, int64_t groups) {
  ir::ConvTranspose op;
  op.window = std::move(window);
  op.groups = groups;
  return op;
}

std::vector<Layer> Layers() {
  return {
      {"Conv", {2, 11, 7, 5}, {19, 11, 3, 3}, ir::Conv{SquareWindow({3, 3}, 1, 1), 1}},
      {"StridedDilatedConv", {1, 6, 11, 9}, {17, 6, 3, 2}, ir::Conv{SquareWindow({3, 2}, 2, 2, 2), 1}},
      {"Pointwise", {2, 70, 5, 5}, {33, 70, 1, 1}, ir::Conv{SquareWindow({1, 1}), 1}},
      {"FewFilters", {1, 40, 9, 9}, {3, 40, 3, 3}, ir::Conv{SquareWindow({3, 3}, 1, 1), 1}},
      {"Grouped", {2, 12, 6, 6}, {9, 4, 3, 3}, ir::Conv{SquareWindow({3, 3}, 1, 1), 3}},
      {"Depthwise", {2, 10, 13, 13}, {10, 1, 5, 5}, ir::Conv{SquareWindow({5, 5}, 2, 2), 10}},
      {"Line", {1, 9, 40}, {8, 9, 7}, ir::Conv{SquareWindow({7}, 3, 2), 1}},
      {"Volume", {1, 4, 5, 6, 7}, {6, 4, 2, 3, 2}, ir::Conv{SquareWindow({2, 3, 2}, 1, 1), 1}},
      {"Transposed", {2, 6, 5, 4}, {6, 5, 3, 3}, TransposeOf(SquareWindow({3, 3}, 2, 1), 1)},
      {"TransposedGroups", {1, 6, 5, 4}, {6, 4, 3, 2}, TransposeOf(SquareWindow({3, 2}, 2, 1), 2)},
      {"Product", {5, 200}, {200, 37}, ir::MatMul{}},
      {"ProductOfOneRow", {1, 300}, {300, 20}, ir::MatMul{}},
      {"ProductOfOneColumn", {40, 129}, {129, 1}, ir::MatMul{}},
      {"ProductWithAlphaTransposed", {90, 70}, {24, 90}, ir::MatMul{true, true, 0.125f}},
      {"BatchedProduct", {2, 3, 6, 65}, {3, 65, 18}, ir::MatMul{}, true},
      {"BroadcastProduct", {2, 1, 17, 40}, {1, 3, 9, 40}, ir::MatMul{false, true}, true},
  };
}

struct Case {
  Layer layer;
  Accumulation how;
  DataType src = DataType::kF32;  // u8 or s8 for s16
  int32_t zero_point = 0;
  int64_t scale_chunk = 0;  // input channels whose weights have scales of their own
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const Layer& layer : Layers()) {
    for (const Accumulator accumulator :
         {Accumulator::kF16, Accumulator::kBF16, Accumulator::kFp16_169, Accumulator::kF32, Accumulator::kS16}) {
      for (const int64_t chunk : {0, 1, 7, 64, 1000}) {
        for (const bool same : {false, true}) {
          if (chunk == 0 && same) continue;
          Case c{layer, {accumulator, chunk, same}};
          if (accumulator == Accumulator::kS16) {
            c.src = chunk == 7 ? DataType::kS8 : DataType::kU8;
            c.zero_point = chunk == 64 ? 119 : chunk == 7 ? -3 : 0;
          }
          cases.push_back(c);
        }
      }
    }
  }
  for (const Layer& layer : {Layers()[0], Layers()[2], Layers()[10]}) {  // of 11, 70 and 200 input channels
    for (const int32_t zero_point : {0, 80}) {
      Case c{layer, {Accumulator::kS16, 0, false}, DataType::kU8, zero_point, 4};
      const int64_t window = layer.weights.size() == 2 ? 1 : layer.weights[2] * layer.weights[3];
      c.how.chunk = 4 * window;
      cases.push_back(c);
    }
  }
  return cases;
}

std::string NameOf(const Case& c) {
  return absl::StrCat(c.layer.name, "_", ir::Name(c.how.accumulator), "_chunk", c.how.chunk,
                      c.how.outer_same ? "_same" : "", c.scale_chunk > 0 ? "_scales" : "",
                      c.zero_point != 0 ? "_zero" : "");
}

struct Network {
  ir::Graph graph;
  std::vector<Tensor> inputs;  // src, and weights that are no constant
  ValueId src, weights, bias, result;
};

Network Make(const Case& c) {
  GraphBuilder b(static_cast<uint32_t>(std::hash<std::string>{}(NameOf(c))));
  Network n;
  const auto* product = std::get_if<ir::MatMul>(&c.layer.op);
  const bool levels = c.how.accumulator == Accumulator::kS16;
  // Behind a ReLU, with a mean: sums grow, and narrow ones lose.
  const auto numbers = [&](const Shape& shape, float low, float high, DataType type) {
    if (!levels) return RandomTensor(b.random(), shape, low, high);
    Tensor t(type, shape);
    for (int64_t i = 0; i < t.num_elements(); ++i)
      static_cast<uint8_t*>(t.data())[i] = static_cast<uint8_t>(b.random()());
    return t;
  };
  n.src = b.Input(c.layer.src);
  n.inputs.push_back(numbers(c.layer.src, 0.0f, 2.0f, c.src));
  Tensor weights = numbers(c.layer.weights, -0.5f, 1.0f, DataType::kS8);
  if (c.layer.dynamic_weights) {
    n.weights = b.Input(c.layer.weights);
    n.inputs.push_back(std::move(weights));
  } else {
    n.weights = b.Constant(std::move(weights));
    b.graph().value(n.weights).dtype = DataType::kF32;  // until the result's type is inferred
  }
  const bool transposed = std::holds_alternative<ir::ConvTranspose>(c.layer.op);
  const int axis = product == nullptr ? (transposed ? 1 : 0) : product->transpose_b ? 0 : 1;
  int64_t outputs = product != nullptr ? c.layer.weights[c.layer.weights.size() - (product->transpose_b ? 2 : 1)]
                                       : c.layer.weights[static_cast<size_t>(axis)];
  if (transposed) outputs *= std::get<ir::ConvTranspose>(c.layer.op).groups;
  n.bias = b.Weights({outputs}, -3, 3);
  n.result = b.Node(c.layer.op, {n.src, n.weights, n.bias});
  b.Output(n.result);
  n.graph = std::move(b.graph());
  if (levels) {
    n.graph.value(n.src).dtype = c.src;
    n.graph.value(n.src).quant = ir::QuantParams{{0.037f}, {c.zero_point}, -1};
    ir::QuantParams quant{{0.011f}, {}, -1};
    if (!c.layer.dynamic_weights) {
      quant.axis = axis;
      quant.chunk = c.scale_chunk;
      const int64_t inputs = c.layer.weights[axis == 0 ? 1 : 0];
      const int64_t chunks = c.scale_chunk == 0 ? 1 : (inputs + c.scale_chunk - 1) / c.scale_chunk;
      const int64_t channels = c.layer.weights[static_cast<size_t>(axis)];
      quant.scales.clear();
      for (int64_t i = 0; i < channels * chunks; ++i) quant.scales.push_back(0.001f * static_cast<float>(1 + i % 23));
    }
    n.graph.value(n.weights).dtype = DataType::kS8;
    n.graph.value(n.weights).quant = quant;
  }
  n.graph.node(n.graph.producer(n.result)).accumulation = c.how;
  return n;
}

// What the network must answer, to the last bit.
std::vector<float> Expected(const Case& c, const Network& n) {
  const Shape& dst = n.graph.value(n.result).shape;
  const std::vector<float> a = ToFloat(n.inputs[0].view()), bias = ToFloat(n.graph.ConstantOrNull(n.bias)->view());
  const std::vector<float> b =
      ToFloat(c.layer.dynamic_weights ? n.inputs[1].view() : n.graph.ConstantOrNull(n.weights)->view());
  const auto* product = std::get_if<ir::MatMul>(&c.layer.op);
  const double alpha = product == nullptr ? 1.0 : static_cast<double>(product->alpha);
  const auto& weights = n.graph.value(n.weights).quant;
  std::vector<float> expected;
  for (int64_t i = 0; i < NumElements(dst); ++i) {
    std::vector<double> terms, zero_terms;  // zero_terms: what zero points add to each
    const int64_t channel =
        TermsAt(c.layer.op, c.layer.src, c.layer.weights, Unravel(i, dst), [&](int64_t from, int64_t with) {
          const double x = from < 0 ? c.zero_point : static_cast<double>(a[static_cast<size_t>(from)]);
          const double w = static_cast<double>(b[static_cast<size_t>(with)]);
          terms.push_back(x * w);
          zero_terms.push_back(c.zero_point * w);
        });
    double result = 0;
    if (!weights) {
      result = RoundF32(alpha * Sum(terms, c.how));
    } else {
      // Sums that share a scale.
      const size_t step = c.scale_chunk == 0 ? terms.size() : static_cast<size_t>(c.how.chunk);
      const int64_t channels = weights->per_tensor() ? 1 : c.layer.weights[static_cast<size_t>(weights->axis)];
      for (size_t first = 0; first < terms.size(); first += step) {
        const auto begin = static_cast<std::ptrdiff_t>(first);
        const auto end = static_cast<std::ptrdiff_t>(std::min(first + step, terms.size()));
        const double levels = Sum({terms.begin() + begin, terms.begin() + end}, c.how) -
                              std::accumulate(zero_terms.begin() + begin, zero_terms.begin() + end, 0.0);
        const size_t scale = first / step * static_cast<size_t>(channels) + static_cast<size_t>(channel % channels);
        const double of_source = static_cast<double>(n.graph.value(n.src).quant->scale());
        result =
            RoundF32(result + RoundF32(alpha * (of_source * static_cast<double>(weights->scales[scale])) * levels));
      }
    }
    expected.push_back(static_cast<float>(result) + bias[static_cast<size_t>(channel)]);
  }
  return expected;
}

class EmulatedSumsTest : public ::testing::TestWithParam<Case> {};

TEST_P(EmulatedSumsTest, EqualTheObviousLoopToTheLastBit) {
  const Network n = Make(GetParam());
  const std::vector<float> want = Expected(GetParam(), n);
  for (const int threads : {1, 3}) {
    const auto got = RunPlan(n.graph, n.inputs, threads);
    ASSERT_TRUE(got.ok()) << got.status();
    const auto values = got->front().As<float>();
    ASSERT_EQ(values.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) ASSERT_EQ(values[i], want[i]) << "at " << i << ", threads " << threads;
  }
}

INSTANTIATE_TEST_SUITE_P(AllLayers, EmulatedSumsTest, ::testing::ValuesIn(Cases()),
                         [](const auto& c) { return NameOf(c.param); });

std::shared_ptr<const plan::Plan> PlanOf(const ir::Graph& graph) {
  plan::WeightStore store;
  auto plan = plan::BuildPlan(graph, {}, store);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

TEST(EmulatedLayerTest, ThePlanSaysThatItIsEmulatedAndHow) {
  const auto implementation = [](const Accumulation& how) {
    const auto plan = PlanOf(Make({Layers()[10], how}).graph);
    for (const plan::LayerInfo& layer : plan->layers) {
      if (layer.op != "MatMul") continue;
      EXPECT_FALSE(layer.slow_reference);
      return layer.implementation;
    }
    return std::string();
  };
  EXPECT_EQ(implementation({Accumulator::kF16, 64, false}), "emulated:f16 chunk 64");
  EXPECT_EQ(implementation({Accumulator::kFp16_169, 64, true}), "emulated:fp16_169 chunk 64 outer same");
  EXPECT_EQ(implementation({Accumulator::kBF16, 0, false}), "emulated:bf16");
}

TEST(EmulatedLayerTest, FusedWorkFollowsInF32AndResultsAreStoredAtTheirPrecision) {
  for (const DataType type : {DataType::kF32, DataType::kBF16, DataType::kF16, DataType::kU8}) {
    GraphBuilder b;
    const ValueId x = b.Input({1, 8, 6, 6}), residual = b.Input({1, 8, 6, 6});
    const ValueId y = b.Conv(x, 8, SquareWindow({3, 3}, 1, 1));
    b.Fuse(y, ir::BinaryKind::kAdd, residual);
    b.Fuse(y, ir::Unary{ir::UnaryKind::kRelu});
    b.Output(y);
    ir::Graph plain = b.graph();
    plain.node(plain.producer(y)).post_ops.clear();
    plain.node(plain.producer(y)).accumulation = Accumulation{Accumulator::kBF16, 20, true};
    ir::Graph fused = b.graph();
    fused.node(fused.producer(y)).accumulation = Accumulation{Accumulator::kBF16, 20, true};
    fused.value(y).dtype = type;
    const ir::QuantParams quant{{0.05f}, {3}, -1};
    if (type == DataType::kU8) fused.value(y).quant = quant;
    const std::vector<Tensor> inputs = RandomInputs(b.graph(), b.random());
    const auto bare = RunPlan(plain, inputs), got = RunPlan(fused, inputs);
    ASSERT_TRUE(bare.ok()) << bare.status();
    ASSERT_TRUE(got.ok()) << got.status();
    const auto sums = bare->front().As<float>(), added = inputs[1].As<float>();
    const std::vector<float> results = ToFloat(got->front().view());
    for (size_t i = 0; i < sums.size(); ++i) {
      const float exact = std::max(sums[i] + added[i], 0.0f);
      const float want = type == DataType::kF32    ? exact
                         : type == DataType::kBF16 ? BF16ToF32(F32ToBF16(exact))
                         : type == DataType::kF16
                             ? F16ToF32(F32ToF16(exact))
                             : std::clamp(std::nearbyint(exact / quant.scale()) + 3.0f, 0.0f, 255.0f);
      ASSERT_NEAR(results[i], want, type == DataType::kU8 ? 1e-3f : 0.0f) << Name(type) << " at " << i;
    }
  }
}

TEST(EmulatedLayerTest, AnItemOfABatchAnswersAsAlone) {
  const Case c{Layers()[0], {Accumulator::kF16, 7, true}};
  const Network both = Make(c);
  const auto batched = RunPlan(both.graph, both.inputs, 2);
  ASSERT_TRUE(batched.ok()) << batched.status();
  const auto rows = batched->front().As<float>();
  const size_t row = rows.size() / 2, in_row = both.inputs[0].As<float>().size() / 2;
  for (size_t item = 0; item < 2; ++item) {
    Case alone = c;
    alone.layer.src[0] = 1;
    Network one = Make(alone);
    for (const ValueId v : {one.weights, one.bias}) one.graph.MakeConstant(v, both.graph.ConstantOrNull(v)->Clone());
    Tensor input(DataType::kF32, alone.layer.src);
    std::copy_n(both.inputs[0].As<float>().begin() + static_cast<std::ptrdiff_t>(item * in_row), in_row,
                input.As<float>().begin());
    std::vector<Tensor> inputs;
    inputs.push_back(std::move(input));
    const auto got = RunPlan(one.graph, inputs);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_TRUE(std::equal(rows.begin() + static_cast<std::ptrdiff_t>(item * row),
                           rows.begin() + static_cast<std::ptrdiff_t>((item + 1) * row),
                           got->front().As<float>().begin()));
  }
}

TEST(EmulatedLayerTest, NanAndInfinityComeThrough) {
  Network n = Make({Layers()[10], {Accumulator::kF16, 64, false}});
  n.inputs[0].As<float>()[3] = std::bit_cast<float>(0x7fffffffu);  // a NaN of all ones
  n.inputs[0].As<float>()[200 + 5] = 1e30f;                        // row 1: past f16
  const auto got = RunPlan(n.graph, n.inputs);
  ASSERT_TRUE(got.ok()) << got.status();
  const auto y = got->front().As<float>();
  for (size_t i = 0; i < 37; ++i) EXPECT_TRUE(std::isnan(y[i])) << i;
  for (size_t i = 37; i < 74; ++i) EXPECT_TRUE(std::isinf(y[i])) << i;
  for (size_t i = 74; i < 5 * 37; ++i) EXPECT_TRUE(std::isfinite(y[i])) << i;
}

TEST(EmulatedLayerTest, OperandsThatTheAccumulatorDoesNotSumAreRefused) {
  ir::Graph graph = Make({Layers()[10], {Accumulator::kF16, 64, false}}).graph;
  graph.node(0).accumulation->accumulator = Accumulator::kS16;
  plan::WeightStore store;
  const auto plan = plan::BuildPlan(graph, {}, store);
  EXPECT_TRUE(absl::IsUnimplemented(plan.status())) << plan.status();
}

}  // namespace
}  // namespace precis::testing
