#include "server/drift/drift_record.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fake_variant.h"

namespace precis::server {
namespace {

using ::testing::HasSubstr;

const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1);

// Some samples whose noise is `noise_db` below the signal, of which each agrees or not.
DriftSums Samples(int count, double sqnr_db, bool agree = true) {
  DriftSums sums;
  for (int i = 0; i < count; ++i) {
    stats::SampleDifference sample;
    sample.signal = sample.energy = sample.dot = 1 + 0.01 * (i % 3);
    sample.noise = sample.signal * std::pow(10, -sqnr_db / 10);
    sample.predictions = 1;
    sample.agreeing = agree ? 1 : 0;
    sums.all.Add(sample);
  }
  return sums;
}

class DriftRecordTest : public ::testing::Test {
 protected:
  static DriftRecord Make(const v1::DriftAlert& alert) {
    return DriftRecord({"net", 1, "int8", "fp32"},
                       std::make_shared<FakeVariant>([](const auto&) { return absl::OkStatus(); }), alert, nullptr);
  }
};

TEST_F(DriftRecordTest, RaisesTheAlarmWithEnoughSamplesAndEndsItWhenAMinuteIsGood) {
  v1::DriftAlert alert;
  alert.set_min_sqnr_db(20);
  alert.set_min_samples(10);
  DriftRecord record = Make(alert);
  using Change = DriftRecord::Change;
  EXPECT_EQ(record.Add(Samples(9, 10), kStart), Change::kNone);
  EXPECT_FALSE(record.alarm());
  EXPECT_EQ(record.Add(Samples(1, 10), kStart + absl::Seconds(1)), Change::kRaised);
  EXPECT_TRUE(record.alarm());
  EXPECT_THAT(record.Snapshot(kStart).alarm_reason, HasSubstr("SQNR 10.00 dB, want 20"));
  EXPECT_EQ(record.Add(Samples(5, 30), kStart + absl::Seconds(2)), Change::kNone);
  EXPECT_EQ(record.Add(Samples(9, 30), kStart + absl::Minutes(2)), Change::kNone);  // too few in this minute
  EXPECT_EQ(record.Add(Samples(1, 30), kStart + absl::Minutes(2)), Change::kCleared);
  EXPECT_FALSE(record.alarm());
}

TEST_F(DriftRecordTest, TenMinutesDecideWhereAMinuteHasTooFew) {
  v1::DriftAlert alert;
  alert.set_min_sqnr_db(20);
  alert.set_min_samples(10);
  DriftRecord record = Make(alert);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(record.Add(Samples(2, 10), kStart + i * absl::Minutes(2)), DriftRecord::Change::kNone);
  }
  EXPECT_EQ(record.Add(Samples(2, 10), kStart + absl::Minutes(8)), DriftRecord::Change::kRaised);
}

TEST_F(DriftRecordTest, OnlyWhatIsSurelyBeyondItsLimitCounts) {
  v1::DriftAlert alert;
  alert.set_min_top1_agreement(0.95);
  alert.set_min_samples(20);
  DriftRecord unsure = Make(alert), sure = Make(alert);
  DriftSums sums = Samples(17, 30);
  sums.Merge(Samples(3, 30, false));  // 85 %, but of 20: up to 94.8 % or 95 % fits
  sums.Merge(Samples(2, 30));
  EXPECT_EQ(unsure.Add(sums, kStart), DriftRecord::Change::kNone);
  for (int i = 0; i < 20; ++i) sums.Merge(Samples(17, 30)), sums.Merge(Samples(3, 30, false));
  EXPECT_EQ(sure.Add(sums, kStart), DriftRecord::Change::kRaised);
  EXPECT_THAT(sure.Snapshot(kStart).alarm_reason, HasSubstr("agreement"));
}

TEST_F(DriftRecordTest, LayerInputsHaveLimitsToo) {
  v1::DriftAlert clip, shift;
  clip.set_max_clipped_ratio(0.05);
  shift.set_max_psi(0.25);
  const std::vector<LayerInput> layers = {{"conv1", {0.5, 0.5}}};
  DriftSums sums = Samples(30, 30);
  sums.layer_samples = 10;
  sums.layers = {{.elements = 1000, .clipped = 60, .shares = {9, 1}}};
  EXPECT_THAT(WhyAlarming(clip, sums, layers, true), HasSubstr("conv1 clips 0.0600"));
  EXPECT_THAT(WhyAlarming(shift, sums, layers, true), HasSubstr("conv1"));
  sums.layers = {{.elements = 1000, .clipped = 40, .shares = {5.5, 4.5}}};
  EXPECT_EQ(WhyAlarming(clip, sums, layers, true), "");
  EXPECT_EQ(WhyAlarming(shift, sums, layers, true), "");
  sums.layers = {{.elements = 1000, .clipped = 60, .shares = {9, 1}}};
  sums.layer_samples = 1;  // one probe says too little
  EXPECT_EQ(WhyAlarming(clip, sums, layers, true), "");
}

TEST_F(DriftRecordTest, StabilityIndexIsThatOfTheDefinition) {
  const LayerInput layer = {"conv", {0.5, 0.3, 0.2}};
  EXPECT_NEAR(*StabilityIndex(layer, {0, 0, {1, 0.6, 0.4}}), 0, 1e-12);
  const double expected = 0.1 * std::log(0.6 / 0.5) - 0.1 * std::log(0.2 / 0.3);
  EXPECT_NEAR(*StabilityIndex(layer, {0, 0, {6, 2, 2}}), expected, 1e-12);
  EXPECT_GT(*StabilityIndex(layer, {0, 0, {0, 0, 1}}), 1);
  EXPECT_FALSE(StabilityIndex({"conv", {}}, {}).has_value());
  EXPECT_FALSE(StabilityIndex(layer, {0, 0, {0, 0, 0}}).has_value());
}

TEST_F(DriftRecordTest, AClosedRecordTakesNothing) {
  v1::DriftAlert alert;
  alert.set_min_sqnr_db(20);
  DriftRecord record = Make(alert);
  EXPECT_NE(record.variant(), nullptr);
  record.Close();
  EXPECT_EQ(record.variant(), nullptr);
  EXPECT_EQ(record.Add(Samples(100, 10), kStart), DriftRecord::Change::kNone);
  EXPECT_EQ(record.Snapshot(kStart).windows.back().sums.all.samples(), 0);
}

}  // namespace
}  // namespace precis::server
