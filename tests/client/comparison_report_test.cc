#include "client/cli/comparison_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/compare_page.h"

namespace precis::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// `samples` of which the reference gets 80 % right; "int8" errs instead of it on `lost` and instead of erring on `won`.
stats::Comparison Compared(int samples, int lost, int won, double int8_ms = 1, bool labelled = true) {
  stats::Comparison comparison({"fp32", "int8"});
  const auto outputs = [](bool right, double latency_ms) {
    return stats::SampleOutputs{{right ? std::vector<float>{1, 0} : std::vector<float>{0, 1}}, {1, 2}, latency_ms};
  };
  for (int i = 0; i < samples; ++i) {
    const bool reference = i < samples * 8 / 10;
    const bool variant = reference ? i >= lost : i >= samples - won;
    const stats::SampleOutputs both[] = {outputs(reference, 4), outputs(variant, int8_ms)};
    EXPECT_TRUE(comparison.Add(both, labelled ? std::optional<int64_t>(0) : std::nullopt).ok());
  }
  return comparison;
}

std::vector<VariantFacts> Facts() {
  std::vector<VariantFacts> facts(2);
  facts[0].status.weight_bytes = 4000;
  facts[0].status.weight_bytes_per_run = 4000;
  facts[0].compute_ms = 2;
  facts[1].status.weight_bytes = 1000;
  facts[1].status.weight_bytes_per_run = 800;
  facts[1].status.activation_bytes_per_run = 200;
  facts[1].compute_ms = 0.5;
  return facts;
}

TEST(ComparisonReportTest, SaysWhatWasMeasuredWithIntervals) {
  const Json report = ReportComparison(Compared(400, 2, 1), Facts(), 1e7);
  const Json& row = report["variants"][1];
  EXPECT_EQ(report["baseline"], "fp32");
  EXPECT_DOUBLE_EQ(row["top1"].get<double>(), 79.75);
  EXPECT_NEAR(row["top1_low"].get<double>(), 75.5, 0.1);
  EXPECT_DOUBLE_EQ(row["top1_difference"].get<double>(), -0.25);
  EXPECT_EQ(row["mcnemar_p"], 1.0);
  EXPECT_EQ(row["only_baseline_right"], 2);
  EXPECT_DOUBLE_EQ(row["agreement"].get<double>(), 99.25);
  EXPECT_EQ(row["max_abs_error"], 1.0);
  EXPECT_EQ(row["latency_ms"]["p90"], 1.0);
  EXPECT_EQ(row["latency_ms"]["quantiles"].size(), 101u);
  EXPECT_EQ(row["bytes_per_inference"], 1000);
  EXPECT_DOUBLE_EQ(row["bytes_per_second"].get<double>(), 2e6);
  EXPECT_TRUE(report["variants"][0]["sqnr_db"].is_null());
}

TEST(ComparisonReportTest, RecommendsTheFastestThatIsNotShownToBeWorse) {
  const Json advice = ReportComparison(Compared(2000, 5, 4), Facts(), 0)["recommendation"];
  EXPECT_EQ(advice["variant"], "int8");
  EXPECT_THAT(advice["sentence"].get<std::string>(), HasSubstr("4.0 times as fast as fp32, with 25 %"));
  EXPECT_EQ(advice["doubt"], "");
}

TEST(ComparisonReportTest, SaysThatTooFewSamplesProveLittle) {
  const Json advice = ReportComparison(Compared(100, 1, 1), Facts(), 0)["recommendation"];
  EXPECT_EQ(advice["variant"], "int8");
  EXPECT_THAT(advice["doubt"].get<std::string>(), HasSubstr("100 samples cannot rule out"));
}

TEST(ComparisonReportTest, StaysWithTheReferenceWhenTheOtherLosesOrIsNotFaster) {
  EXPECT_EQ(ReportComparison(Compared(400, 40, 0), Facts(), 0)["recommendation"]["variant"], "fp32");
  EXPECT_EQ(ReportComparison(Compared(400, 0, 0, 3.9), Facts(), 0)["recommendation"]["variant"], "fp32");
}

TEST(ComparisonReportTest, WithoutLabelsTheCosineDecides) {
  const auto of = [](int lost) { return ReportComparison(Compared(400, lost, 0, 1, false), Facts(), 0); };
  EXPECT_TRUE(of(0)["variants"][1]["top1"].is_null());
  EXPECT_EQ(of(0)["recommendation"]["variant"], "int8");
  EXPECT_EQ(of(80)["recommendation"]["variant"], "fp32");
}

Json Page(Json report) {
  for (const char* key : {"version", "data", "date", "server"}) report[key] = "<&";
  report["model"] = "net<script>";
  return report;
}

TEST(ComparePageTest, HoldsHeadlineTableAndChartsAndEscapes) {
  const std::string page = ComparePage(Page(ReportComparison(Compared(400, 2, 1), Facts(), 1e7)));
  for (const char* part : {"Use int8", "All figures", "Accuracy with 95", "Share of calls", "Weight memory",
                           "peak 0.0 GB/s", "How it was measured", "prefers-color-scheme:dark", "width=device-width"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("http")));  // nothing is fetched
  EXPECT_THAT(page, Not(HasSubstr("nan")));
  EXPECT_THAT(page, Not(HasSubstr("inf\"")));
}

TEST(ComparePageTest, DoesWithoutLabelsPeakAndTimes) {
  std::vector<VariantFacts> facts(2);
  const std::string page = ComparePage(Page(ReportComparison(Compared(3, 0, 0, 1, false), facts, 0)));
  EXPECT_THAT(page, Not(HasSubstr("McNemar p")));
  EXPECT_THAT(page, Not(HasSubstr(">nan")));
}

}  // namespace
}  // namespace precis::cli
