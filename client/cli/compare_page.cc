// Top to bottom: the recommendation, its figures, the table, one drawing a question, and the method.
#include "client/cli/compare_page.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/comparison_report.h"
#include "client/cli/html_page.h"
#include "client/cli/svg.h"
#include "client/cli/table.h"

namespace precis::cli {
namespace {

// The plotting area of a chart.
constexpr double kLeft = 84, kRight = 385;
constexpr double kRowHeight = 34;

// The variant's name where there is room for so many characters.
std::string ShortName(const Json& row) {
  constexpr size_t kRoom = 9;
  const std::string name = row["variant"];
  return name.size() <= kRoom ? name : absl::StrCat(name.substr(0, kRoom - 1), "…");
}

double Number(const Json& json) { return json.is_null() ? NAN : json.get<double>(); }

// Of a row that may lack the key.
double Number(const Json& row, const char* key) { return row.contains(key) ? Number(row[key]) : NAN; }

// A linear horizontal axis from `low` to `high`.
struct Axis {
  double low = 0, high = 1;

  double At(double value) const { return kLeft + (value - low) / (high - low) * (kRight - kLeft); }
  // Grid lines and labels at round numbers; plotting area from `top` to `bottom`.
  std::string Draw(double top, double bottom) const {
    const double raw = (high - low) / 5, power = std::pow(10, std::floor(std::log10(raw)));
    const double step = power * (raw / power > 5 ? 10 : raw / power > 2 ? 5 : raw / power > 1 ? 2 : 1);
    std::string svg;
    for (double t = std::ceil(low / step) * step; t <= high + step * 1e-6; t += step) {
      absl::StrAppend(&svg, SvgLine(At(t), top, At(t), bottom, "grid"),
                      SvgText(At(t), bottom + 16, "middle", absl::StrFormat("%g", std::abs(t) < step / 2 ? 0 : t)));
    }
    return svg;
  }
};

// One dot with its interval per variant. Rows without the value are left out; empty when none has it.
std::string IntervalChart(const Json& rows, const std::string& key, absl::string_view label, int decimals) {
  Axis axis{INFINITY, -INFINITY};
  for (const Json& row : rows) {
    for (const std::string& one : {key, key + "_low", key + "_high"}) {
      const double value = Number(row, one.c_str());
      if (!std::isfinite(value)) continue;
      axis.low = std::min(axis.low, value);
      axis.high = std::max(axis.high, value);
    }
  }
  if (!std::isfinite(axis.low)) return "";
  const double margin = std::max((axis.high - axis.low) * 0.08, std::abs(axis.high) * 1e-4 + 1e-9);
  axis = {axis.low - margin, axis.high + margin};
  const double bottom = 6 + kRowHeight * static_cast<double>(rows.size());
  std::string svg = axis.Draw(6, bottom);
  for (size_t v = 0; v < rows.size(); ++v) {
    const double y = 6 + kRowHeight * (static_cast<double>(v) + 0.6), value = Number(rows[v], key.c_str());
    const double low = Number(rows[v], (key + "_low").c_str()), high = Number(rows[v], (key + "_high").c_str());
    absl::StrAppend(&svg, SvgText(kLeft - 8, y + 4, "end", ShortName(rows[v]), true));
    if (!std::isfinite(value)) {
      absl::StrAppend(&svg, SvgText(kLeft + 8, y + 4, "start", "equal to the reference"));
      continue;
    }
    absl::StrAppend(&svg, "<g class=\"", SeriesClass(v), "\">");
    if (std::isfinite(low)) absl::StrAppend(&svg, SvgLine(axis.At(low), y, axis.At(high), y, "whisker"));
    absl::StrAppend(
        &svg, absl::StrFormat("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" class=\"dot\"/></g>", axis.At(value), y),
        SvgText(std::clamp(axis.At(value), kLeft + 20, kRight - 20), y - 9, "middle", FormatNumber(value, decimals)));
  }
  return SvgFigure(bottom + 22, label, svg);
}

// The share of calls answered within a time, per variant.
std::string LatencyChart(const Json& rows) {
  double high = 0;
  for (const Json& row : rows) high = std::max(high, 1.3 * row["latency_ms"]["p99"].get<double>());
  const Axis axis{0, std::max(high, 1e-6)};
  const double top = 10, bottom = 230;
  std::string svg = axis.Draw(top, bottom);
  for (const int percent : {0, 50, 90, 99}) {
    const double y = bottom - percent / 100.0 * (bottom - top);
    absl::StrAppend(&svg, SvgLine(kLeft, y, kRight, y, "grid"),
                    SvgText(kLeft - 10, y + (percent == 90 ? 10 : 4), "end", absl::StrCat(percent, " %")));
  }
  std::string legend;
  for (size_t v = 0; v < rows.size(); ++v) {
    std::string points;
    const Json& quantiles = rows[v]["latency_ms"]["quantiles"];
    for (size_t percent = 0; percent < quantiles.size(); ++percent) {
      const double x = std::min(quantiles[percent].get<double>(), axis.high);
      absl::StrAppendFormat(&points, "%.1f,%.1f ", axis.At(x),
                            bottom - static_cast<double>(percent) / 100 * (bottom - top));
    }
    absl::StrAppend(&svg, "<g class=\"", SeriesClass(v), "\"><polyline class=\"curve\" points=\"", points, "\"/></g>");
    absl::StrAppend(&legend, "<span class=\"chip ", SeriesClass(v), "\">",
                    EscapeHtml(rows[v]["variant"].get<std::string>()), "</span> ");
  }
  return absl::StrCat(SvgFigure(bottom + 22, "Share of calls answered within a time", svg), "<p>", legend, "</p>");
}

// A bar per variant with its text; `limit` (0: none) is a line across with `limit_name`.
std::string BarChart(const Json& rows, const std::vector<double>& values, const std::vector<std::string>& texts,
                     absl::string_view label, double limit = 0, absl::string_view limit_name = "") {
  double high = limit;
  for (const double value : values) high = std::max(high, std::isfinite(value) ? value : 0);
  if (high <= 0) return "";
  const double bottom = 6 + kRowHeight * static_cast<double>(rows.size());
  const auto at = [&](double value) { return kLeft + value / high * (kRight - kLeft - 90); };
  std::string svg;
  for (size_t v = 0; v < rows.size(); ++v) {
    const double y = 6 + kRowHeight * static_cast<double>(v), value = std::isfinite(values[v]) ? values[v] : 0;
    absl::StrAppend(
        &svg, SvgText(kLeft - 8, y + 21, "end", ShortName(rows[v]), true),
        absl::StrFormat("<rect x=\"%g\" y=\"%.1f\" width=\"%.1f\" height=\"20\" rx=\"4\" class=\"bar %s\"/>", kLeft,
                        y + 6, std::max(at(value) - kLeft, 1.0), SeriesClass(v)),
        SvgText(at(value) + 8, y + 21, "start", texts[v]));
  }
  if (limit > 0) {
    absl::StrAppend(&svg, SvgLine(at(limit), 2, at(limit), bottom, "limit"),
                    SvgText(at(limit), bottom + 16, "middle", limit_name));
  }
  return SvgFigure(bottom + (limit > 0 ? 22 : 6), label, svg);
}

std::string Section(absl::string_view title, absl::string_view note, absl::string_view chart) {
  if (chart.empty()) return "";
  return absl::StrCat("<section><h2>", title, "</h2>", chart, "<p class=\"muted\">", note, "</p></section>\n");
}

std::string Card(const std::string& value, absl::string_view label) {
  return absl::StrCat("<div class=\"card\"><div class=\"value\">", EscapeHtml(value), "</div><div class=\"label\">",
                      EscapeHtml(label), "</div></div>");
}

std::string Cards(const Json& base, const Json& chosen) {
  const auto ratio = [&](const char* key) {
    return chosen[key].get<double>() / std::max(base[key].get<double>(), 1.0);
  };
  const double faster = base["latency_ms"]["p50"].get<double>() / chosen["latency_ms"]["p50"].get<double>();
  std::string html = "<div class=\"cards\">";
  absl::StrAppend(&html, Card(absl::StrFormat("%.1f×", faster), "as fast, at the median"));
  if (chosen["top1"].is_null()) {
    absl::StrAppend(&html, Card(FormatNumber(Number(chosen["cosine"]), 4), "mean cosine with the reference"));
  } else {
    absl::StrAppend(&html, Card(absl::StrFormat("%+.2f", chosen["top1_difference"].get<double>()),
                                "points of accuracy against the reference"));
  }
  absl::StrAppend(&html, Card(absl::StrFormat("%.0f %%", 100 * ratio("weight_bytes")), "of its weight memory"),
                  Card(absl::StrFormat("%.0f %%", 100 * ratio("bytes_per_inference")), "of its memory traffic"),
                  "</div>\n");
  return html;
}

// "81.75" over a muted "77.7 to 85.2".
std::string WithInterval(const Json& row, const std::string& key, int decimals, absl::string_view absent) {
  const double value = Number(row, key.c_str()), low = Number(row, (key + "_low").c_str());
  if (!std::isfinite(value)) return std::string(absent);
  std::string html = FormatNumber(value, decimals);
  if (std::isfinite(low)) {
    absl::StrAppend(&html, "<span class=\"muted\">", FormatNumber(low, decimals), " to ",
                    FormatNumber(Number(row, (key + "_high").c_str()), decimals), "</span>");
  }
  return html;
}

std::string TableOf(const Json& result) {
  const bool labelled = !result["variants"][0]["top1"].is_null();
  std::vector<std::string> heads;
  if (labelled) heads = {"Accuracy %", "McNemar p"};
  for (const char* head : {"Agreement %", "SQNR dB", "Cosine", "Largest error", "p50 ms", "p90 ms", "p99 ms", "Weights",
                           "Bytes per inference", "GB/s (of peak)"}) {
    heads.emplace_back(head);
  }
  std::string html = "<section><h2>All figures</h2><div class=\"scroll\"><table><tr><th>Variant</th>";
  for (const std::string& head : heads) absl::StrAppend(&html, "<th class=\"n\">", head, "</th>");
  absl::StrAppend(&html, "</tr>\n");
  const double peak = Number(result["peak_bandwidth_bytes_per_second"]);
  for (const Json& row : result["variants"]) {
    const bool is_base = row["variant"] == result["baseline"];
    std::vector<std::string> cells;
    if (labelled) {
      cells = {WithInterval(row, "top1", 2, "–"),
               is_base ? "–" : absl::StrFormat("%.3f", row["mcnemar_p"].get<double>())};
    }
    const double speed = Number(row["bytes_per_second"]);
    std::string bandwidth = std::isfinite(speed) ? FormatNumber(speed / 1e9, 1) : "–";
    if (std::isfinite(speed / peak)) absl::StrAppendFormat(&bandwidth, " (%.0f %%)", 100 * speed / peak);
    const Json& latency = row["latency_ms"];
    for (const std::string& cell :
         {WithInterval(row, "agreement", 1, "–"), WithInterval(row, "sqnr_db", 1, is_base ? "–" : "equal"),
          WithInterval(row, "cosine", 4, "–"), absl::StrFormat("%.3g", row["max_abs_error"].get<double>()),
          FormatNumber(latency["p50"], 2), FormatNumber(latency["p90"], 2), FormatNumber(latency["p99"], 2),
          FormatBytes(row["weight_bytes"]), FormatBytes(row["bytes_per_inference"]), bandwidth}) {
      cells.push_back(cell);
    }
    absl::StrAppend(
        &html, row["variant"] == result["recommendation"]["variant"] ? "<tr class=\"chosen\">" : "<tr>", "<td>",
        EscapeHtml(row["variant"].get<std::string>()), is_base ? "<span class=\"muted\">reference</span>" : "",
        row["emulated_layers"] == 0 ? "" : "<span class=\"muted\">emulated: times say nothing of hardware</span>",
        "</td>");
    for (const std::string& cell : cells) absl::StrAppend(&html, "<td class=\"n\">", cell, "</td>");
    absl::StrAppend(&html, "</tr>\n");
  }
  return absl::StrCat(html, "</table></div></section>\n");
}

std::string Method(const Json& result) {
  const auto text = [&](const char* key) {
    return result.contains(key) ? EscapeHtml(result[key].get<std::string>()) : std::string("–");
  };
  return absl::StrCat(
      "<section><h2>How it was measured</h2><p>", result["samples"].get<int64_t>(), " samples of ", text("data"),
      ", each sent to every variant of ", text("model"), " version ", text("version"), " on ", text("server"), ", ",
      text("date"),
      ", one call at a time. The variants took turns, beginning with another one at each sample, so that the "
      "machine's moods met them all alike; latencies are whole calls as the client sees them.</p>",
      "<p>Accuracy is the share of labelled samples whose largest output is the label's, with Wilson's 95 % interval; "
      "the "
      "difference is paired, with Agresti and Min's interval; McNemar's exact test says how likely a difference as "
      "large "
      "as this would be if the two were equally often right (below 0.05 is commonly called significant). Agreement is "
      "the "
      "share of predictions equal to the reference's; SQNR the power of the reference's outputs over that of the "
      "difference; their intervals are normal ones over the samples (Wilson's for agreement).</p>",
      "<p>Bytes per inference are computed from the compiled plan: weights and activations that each layer reads and "
      "writes. "
      "GB/s is that over the server's mean computing time, beside the peak that the server measured when it started; "
      "data "
      "that stays in a cache can exceed it. A loss below ",
      absl::StrFormat("%.0f", 100 * kAccuracyMargin), " point of accuracy counts as acceptable.</p></section>\n");
}

}  // namespace

std::string ComparePage(const Json& result) {
  const Json& rows = result["variants"];
  const Json& advice = result["recommendation"];
  const auto row_of = [&](const Json& name) -> const Json& {
    return *std::find_if(rows.begin(), rows.end(), [&](const Json& row) { return row["variant"] == name; });
  };
  const bool labelled = !rows[0]["top1"].is_null();
  std::vector<double> weights, traffic, speeds;
  std::vector<std::string> weight_texts, traffic_texts, speed_texts;
  for (const Json& row : rows) {
    weights.push_back(row["weight_bytes"].get<double>());
    weight_texts.push_back(FormatBytes(row["weight_bytes"]));
    traffic.push_back(row["bytes_per_inference"].get<double>());
    traffic_texts.push_back(FormatBytes(row["bytes_per_inference"]));
    speeds.push_back(Number(row["bytes_per_second"]));
    speed_texts.push_back(absl::StrCat(FormatNumber(speeds.back() / 1e9, 1), " GB/s"));
  }
  const double peak = Number(result["peak_bandwidth_bytes_per_second"]);
  std::string body =
      absl::StrCat(SeriesStyle(), "<p class=\"muted\">", EscapeHtml(result["model"].get<std::string>()),
                   ": what each precision costs</p><h1>", EscapeHtml(advice["sentence"].get<std::string>()), "</h1>\n");
  if (!advice["doubt"].get<std::string>().empty()) {
    absl::StrAppend(&body, "<p>", EscapeHtml(advice["doubt"].get<std::string>()), "</p>\n");
  }
  if (advice["variant"] != result["baseline"]) {
    absl::StrAppend(&body, Cards(row_of(result["baseline"]), row_of(advice["variant"])));
  }
  absl::StrAppend(
      &body, TableOf(result),
      labelled ? Section("Accuracy", "Percent right; the line is the 95 % interval.",
                         IntervalChart(rows, "top1", "Accuracy with 95 % intervals", 2))
               : "",
      Section("Latency", "Share of calls answered within so many milliseconds.", LatencyChart(rows)),
      Section("Faithfulness",
              "SQNR of the outputs against the reference in dB, higher is better; the line is the 95 % interval.",
              IntervalChart(rows, "sqnr_db", "SQNR with 95 % intervals", 1)),
      Section("Weight memory", "Packed weights held in the server's memory.",
              BarChart(rows, weights, weight_texts, "Weight memory")),
      Section("Memory traffic", "Bytes that one inference reads and writes, from the plan.",
              BarChart(rows, traffic, traffic_texts, "Bytes per inference")),
      Section("Memory bandwidth", "Achieved, beside the machine's measured peak.",
              BarChart(rows, speeds, speed_texts, "Achieved bandwidth", std::isfinite(peak) ? peak : 0,
                       absl::StrCat("peak ", FormatNumber(peak / 1e9, 1), " GB/s"))),
      Method(result));
  return HtmlPage(absl::StrCat(result["model"].get<std::string>(), ": precisions compared"), body);
}

}  // namespace precis::cli
