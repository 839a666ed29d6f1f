// Every operator, in every shape and precision that the plan lowers, against the reference engine.
#include <algorithm>
#include <cmath>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/plan/plan.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/plan/operator_case.h"
#include "tests/reference/reference.h"

namespace precis::testing {
namespace {

// f32 arithmetic against double: sums of up to a few hundred products of numbers below 1, and oneDNN's polynomial approximations.
constexpr double kAbsolute = 2e-5, kRelative = 1e-4;

struct Named {
  OperatorCase op;
  Precision precision;
};

void PrintTo(const Named& n, std::ostream* os) { *os << n.op.name << " at " << NameOf(n.precision); }

std::vector<Named> AllCases() {
  std::vector<Named> all;
  for (const auto& table : {ConvCases(), ConvPostOpCases(), MatMulCases(), PoolCases(), NormalizationCases(),
                            RecurrentCases(), ElementwiseCases(), MovementCases()}) {
    for (const OperatorCase& c : table) {
      all.push_back({c, Precision::kF32});
      if (c.narrow) all.insert(all.end(), {{c, Precision::kBF16}, {c, Precision::kF16}});
      if (c.int8) all.insert(all.end(), {{c, Precision::kU8}, {c, Precision::kS8}});
    }
  }
  return all;
}

// Elements further from `want` than rounding explains; the message shows the worst.
void ExpectClose(const Tensor& got, const Tensor& want, double step, double relative_step, int roundings) {
  ASSERT_EQ(got.dtype(), want.dtype());
  ASSERT_EQ(got.shape(), want.shape());
  if (want.dtype() != DataType::kF32) {
    EXPECT_EQ(ToInt64(got.view()), ToInt64(want.view()));
    return;
  }
  const auto g = got.As<float>(), w = want.As<float>();
  double largest = 0, worst = 0, shift = 0;
  for (float x : w) largest = std::isfinite(x) ? std::max(largest, std::abs(static_cast<double>(x))) : largest;
  int64_t wrong = 0;
  size_t at = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    if (std::isnan(w[i]) || std::isinf(w[i])) {
      if (std::isnan(w[i]) ? !std::isnan(g[i]) : g[i] != w[i]) ++wrong, at = i;
      continue;
    }
    // Both sides lie on one grid: they differ by whole steps where the exact number lies next to the middle of two.
    const double exact = kAbsolute * std::max(1.0, largest) + kRelative * std::abs(w[i]);
    const double rounding = 1.01 * step + relative_step * (std::abs(w[i]) + (roundings > 1 ? largest : 0.0));
    const double difference = std::abs(static_cast<double>(g[i]) - w[i]);
    shift += static_cast<double>(g[i]) - w[i];
    if (!(difference <= exact + roundings * rounding)) {
      ++wrong;
      if (!(difference <= worst)) worst = difference, at = i;
    }
  }
  EXPECT_EQ(wrong, 0) << "of " << w.size() << " elements, worst at " << at << ": got " << g[at] << ", want " << w[at]
                      << ", step " << step;
  // A rounding rule that is not to nearest shifts results by half a step on average.
  if (step > 0 && w.size() >= 64) {
    EXPECT_LT(std::abs(shift) / static_cast<double>(w.size()), 0.3 * step);
  }
}

class OperatorSweepTest : public ::testing::TestWithParam<Named> {};

TEST_P(OperatorSweepTest, MatchesReference) {
  const auto& [op, precision] = GetParam();
  const auto seed = static_cast<uint32_t>(std::hash<std::string>{}(op.name));
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  GraphBuilder builder(seed);
  op.build(builder);
  ASSERT_TRUE(builder.graph().Verify().ok());
  const std::vector<Tensor> inputs = RandomInputs(builder.graph(), builder.random(), op.low, op.high);
  const auto lowered = ToPrecision(builder.graph(), precision, inputs);
  ASSERT_TRUE(lowered.ok()) << lowered.status();
  const auto want = reference::Run(lowered->expected, inputs);
  ASSERT_TRUE(want.ok()) << want.status();
  const auto got = RunPlan(lowered->graph, inputs);
  ASSERT_TRUE(got.ok()) << got.status() << "\n" << lowered->graph.ToString();
  ASSERT_EQ(got->size(), want->size());
  for (size_t i = 0; i < want->size(); ++i) {
    SCOPED_TRACE(absl::StrCat("output ", i));
    ExpectClose((*got)[i], (*want)[i], lowered->steps[i], lowered->relative_step, op.roundings);
  }
}

// Convolutions, products, pooling, softmax and normalisation have fast kernels at every precision on every instruction set.
TEST_P(OperatorSweepTest, UsesNoReferenceImplementation) {
  const auto& [op, precision] = GetParam();
  if (op.may_be_slow) GTEST_SKIP() << "known to have no fast kernel";
  GraphBuilder builder(1);
  op.build(builder);
  const std::vector<Tensor> inputs = RandomInputs(builder.graph(), builder.random(), op.low, op.high);
  const auto lowered = ToPrecision(builder.graph(), precision, inputs);
  ASSERT_TRUE(lowered.ok()) << lowered.status();
  plan::WeightStore store;
  const auto plan = plan::BuildPlan(lowered->graph, {}, store);
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (const plan::LayerInfo& layer : (*plan)->layers) {
    const bool heavy = absl::StartsWith(layer.op, "Conv") || absl::StartsWith(layer.op, "MatMul");
    EXPECT_FALSE(layer.slow_reference || (heavy && layer.op != "Convert" && layer.implementation == "plain"))
        << layer.name << " " << layer.op << " " << layer.precision << ": " << layer.implementation;
  }
}

INSTANTIATE_TEST_SUITE_P(Sweep, OperatorSweepTest, ::testing::ValuesIn(AllCases()),
                         [](const auto& test) { return test.param.op.name + "_" + NameOf(test.param.precision); });

}  // namespace
}  // namespace precis::testing
