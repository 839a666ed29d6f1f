// The search over a network whose noises and times are known exactly: a compiler that computes them instead of running anything.
#include "engine/search/search.h"

#include <cmath>
#include <limits>
#include <map>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/graph_builder.h"

namespace precis::search {
namespace {

using quant::Precision;
using testing::GraphBuilder;
using ::testing::HasSubstr;
using testing::SquareWindow;

constexpr int64_t kOutputs = 64;

// Layer l at int8 moves output 4 l by amplitude[l] (up in even samples, down in odd ones), at bf16 by a hundredth of that; a network that mixes
// precisions, two of them int8, is `excess` times noisier than the sum of its layers. Every output is 1 in f32, output 0 is `lead` above.
struct Behaviour {
  std::vector<double> amplitude;
  std::vector<double> int8_us;  // bf16 takes twice, f32 four times as long
  double excess = 1;
  double lead = 1;
  double loudness = 1;  // every fourth sample is so much noisier
};

class FakeNetwork : public CompiledNetwork {
 public:
  FakeNetwork(const Behaviour& behaviour, const std::vector<std::string>& names, const quant::Policy& policy)
      : behaviour_(behaviour) {
    for (const std::string& name : names) {
      precisions_.push_back(quant::PolicyOfLayer(policy, name).precision);
      const Precision p = precisions_.back();
      layers_.push_back({name, p == Precision::kInt8 ? 100 : p == Precision::kBF16 ? 200 : 400});
      mixes_ = mixes_ || p != precisions_[0];
      int8_ += p == Precision::kInt8;
    }
  }
  const std::vector<CompiledLayer>& layers() const override { return layers_; }
  absl::Status Run(const std::vector<Tensor>& sample, std::vector<Tensor>* outputs) override {
    outputs->clear();
    outputs->emplace_back(DataType::kF32, Shape{1, kOutputs});
    auto y = outputs->back().As<float>();
    std::fill(y.begin(), y.end(), 1.0f);
    y[0] += static_cast<float>(behaviour_.lead);
    const auto kind = static_cast<int>(sample[0].As<float>()[0]);
    const bool odd = kind % 2 == 1;
    const double loudness = kind == 0 ? behaviour_.loudness : 1;
    for (size_t l = 0; l < layers_.size(); ++l) {
      const double share = precisions_[l] == Precision::kInt8 ? 1 : precisions_[l] == Precision::kBF16 ? 0.01 : 0;
      const double noise =
          loudness * behaviour_.amplitude[l] * share * (mixes_ && int8_ > 1 ? std::sqrt(behaviour_.excess) : 1);
      y[4 * l] += static_cast<float>(odd ? -noise : noise);
    }
    return absl::OkStatus();
  }
  absl::Status RunTimed(const std::vector<Tensor>& sample, std::vector<Tensor>* outputs,
                        std::vector<double>* layer_us) override {
    layer_us->clear();
    for (size_t l = 0; l < layers_.size(); ++l) {
      const double factor = precisions_[l] == Precision::kInt8 ? 1 : precisions_[l] == Precision::kBF16 ? 2 : 4;
      layer_us->push_back(behaviour_.int8_us[l] * factor);
    }
    return Run(sample, outputs);
  }

 private:
  const Behaviour& behaviour_;
  std::vector<CompiledLayer> layers_;
  std::vector<Precision> precisions_;
  bool mixes_ = false;
  int int8_ = 0;
};

class SearchTest : public ::testing::Test, public Compiler, public quant::SampleSource {
 protected:
  SearchTest() {
    policy.precision = Precision::kMixed;
    ir::ValueId v = b.Input({1, 4, 4, 4});
    for (int l = 0; l < 6; ++l) {
      v = b.Conv(v, 4, SquareWindow({1, 1}));
      names.push_back(b.graph().node(b.graph().producer(v)).name);
    }
    b.Output(b.Reshape(v, {1, kOutputs}));
    behaviour.amplitude = {0.1, 1, 0.2, 3, 0.1, 0.5};
    behaviour.int8_us = {1000, 1000, 1000, 1000, 1000, 1000};
  }

  absl::StatusOr<std::unique_ptr<CompiledNetwork>> Compile(const quant::Policy& p) override {
    ++compiled;
    return std::make_unique<FakeNetwork>(behaviour, names, p);
  }
  int64_t size() const override { return 20; }
  absl::StatusOr<std::vector<Tensor>> Sample(int64_t index) const override {
    std::vector<Tensor> sample;
    sample.emplace_back(DataType::kF32, Shape{1, 4, 4, 4});
    for (float& x : sample[0].As<float>()) x = static_cast<float>(index % 4);
    return sample;
  }

