// Conversions between all precisions, in all layouts, and ports that are not f32.
#include <cmath>
#include <optional>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "engine/base/affine.h"
#include "engine/base/float16.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/plan/precision.h"
#include "tests/support/graph_builder.h"

namespace precis::testing {
namespace {

using ir::UnaryKind;
using ir::ValueId;

struct Form {
  std::string name;
  DataType dtype;
  std::optional<ir::QuantParams> quant;

  float Round(float x) const {
    switch (dtype) {
      case DataType::kF16: return F16ToF32(F32ToF16(x));
      case DataType::kBF16: return BF16ToF32(F32ToBF16(x));
      case DataType::kU8: return Level(x, 0, 255);
      case DataType::kS8: return Level(x, -128, 127);
      default: return x;
    }
  }
  // Distance of neighbours around `x`.
  float Step(float x) const {
    if (quant) return quant->scale();
    return dtype == DataType::kF16 ? 0x1p-10f * std::abs(x) : dtype == DataType::kBF16 ? 0x1p-7f * std::abs(x) : 0.0f;
  }

 private:
  float Level(float x, int32_t lowest, int32_t highest) const {
    const int32_t q = QuantizeAffine(x, quant->scale(), quant->zero_point(), lowest, highest);
    return DequantizeAffine(q, quant->scale(), quant->zero_point());
  }
};

std::vector<Form> Forms() {
  return {{"F32", DataType::kF32, {}},
          {"BF16", DataType::kBF16, {}},
          {"F16", DataType::kF16, {}},
          {"U8", DataType::kU8, ir::QuantParams{{0.0156f}, {130}, -1}},
          {"U8Positive", DataType::kU8, ir::QuantParams{{0.0071f}, {}, -1}},
          {"S8", DataType::kS8, ir::QuantParams{{0.0157f}, {}, -1}},
          {"S8Shifted", DataType::kS8, ir::QuantParams{{0.0111f}, {-20}, -1}}};
}

std::vector<Form> LevelForms() {
  std::vector<Form> forms = Forms();
  std::erase_if(forms, [](const Form& form) { return !form.quant; });
  return forms;
}

ValueId ConvertTo(GraphBuilder& b, ValueId x, const Form& form) {
  ir::Graph& graph = b.graph();
  const ValueId y = graph.AddValue("converted", form.dtype, graph.value(x).shape);
  graph.value(y).quant = form.quant;
  graph.AddNode("", ir::Convert{}, {x}, {y});
  return y;
}

class ConvertTest : public ::testing::TestWithParam<std::tuple<Form, Form>> {
 protected:
  // Elements of `got` are those of `source` after both roundings; a few may differ by one step, next to the middle of two levels.
  void Check(std::span<const float> got, const std::vector<float>& source) const {
    const auto& [from, to] = GetParam();
    ASSERT_EQ(got.size(), source.size());
    int off = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const float middle = from.Round(source[i]), want = to.Round(middle);
      off += got[i] != want;
      ASSERT_NEAR(got[i], want, 1.01f * (from.Step(middle) + to.Step(want)))
          << "element " << i << " from " << source[i];
    }
    EXPECT_LE(off, static_cast<int>(got.size() / 50));
  }
};

TEST_P(ConvertTest, RoundsOnceEachWay) {
  const auto& [from, to] = GetParam();
  GraphBuilder b(5);
  b.Output(ConvertTo(b, ConvertTo(b, ConvertTo(b, b.Input({3, 5, 7, 11}), from), to), Form{"", DataType::kF32, {}}));
  const auto inputs = RandomInputs(b.graph(), b.random(), -2.5f, 2.5f);
  const auto got = RunPlan(b.graph(), inputs);
  ASSERT_TRUE(got.ok()) << got.status();
  const auto x = inputs[0].As<float>();
  Check((*got)[0].As<float>(), {x.begin(), x.end()});
}

TEST_P(ConvertTest, KeepsThePlacesOfATransposedValue) {
  const auto& [from, to] = GetParam();
  GraphBuilder b(6);
  const ValueId x = ConvertTo(b, b.Input({13, 17}), from);
  const ValueId turned = b.graph().AddValue("turned", from.dtype, {17, 13});
  b.graph().value(turned).quant = from.quant;
  b.graph().AddNode("", ir::Transpose{{1, 0}}, {x}, {turned});
  b.Output(ConvertTo(b, ConvertTo(b, turned, to), Form{"", DataType::kF32, {}}));
  const auto inputs = RandomInputs(b.graph(), b.random(), -2.5f, 2.5f);
  const auto got = RunPlan(b.graph(), inputs);
  ASSERT_TRUE(got.ok()) << got.status();
  std::vector<float> source;
  for (size_t i = 0; i < 17; ++i) {
    for (size_t j = 0; j < 13; ++j) source.push_back(inputs[0].As<float>()[j * 17 + i]);
  }
  Check((*got)[0].As<float>(), source);
}

TEST_P(ConvertTest, LeavesTheSourceToItsOtherReaders) {
  const auto& [from, to] = GetParam();
  GraphBuilder b(7);
  const ValueId x = b.Unary(UnaryKind::kNeg, b.Input({6, 30}));
  const ValueId y = ConvertTo(b, ConvertTo(b, x, from), to);
  b.Output(b.Unary(UnaryKind::kNeg, b.Unary(UnaryKind::kAbs, x)));  // may run in place on x
  b.Output(ConvertTo(b, y, Form{"", DataType::kF32, {}}));
  const auto inputs = RandomInputs(b.graph(), b.random(), -2.5f, 2.5f);
  const auto got = RunPlan(b.graph(), inputs);
  ASSERT_TRUE(got.ok()) << got.status();
  std::vector<float> source;
  for (float v : inputs[0].As<float>()) source.push_back(-v);
  for (size_t i = 0; i < source.size(); ++i) EXPECT_EQ((*got)[0].As<float>()[i], -std::abs(source[i]));
  Check((*got)[1].As<float>(), source);
}

INSTANTIATE_TEST_SUITE_P(AllPairs, ConvertTest,
                         ::testing::Combine(::testing::ValuesIn(Forms()), ::testing::ValuesIn(Forms())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "To" + std::get<1>(test.param).name;
                         });

// --- A product by a constant per channel that writes levels: what stands before a smoothed matrix product ---

class ScaledLevelsTest : public ::testing::TestWithParam<Form> {};

TEST_P(ScaledLevelsTest, RoundsTheProductOnce) {
  const Form& form = GetParam();
  for (const Shape& shape : std::vector<Shape>{{3, 40}, {1, 7, 384}, {2, 3, 5, 19}, {1, 1}}) {
    GraphBuilder b(11);
    const ValueId x = b.Input(shape);
    Tensor factors = RandomTensor(b.random(), {shape.back()}, 0.2f, 1.7f);
    const Tensor copy = factors.Clone();
    const ValueId levels = b.graph().AddValue("levels", form.dtype, shape);
    b.graph().value(levels).quant = form.quant;
    b.graph().AddNode("", ir::Binary{ir::BinaryKind::kMul}, {x, b.Constant(std::move(factors))}, {levels});
    b.Output(ConvertTo(b, levels, Form{"", DataType::kF32, {}}));
    const auto inputs = RandomInputs(b.graph(), b.random(), -2.5f, 2.5f);
    const auto got = RunPlan(b.graph(), inputs);
    ASSERT_TRUE(got.ok()) << got.status();
    const auto in = inputs[0].As<float>(), out = (*got)[0].As<float>(), m = copy.As<float>();
    int off = 0;
    for (size_t i = 0; i < in.size(); ++i) {
      const float want = form.Round(in[i] * m[i % m.size()]);
      off += std::abs(out[i] - want) > form.quant->scale() / 2;
      ASSERT_NEAR(out[i], want, 1.01f * form.quant->scale()) << ShapeToString(shape) << " element " << i;
    }
    EXPECT_LE(off, static_cast<int>(in.size() / 50));
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, ScaledLevelsTest, ::testing::ValuesIn(LevelForms()),
                         [](const auto& test) { return test.param.name; });

// --- Ports of 16-bit floats: what a model exported in half precision has ---

Tensor Narrowed(const Tensor& t, DataType type) {
  Tensor out(type, t.shape());
  for (size_t i = 0; i < t.As<float>().size(); ++i) {
    const float x = t.As<float>()[i];
    static_cast<uint16_t*>(out.data())[i] = type == DataType::kF16 ? F32ToF16(x) : F32ToBF16(x);
  }
  return out;
}

class NarrowPortTest : public ::testing::TestWithParam<DataType> {
 protected:
  GraphBuilder b_{9};
  Tensor NarrowInput(const Shape& shape) { return Narrowed(RandomTensor(b_.random(), shape), GetParam()); }

  std::vector<Tensor> Run(const Tensor& input) {
    std::vector<Tensor> inputs;
    inputs.push_back(input.Clone());
    auto got = RunPlan(b_.graph(), inputs);
    EXPECT_TRUE(got.ok()) << got.status();
    return got.ok() ? *std::move(got) : std::vector<Tensor>();
  }
};

TEST_P(NarrowPortTest, ElementwiseKeepsTheType) {
  b_.Output(b_.Unary(UnaryKind::kNeg, b_.Input({3, 37}, GetParam())));
  const Tensor x = NarrowInput({3, 37});
  const auto y = Run(x);
  ASSERT_EQ(y.size(), 1u);
  ASSERT_EQ(y[0].dtype(), GetParam());
  for (size_t i = 0; i < 3 * 37; ++i) EXPECT_EQ(ToFloat(y[0].view())[i], -ToFloat(x.view())[i]);
}

TEST_P(NarrowPortTest, ViewsOfInputsAndOutputs) {
  const ValueId x = b_.Input({4, 6}, GetParam());
  b_.Output(b_.Transpose(x, {1, 0}));
  b_.Output(b_.Reshape(b_.Unary(UnaryKind::kNeg, b_.Reshape(x, {24})), {2, 12}));
  b_.Output(b_.Unary(UnaryKind::kNeg, b_.Transpose(x, {1, 0})));
  b_.Output(x);
  const Tensor in = NarrowInput({4, 6});
  const auto source = ToFloat(in.view());
  const auto y = Run(in);
  ASSERT_EQ(y.size(), 4u);
  for (const Tensor& t : y) ASSERT_EQ(t.dtype(), GetParam());
  EXPECT_EQ(ToFloat(y[3].view()), source);
  for (size_t i = 0; i < 24; ++i) {
    const float turned = source[i % 4 * 6 + i / 4];
    EXPECT_EQ(ToFloat(y[0].view())[i], turned);
    EXPECT_EQ(ToFloat(y[1].view())[i], -source[i]);
    EXPECT_EQ(ToFloat(y[2].view())[i], -turned);
  }
}

TEST_P(NarrowPortTest, ConvolutionWithNarrowWeightsAndBias) {
  const ValueId x = b_.Input({1, 16, 6, 6}, GetParam());
  const Tensor weights = RandomTensor(b_.random(), {16, 16, 1, 1}, -0.25f, 0.25f),
               bias = RandomTensor(b_.random(), {16});
  const Tensor w = Narrowed(weights, GetParam()), c = Narrowed(bias, GetParam());
  b_.Output(b_.Node(ir::Conv{SquareWindow({1, 1}), 1}, {x, b_.Constant(w.Clone()), b_.Constant(c.Clone())}));
  const Tensor in = NarrowInput({1, 16, 6, 6});
  const auto y = Run(in);
  ASSERT_EQ(y.size(), 1u);
  ASSERT_EQ(y[0].dtype(), GetParam());
  const auto fx = ToFloat(in.view()), fw = ToFloat(w.view()), fc = ToFloat(c.view()), fy = ToFloat(y[0].view());
  const float step = GetParam() == DataType::kF16 ? 0x1p-10f : 0x1p-7f;
  for (size_t o = 0; o < 16; ++o) {
    for (size_t p = 0; p < 36; ++p) {
      double sum = fc[o];
      for (size_t i = 0; i < 16; ++i) sum += static_cast<double>(fw[o * 16 + i]) * fx[i * 36 + p];
      ASSERT_NEAR(fy[o * 36 + p], sum, step * std::abs(sum) + 1e-5);
    }
  }
}

TEST_P(NarrowPortTest, NarrowConstantInAnotherLayout) {
  const ValueId x = b_.Input({1, 8, 4, 4}, GetParam());
  const Tensor c = Narrowed(RandomTensor(b_.random(), {1, 8, 4, 4}), GetParam());
  const ValueId turned = b_.Transpose(b_.Unary(UnaryKind::kNeg, b_.Transpose(x, {0, 2, 3, 1})), {0, 3, 1, 2});
  b_.Output(b_.Binary(ir::BinaryKind::kMax, turned, b_.Constant(c.Clone())));
  const Tensor in = NarrowInput({1, 8, 4, 4});
  const auto y = Run(in);
  ASSERT_EQ(y.size(), 1u);
  for (size_t i = 0; i < 128; ++i)
    EXPECT_EQ(ToFloat(y[0].view())[i], std::max(-ToFloat(in.view())[i], ToFloat(c.view())[i]));
}

TEST_P(NarrowPortTest, ProductAndNormalisation) {
  const ValueId x = b_.Input({4, 16}, GetParam());
  const Tensor w = Narrowed(RandomTensor(b_.random(), {16, 8}, -0.25f, 0.25f), GetParam());
  const Tensor ones = Narrowed(Tensor::From<float>({8}, std::vector<float>(8, 1.0f)), GetParam());
  const ValueId y = b_.Node(ir::MatMul{}, {x, b_.Constant(w.Clone()), b_.Constant(ones.Clone())});
  b_.Output(y);
  b_.Output(b_.Node(ir::Softmax{-1}, {b_.Node(ir::LayerNorm{}, {y, b_.Constant(ones.Clone())})}));
  const auto out = Run(NarrowInput({4, 16}));
  ASSERT_EQ(out.size(), 2u);
  for (size_t row = 0; row < 4; ++row) {
    float sum = 0;
    for (size_t i = 0; i < 8; ++i) sum += ToFloat(out[1].view())[row * 8 + i];
    EXPECT_NEAR(sum, 1.0f, 0.02f);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, NarrowPortTest, ::testing::Values(DataType::kF16, DataType::kBF16),
                         [](const auto& test) { return std::string(Name(test.param)); });

}  // namespace
}  // namespace precis::testing
