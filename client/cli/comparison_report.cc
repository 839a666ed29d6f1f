#include "client/cli/comparison_report.h"

#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "stats/percentile.h"

namespace precis::cli {
namespace {

constexpr double kNoticeable = 1.05;  // times faster: below that, speed is no reason to change

Json Finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

// Sets row[key], row[key_low] and row[key_high], times `factor`.
void Put(Json& row, const std::string& key, const stats::Estimate& estimate, double factor = 1) {
  row[key] = Finite(factor * estimate.value);
  row[key + "_low"] = estimate.interval ? Finite(factor * estimate.interval->low) : Json(nullptr);
  row[key + "_high"] = estimate.interval ? Finite(factor * estimate.interval->high) : Json(nullptr);
}

Json Latencies(const std::vector<double>& latency_ms) {
  Json quantiles = Json::array();
  for (int percent = 0; percent <= 100; ++percent) quantiles.push_back(stats::Percentile(latency_ms, percent));
  return {{"p50", quantiles[50]},
          {"p90", quantiles[90]},
          {"p99", quantiles[99]},
          {"mean", std::accumulate(latency_ms.begin(), latency_ms.end(), 0.0) / static_cast<double>(latency_ms.size())},
          {"quantiles", quantiles}};
}

Json Row(const std::string& name, const stats::ComparisonRow& row, const VariantFacts& facts) {
  Json json{{"variant", name}};
  if (row.labelled > 0) {
    Put(json, "top1", row.Top1(), 100);
    Put(json, "top1_difference", stats::PairedDifference(row.outcomes), 100);
    json["mcnemar_p"] = stats::McNemarPValue(row.outcomes);
    json["only_baseline_right"] = row.outcomes.only_a;
    json["only_variant_right"] = row.outcomes.only_b;
  } else {
    json["top1"] = nullptr;
  }
  Put(json, "agreement", row.fidelity.Agreement(), 100);
  Put(json, "sqnr_db", row.fidelity.SqnrDb());
  Put(json, "cosine", row.fidelity.Cosine());
  json["max_abs_error"] = row.fidelity.MaxAbsError();
  json["nonfinite_samples"] = row.fidelity.nonfinite_samples();
  json["latency_ms"] = Latencies(row.latency_ms);
  const int64_t bytes = facts.status.weight_bytes_per_run + facts.status.activation_bytes_per_run;
  json["compute_ms"] = facts.compute_ms ? Json(*facts.compute_ms) : Json(nullptr);
  json["weight_bytes"] = facts.status.weight_bytes;
  json["bytes_per_inference"] = bytes;
  json["weight_bytes_per_inference"] = facts.status.weight_bytes_per_run;
  json["bytes_per_second"] =
      facts.compute_ms ? Json(static_cast<double>(bytes) / (*facts.compute_ms / 1000)) : Json(nullptr);
  json["threads"] = facts.status.threads;
  json["emulated_layers"] = facts.status.emulated_layers;
  json["samples"] = row.fidelity.samples();
  return json;
}

enum class Verdict { kFine, kOpen, kWorse };

// Whether the variant is good enough in the reference's place.
Verdict Judge(const stats::ComparisonRow& row) {
  if (row.fidelity.nonfinite_samples() > 0) return Verdict::kWorse;
  if (row.labelled > 0) {
    const stats::Estimate difference = stats::PairedDifference(row.outcomes);
    if (difference.interval->low >= -kAccuracyMargin) return Verdict::kFine;
    const bool shown_worse = difference.value < 0 && stats::McNemarPValue(row.outcomes) < 0.05;
    return shown_worse || difference.value < -kAccuracyMargin ? Verdict::kWorse : Verdict::kOpen;
  }
  const stats::Estimate cosine = row.fidelity.Cosine();
  if (cosine.value < kCosineFloor) return Verdict::kWorse;
  return cosine.interval && cosine.interval->low >= kCosineFloor ? Verdict::kFine : Verdict::kOpen;
}

// "-0.25 points (95 % interval -1.40 to +0.90)", or the cosine where there are no labels.
std::string QualityText(const Json& row) {
  if (!row["top1"].is_null()) {
    return absl::StrFormat("accuracy %+.2f points (95 %% interval %+.2f to %+.2f)",
                           row["top1_difference"].get<double>(), row["top1_difference_low"].get<double>(),
                           row["top1_difference_high"].get<double>());
  }
  return absl::StrFormat("mean cosine with its outputs %.4f", row["cosine"].get<double>());
}

Json Recommend(const stats::Comparison& comparison, const Json& rows) {
  const size_t reference = comparison.reference();
  const auto p50 = [&](size_t v) { return rows[v]["latency_ms"]["p50"].get<double>(); };
  size_t best = reference;
  for (size_t v = 0; v < rows.size(); ++v) {
    if (v == reference || Judge(comparison.rows()[v]) == Verdict::kWorse) continue;
    if (p50(v) * kNoticeable < p50(reference) && p50(v) < p50(best)) best = v;
  }
  const std::string& base = comparison.names()[reference];
  std::string sentence, doubt;
  if (best == reference) {
    sentence = absl::StrCat("Stay with ", base, ": of the variants compared, none is both faster and as good.");
  } else {
    const Json& row = rows[best];
    const double weights = static_cast<double>(row["weight_bytes"].get<int64_t>()) /
                           static_cast<double>(std::max<int64_t>(rows[reference]["weight_bytes"].get<int64_t>(), 1));
    sentence =
        absl::StrFormat("Use %s: %.1f times as fast as %s, with %.0f %% of its weight memory; %s.",
                        comparison.names()[best], p50(reference) / p50(best), base, 100 * weights, QualityText(row));
    if (Judge(comparison.rows()[best]) == Verdict::kOpen) {
      doubt = rows[best]["top1"].is_null()
                  ? absl::StrFormat("%d samples are too few to be sure that the cosine stays above %.2f.",
                                    row["samples"].get<int64_t>(), kCosineFloor)
                  : absl::StrFormat(
                        "No loss is shown (McNemar p = %.2f), but %d samples cannot rule out one of more "
                        "than %.0f point: compare on more.",
                        row["mcnemar_p"].get<double>(), row["samples"].get<int64_t>(), 100 * kAccuracyMargin);
    }
  }
  return {{"variant", comparison.names()[best]}, {"sentence", sentence}, {"doubt", doubt}};
}

}  // namespace

Json ReportComparison(const stats::Comparison& comparison, const std::vector<VariantFacts>& facts,
                      double peak_bandwidth) {
  Json rows = Json::array();
  for (size_t v = 0; v < facts.size(); ++v) {
    rows.push_back(Row(comparison.names()[v], comparison.rows()[v], facts[v]));
  }
  return Json{{"baseline", comparison.names()[comparison.reference()]},
              {"samples", comparison.rows()[0].fidelity.samples()},
              {"peak_bandwidth_bytes_per_second", peak_bandwidth > 0 ? Json(peak_bandwidth) : Json(nullptr)},
              {"variants", rows},
              {"recommendation", Recommend(comparison, rows)}};
}

}  // namespace precis::cli