  Found Run() {
    auto found = Search(b.graph(), policy, *this, *this, [&](const std::string& phase, double fraction) {
      EXPECT_EQ(phase, "search");
      EXPECT_GE(fraction, last_fraction);
      EXPECT_LE(fraction, 1);
      last_fraction = fraction;
    });
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *std::move(found) : Found{};
  }
  const Point& Chosen(const Report& report) {
    for (const Point& point : report.points) {
      if (point.chosen) return point;
    }
    ADD_FAILURE() << "nothing chosen";
    return report.points.at(0);
  }
  std::vector<Precision> PrecisionsOf(const quant::Policy& p) {
    std::vector<Precision> precisions;
    for (const std::string& name : names) precisions.push_back(quant::PolicyOfLayer(p, name).precision);
    return precisions;
  }
  double SignalPower() const { return kOutputs + 2 * behaviour.lead + behaviour.lead * behaviour.lead; }
  double Db(double noise) const { return 10 * std::log10(SignalPower() / noise); }

  GraphBuilder b;
  std::vector<std::string> names;
  Behaviour behaviour;
  quant::Policy policy;
  int compiled = 0;
  double last_fraction = 0;
};

TEST_F(SearchTest, MovesTheNoisiestLayersAndNoMoreThanTheBudgetAsksFor) {
  policy.mixed.min_sqnr_db = Db(1.0 * 1.0 + 0.5);  // all but the noisiest layer fit, barely
  const Found found = Run();
  EXPECT_TRUE(found.report.budget_met) << found.report.reason;
  std::vector<Precision> want(6, Precision::kInt8);
  want[3] = Precision::kBF16;
  EXPECT_EQ(PrecisionsOf(found.policy), want);
  EXPECT_EQ(found.policy.precision, Precision::kMixed);
  EXPECT_EQ(last_fraction, 1);
}

TEST_F(SearchTest, ReportsEachLayersOwnNoiseTimeAndBytes) {
  policy.mixed.min_sqnr_db = 20;
  const Report report = Run().report;
  ASSERT_EQ(report.layers.size(), 6u);
  for (size_t l = 0; l < 6; ++l) {
    EXPECT_EQ(report.layers[l].name, names[l]);
    EXPECT_NEAR(report.layers[l].sqnr_db, Db(behaviour.amplitude[l] * behaviour.amplitude[l]), 0.1);
    ASSERT_EQ(report.layers[l].options.size(), 3u);
    EXPECT_EQ(report.layers[l].options[0].precision, Precision::kInt8);
    EXPECT_DOUBLE_EQ(report.layers[l].options[1].time_us, 2000);
    EXPECT_EQ(report.layers[l].options[2].weight_bytes, 400);
  }
}

TEST_F(SearchTest, CorrectsNoiseThatAddsUpToMoreThanItsSum) {
  behaviour.excess = 2;
  policy.mixed.min_sqnr_db = Db(1.0 + 0.5);
  const Found found = Run();
  EXPECT_TRUE(found.report.budget_met) << found.report.reason;
  EXPECT_GE(Chosen(found.report).sqnr_db, *policy.mixed.min_sqnr_db);
  EXPECT_EQ(PrecisionsOf(found.policy)[1], Precision::kBF16);  // which the sum alone would have left at int8
}

TEST_F(SearchTest, TheCurveIsOrderedAndItsFrontFallsInCost) {
  policy.mixed.min_sqnr_db = 20;
  const Report report = Run().report;
  EXPECT_GE(report.points.size(), 5u);
  double sqnr = std::numeric_limits<double>::infinity(), cost = sqnr;
  for (const Point& point : report.points) {
    EXPECT_LE(point.sqnr_db, sqnr);
    sqnr = point.sqnr_db;
    EXPECT_EQ(point.is_pareto, point.expected_us < cost);
    EXPECT_NEAR(point.time_us, point.expected_us, 1e-6);
    cost = std::min(cost, point.expected_us);
  }
}

TEST_F(SearchTest, ABudgetThatNothingKeepsGivesTheBestPointAndTheReason) {
  policy.mixed.candidates = {Precision::kInt8, Precision::kBF16};
  policy.mixed.min_sqnr_db = 90;
  const Found found = Run();
  EXPECT_FALSE(found.report.budget_met);
  EXPECT_THAT(found.report.reason, HasSubstr("of the 90.0 dB asked for"));
  EXPECT_THAT(found.report.reason, HasSubstr("FP32 is not among the candidates"));
  EXPECT_EQ(PrecisionsOf(found.policy), std::vector<Precision>(6, Precision::kBF16));
}

TEST_F(SearchTest, AnExactNetworkKeepsAnyBudget) {
  policy.mixed.min_sqnr_db = 200;
  const Found found = Run();
  EXPECT_TRUE(found.report.budget_met);
  EXPECT_EQ(PrecisionsOf(found.policy), std::vector<Precision>(6, Precision::kF32));
}

TEST_F(SearchTest, KeepsPredictionsWhereTheBudgetSaysSo) {
  // int8 of layer 3 alone lifts output 12 above output 0 in half of the samples.
  policy.mixed.max_top1_disagreement = 0;
  const Found found = Run();
  EXPECT_TRUE(found.report.budget_met) << found.report.reason;
  EXPECT_EQ(Chosen(found.report).top1_disagreement, 0);
  EXPECT_NE(PrecisionsOf(found.policy)[3], Precision::kInt8);
  EXPECT_GT(*found.report.layers[3].top1_disagreement, 0.3);
  EXPECT_LT(Chosen(found.report).time_us, 4 * 6000);
}

TEST_F(SearchTest, MemoryIsCountedInBytes) {
  policy.mixed.objective = quant::Objective::kMemory;
  policy.mixed.min_sqnr_db = Db(1.5);
  behaviour.int8_us[3] = 1e5;
  const Found found = Run();
  EXPECT_TRUE(found.report.budget_met);
  EXPECT_EQ(Chosen(found.report).weight_bytes, 700);
}

TEST_F(SearchTest, WithoutABudgetTheDefaultStands) {
  const Found found = Run();
  EXPECT_EQ(found.report.budget.min_sqnr_db, kDefaultMinSqnrDb);
  EXPECT_GE(Chosen(found.report).sqnr_db, kDefaultMinSqnrDb);
}

TEST_F(SearchTest, OverridesArePinnedAndTheirOtherFieldsStay) {
  quant::LayerOverride noisy, weights;
  noisy.pattern = names[3];
  noisy.precision = Precision::kInt8;
  weights.pattern = names[0];
  weights.weights.emplace();
  weights.weights->granularity = quant::Granularity::kPerTensor;
  policy.overrides = {noisy, weights};
  policy.mixed.min_sqnr_db = 60;
  const Found found = Run();
  EXPECT_FALSE(found.report.budget_met);
  EXPECT_THAT(found.report.reason, HasSubstr("overrides fix"));
  EXPECT_EQ(PrecisionsOf(found.policy)[3], Precision::kInt8);
  EXPECT_NE(PrecisionsOf(found.policy)[1], Precision::kInt8);
  EXPECT_EQ(quant::PolicyOfLayer(found.policy, names[0]).weights.granularity, quant::Granularity::kPerTensor);
}

TEST_F(SearchTest, TheBudgetIsHeldAgainstTheLowerEndOfTheInterval) {
  behaviour.loudness = 4;
  policy.mixed.min_sqnr_db = 20;
  const Found found = Run();
  EXPECT_TRUE(found.report.budget_met);
  int measured = 0;
  for (const Point& point : found.report.points) {
    if (!std::isfinite(point.sqnr_db)) continue;
    ++measured;
    EXPECT_LT(point.sqnr_low_db, point.sqnr_db - 0.5);
    EXPECT_EQ(point.meets_budget, point.sqnr_low_db >= 20);
  }
  EXPECT_GE(measured, 3);
  EXPECT_GE(Chosen(found.report).sqnr_low_db, 20);
}

TEST_F(SearchTest, AFoundPolicyIsTakenAsItIs) {
  policy.mixed.min_sqnr_db = 20;
  const Found first = Run();
  compiled = 0;
  policy = first.policy;
  last_fraction = 0;
  const Found second = Run();
  EXPECT_EQ(compiled, 0);
  EXPECT_EQ(second.policy, first.policy);
  EXPECT_TRUE(second.report.points.empty());
}

TEST_F(SearchTest, RefusesABudgetOfPredictionsWhereThereAreNone) {
  GraphBuilder other;
  other.Output(other.Conv(other.Input({1, 4, 4, 4}), 4, SquareWindow({1, 1})));
  policy.mixed.max_top1_disagreement = 0.1;
  const auto status = Search(other.graph(), policy, *this, *this, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("mixed.max_top1_disagreement"));
}

TEST_F(SearchTest, RefusesOneCandidate) {
  policy.mixed.candidates = {Precision::kInt8};
  const auto status = Search(b.graph(), policy, *this, *this, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("mixed.candidates"));
}

}  // namespace
}  // namespace precis::search
