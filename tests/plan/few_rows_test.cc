// Integer products of few rows: the kernels against the same sums in double, and which layers of a plan get them.
#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/plan/cpu_features.h"
#include "engine/plan/lookup_product.h"
#include "engine/plan/plan.h"
#include "engine/plan/streamed_product.h"
#include "engine/plan/threads.h"
#include "gtest/gtest.h"
#include "tests/plan/precision.h"
#include "tests/support/graph_builder.h"

namespace precis::testing {
namespace {

using plan::LevelMatrix;
using plan::LookupProduct;
using plan::QuantizedOperand;
using plan::StreamedProduct;

struct ProductCase {
  std::string name;
  int64_t rows = 1, k = 256, n = 32;
  int levels = 16;
  int64_t group = 0;
  DataType source = DataType::kU8;
  int32_t zero_point = 0;
  QuantizedOperand y = {DataType::kF32, {}};
  bool relu = false, bias = true, transposed = false;
};

void PrintTo(const ProductCase& c, std::ostream* os) { *os << c.name; }

std::vector<ProductCase> Cases() {
  const QuantizedOperand u8 = {DataType::kU8, {{40.0f}, {120}, -1}}, s8 = {DataType::kS8, {{40.0f}, {-3}, -1}};
  std::vector<ProductCase> cases;
  for (int levels : {1, 2, 3, 4, 5, 16}) {
    for (int64_t rows : {1, 2, 3, 4, 5, 7, 8})
      cases.push_back({absl::StrCat("Levels", levels, "Rows", rows), rows, 256, 32, levels});
    for (int64_t group : {0, 32, 64, 96, 128, 192}) {
      cases.push_back({absl::StrCat("Levels", levels, "Group", group), 3, 600, 21, levels, group});
      cases.push_back(
          {absl::StrCat("Levels", levels, "Group", group, "ZeroPoint"), 1, 600, 5, levels, group, DataType::kU8, 117});
    }
    cases.push_back({absl::StrCat("Levels", levels, "Signed"), 2, 300, 17, levels, 0, DataType::kS8, -9});
    cases.push_back({absl::StrCat("Levels", levels, "SignedWholeBlocks"), 2, 512, 17, levels, 0, DataType::kS8});
    cases.push_back({absl::StrCat("Levels", levels, "ToU8"), 2, 300, 17, levels, 0, DataType::kU8, 9, u8});
    cases.push_back({absl::StrCat("Levels", levels, "ReluToU8"), 2, 300, 17, levels, 0, DataType::kU8, 9, u8, true});
    cases.push_back({absl::StrCat("Levels", levels, "ToS8"), 2, 300, 33, levels, 32, DataType::kU8, 0, s8});
    cases.push_back({absl::StrCat("Levels", levels, "Transposed"),
                     2,
                     300,
                     33,
                     levels,
                     64,
                     DataType::kU8,
                     0,
                     {DataType::kF32, {}},
                     true,
                     false,
                     true});
  }
  cases.push_back({"OneOfEach", 1, 1, 1, 1});
  cases.push_back({"LargestSums", 1, 60000, 2, 1, 0, DataType::kU8, 255});
  return cases;
}

// With levels of a column at most `apart` from each other.
template <typename Product>
void CheckSums(const ProductCase& c, uint32_t apart) {
  std::mt19937 random(static_cast<uint32_t>(std::hash<std::string>{}(c.name)));
  std::vector<uint8_t> source(static_cast<size_t>(c.rows * c.k));
  for (uint8_t& x : source) x = static_cast<uint8_t>(random());
  // Every column has levels of its own.
  std::vector<int8_t> weights(static_cast<size_t>(c.k * c.n));
  LevelMatrix matrix{weights.data(), c.k, c.n, c.n, 1};
  if (c.transposed) matrix = {weights.data(), c.k, c.n, 1, c.k};
  for (int64_t column = 0; column < c.n; ++column) {
    std::vector<int8_t> levels(static_cast<size_t>(c.levels));
    int next = static_cast<int>(random() % 120) - 127;
    for (int8_t& level : levels) level = static_cast<int8_t>(next += 1 + static_cast<int>(random() % apart));
    for (int64_t k = 0; k < c.k; ++k)
      weights[static_cast<size_t>(k * matrix.k_stride + column * matrix.n_stride)] = levels[random() % levels.size()];
  }
  const int64_t groups = c.group == 0 ? 1 : (c.k + c.group - 1) / c.group;
  std::vector<float> group_scales(static_cast<size_t>(groups * c.n)), scales(static_cast<size_t>(c.n)), bias(scales);
  for (float& s : group_scales) s = 0.001f * static_cast<float>(1 + random() % 20);
  for (float& s : scales) s = 0.01f * static_cast<float>(1 + random() % 20);
  for (float& s : bias) s = static_cast<float>(random() % 100) - 50;

  const auto product = Product::Of(c.rows, matrix, c.group);
  ASSERT_TRUE(product.has_value());
  EXPECT_EQ(product->bits(), c.levels > 16 ? 8 : c.levels > 4 ? 4 : c.levels > 2 ? 2 : 1);
  std::vector<uint8_t> packed(static_cast<size_t>(product->packed_bytes()));
  product->Pack(matrix, group_scales, packed.data());
  std::vector<uint8_t> scratch(static_cast<size_t>(product->scratch_bytes(c.source)));
  Tensor out(c.y.dtype, {c.rows, c.n});
  const TensorView in[] = {{c.source, {c.rows, c.k}, source.data()},
                           {DataType::kU8, {product->packed_bytes()}, packed.data()},
                           {DataType::kF32, {c.n}, scales.data()},
                           {DataType::kF32, {c.n}, c.bias ? bias.data() : nullptr}};
  const kernels::MutableTensorView to[] = {{c.y.dtype, {c.rows, c.n}, out.data()},
                                           {DataType::kU8, {product->scratch_bytes(c.source)}, scratch.data()}};
  plan::ThreadCountScope threads(2);
  product->Product(c.source, c.zero_point, c.y, c.relu)(in, to);

  // With groups the zero point is not the kernel's affair.
  const int32_t zero = c.group == 0 ? c.zero_point : 0;
  const std::vector<float> got = ToFloat(out.view());
  for (int64_t row = 0; row < c.rows; ++row) {
    for (int64_t column = 0; column < c.n; ++column) {
      double want = 0, size = 0;
      for (int64_t k = 0; k < c.k; ++k) {
        const uint8_t x = source[static_cast<size_t>(row * c.k + k)];
        const int level = (c.source == DataType::kS8 ? static_cast<int8_t>(x) : x) - zero;
        const float scale = c.group == 0 ? 1.0f : group_scales[static_cast<size_t>(k / c.group * c.n + column)];
        const int8_t w = weights[static_cast<size_t>(k * matrix.k_stride + column * matrix.n_stride)];
        want += static_cast<double>(level * w) * static_cast<double>(scale);
        size += std::abs(static_cast<double>(level * w) * static_cast<double>(scale));
      }
      const auto scale = static_cast<double>(scales[static_cast<size_t>(column)]);
      want = want * scale + (c.bias ? static_cast<double>(bias[static_cast<size_t>(column)]) : 0);
      if (c.relu) want = std::max(want, 0.0);
      double bound = (c.group == 0 ? 4 : 64) * 0x1p-24 * (c.group == 0 ? std::abs(want) + 50 : size * scale + 50);
      if (IsInt8(c.y.dtype)) {
        want = want / static_cast<double>(c.y.params.scale()) + c.y.params.zero_point();
        want = c.y.dtype == DataType::kU8 ? std::clamp(want, 0.0, 255.0) : std::clamp(want, -128.0, 127.0);
        bound = 0.501;
      }
      ASSERT_NEAR(static_cast<double>(got[static_cast<size_t>(row * c.n + column)]), want, bound)
          << "row " << row << " column " << column;
    }
  }
}

class ProductTest : public ::testing::TestWithParam<ProductCase> {
 protected:
  void SetUp() override {
    if (!plan::CpuHasAvx512Vnni()) GTEST_SKIP() << "needs AVX512-VNNI";
  }
};
class LookupProductTest : public ProductTest {};
class StreamedProductTest : public ProductTest {};

TEST_P(LookupProductTest, SumsAreThoseOfTheLevels) { CheckSums<LookupProduct>(GetParam(), 7); }

INSTANTIATE_TEST_SUITE_P(Cases, LookupProductTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

// The same, and more levels than 4 bits have.
std::vector<ProductCase> StreamedCases() {
  std::vector<ProductCase> cases = Cases();
  for (ProductCase c : Cases()) {
    if (c.levels != 16) continue;
    c.levels = 100;  // neighbours, from -127 on
    c.name += "Of100";
    cases.push_back(std::move(c));
  }
  return cases;
}

TEST_P(StreamedProductTest, SumsAreThoseOfTheLevels) { CheckSums<StreamedProduct>(GetParam(), 1); }

INSTANTIATE_TEST_SUITE_P(Cases, StreamedProductTest, ::testing::ValuesIn(StreamedCases()),
                         [](const auto& test) { return test.param.name; });

TEST(StreamedProduct, TakesTheFewestBitsThatHoldEveryColumn) {
  if (!plan::CpuHasAvx512Vnni()) GTEST_SKIP() << "needs AVX512-VNNI";
  std::vector<int8_t> weights(int64_t{512} * 8);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<int8_t>(static_cast<int>(i % 16) - 8);
  const LevelMatrix matrix{weights.data(), 512, 8, 8, 1};
  EXPECT_EQ(StreamedProduct::Of(8, matrix, 0)->bits(), 4);
  EXPECT_FALSE(StreamedProduct::Of(9, matrix, 0)) << "primitives are as fast";
  EXPECT_FALSE(StreamedProduct::Of(1, matrix, 48)) << "a group that ends within a packed vector";
  weights[400 * 8 + 7] = 15;  // sixteen above the column's least, -1
  EXPECT_EQ(StreamedProduct::Of(1, matrix, 32)->bits(), 8);
}

TEST(LookupProduct, IsForFewLevelsAndRows) {
  if (!plan::CpuHasAvx512Vnni()) GTEST_SKIP() << "needs AVX512-VNNI";
  std::vector<int8_t> weights(int64_t{512} * 8);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<int8_t>(i % 16);
  const LevelMatrix matrix{weights.data(), 512, 8, 8, 1};
  EXPECT_TRUE(LookupProduct::Of(8, matrix, 0));
  EXPECT_FALSE(LookupProduct::Of(9, matrix, 0)) << "a primitive is as fast";
  EXPECT_FALSE(LookupProduct::Of(1, matrix, 33)) << "a group that ends within half a vector";
  // One level too many, in the last column only.
  for (size_t k = 0; k < 17; ++k) weights[(400 + k) * 8 + 7] = static_cast<int8_t>(k);
  EXPECT_FALSE(LookupProduct::Of(1, matrix, 0));
}

// One layer of 4096 x 4096, the least that is worth it.
struct Layer {
  static constexpr int64_t kSize = 4096;

  ir::Graph graph;
  // `apart`: from a level to the next.
  Layer(int64_t rows, int levels, int64_t chunk, DataType output, bool gelu = false, int apart = 1) {
    std::mt19937 random(7);
    GraphBuilder b(1);
    const ir::ValueId x = b.Input({rows, kSize}, DataType::kF32);
    Tensor w(DataType::kS8, {kSize, kSize});
    for (int8_t& level : w.As<int8_t>())
      level = static_cast<int8_t>((static_cast<int>(random() % static_cast<uint32_t>(levels)) - 7) * apart);
    Tensor bias(DataType::kF32, {kSize});
    for (float& f : bias.As<float>()) f = static_cast<float>(random() % 100) * 0.01f;
    const ir::ValueId weights = b.Constant(std::move(w));
    b.graph().value(weights).dtype =
        DataType::kF32;  // the builder infers types of f32 operands; levels are set afterwards
    const ir::ValueId y = b.Node(ir::MatMul{}, {x, weights, b.Constant(std::move(bias))});
    b.Fuse(y, ir::Unary{gelu ? ir::UnaryKind::kGeluErf : ir::UnaryKind::kRelu});
    b.graph().value(x).dtype = DataType::kU8;
    b.graph().value(x).quant = ir::QuantParams{{0.01f}, {13}, -1};
    ir::QuantParams quant{{}, {}, 1, chunk};
    for (int64_t i = 0; i < kSize * (chunk == 0 ? 1 : kSize / chunk); ++i)
      quant.scales.push_back(0.0001f * static_cast<float>(1 + random() % 30));
    b.graph().value(weights).dtype = DataType::kS8;
    b.graph().value(weights).quant = quant;
    b.graph().value(y).dtype = output;
    if (IsInt8(output)) b.graph().value(y).quant = ir::QuantParams{{0.1f}, {4}, -1};
    b.Output(y);
    graph = std::move(b.graph());
  }

  std::string implementation() const {
    plan::WeightStore store;
    const auto plan = plan::BuildPlan(graph, {}, store);
    return plan.ok() ? (*plan)->layers[0].implementation : plan.status().ToString();
  }

  // Rows are alike however many there are.
  Tensor Run(int64_t rows) const {
    std::mt19937 random(3);
    std::vector<Tensor> inputs;
    inputs.emplace_back(DataType::kU8, Shape{rows, kSize});
    for (uint8_t& level : inputs[0].As<uint8_t>()) level = static_cast<uint8_t>(random());
    auto outputs = RunPlan(graph, inputs);
    EXPECT_TRUE(outputs.ok()) << outputs.status();
    return std::move(outputs->front());
  }
};

TEST(FewRows, HaveTheKernelThatReadsTheFewestBits) {
  const auto runs_on = [](const Layer& layer, const char* kernel) {
    return absl::StartsWith(layer.implementation(), absl::StrCat(kernel, ":"));
  };
  const bool has_kernel = plan::CpuHasAvx512Vnni();
  EXPECT_EQ(runs_on(Layer(1, 16, 0, DataType::kU8), "lookup4"), has_kernel);
  EXPECT_EQ(runs_on(Layer(8, 3, 64, DataType::kF32), "streamed2"), has_kernel);
  EXPECT_EQ(runs_on(Layer(1, 2, 0, DataType::kU8), "lookup1"), has_kernel);
  EXPECT_EQ(runs_on(Layer(1, 17, 0, DataType::kU8), "streamed8"), has_kernel);
  // Levels that are few but no neighbours, as powers of two are.
  EXPECT_EQ(runs_on(Layer(1, 15, 0, DataType::kU8, false, 9), "lookup4"), has_kernel);
  EXPECT_EQ(runs_on(Layer(1, 15, 64, DataType::kU8, false, 9), "lookup4"), has_kernel);
  for (int levels : {16, 17}) {
    const std::string many_rows = Layer(9, levels, 0, DataType::kU8).implementation();
    EXPECT_TRUE(absl::StrContains(many_rows, ":") && !absl::StrContains(many_rows, "lookup") &&
                !absl::StrContains(many_rows, "streamed"))
        << many_rows;
  }
}

// What a request gets does not depend on the requests that it met: with them it may be many rows, on a primitive.
TEST(FewRows, GiveTheBitsOfThePrimitive) {
  for (DataType output : {DataType::kF32, DataType::kU8, DataType::kS8}) {
    for (const auto& [levels, gelu] : {std::pair(16, false), {16, true}, {120, false}, {120, true}}) {
      SCOPED_TRACE(absl::StrCat(Name(output), " ", levels, gelu ? " gelu" : ""));
      const Tensor few = Layer(2, levels, 0, output, gelu).Run(2), many = Layer(12, levels, 0, output, gelu).Run(12);
      EXPECT_TRUE(std::equal(static_cast<const uint8_t*>(few.data()),
                             static_cast<const uint8_t*>(few.data()) + few.size_bytes(),
                             static_cast<const uint8_t*>(many.data())));
    }
  }
}

}  // namespace
}  // namespace precis::testing
