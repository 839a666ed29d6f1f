// Drawings are SVG in units of its view box, coloured by the page's variables, so that they scale to a phone and follow dark mode.
#include "client/cli/plan_page.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/html_page.h"
#include "client/cli/table.h"

namespace precis::cli {
namespace {

constexpr absl::string_view kStyle = R"(<style>
.map{display:flex;flex-wrap:wrap;gap:3px}
.map i{font:600 .68rem/1.6rem system-ui,sans-serif;min-width:1.6rem;height:1.6rem;border-radius:.3rem;text-align:center;
background:var(--c);color:var(--panel)}
.layers{display:grid;grid-template-columns:minmax(0,1fr);gap:.55rem}
.layer{display:grid;grid-template-columns:2.2rem minmax(0,1fr) auto;gap:.15rem .5rem;align-items:center}
.layer b{font-weight:600;overflow-wrap:anywhere;font-size:.9rem}
.layer .bar{grid-column:2/4;height:.55rem;border-radius:.3rem;background:var(--line)}
.layer .bar span{display:block;height:100%;border-radius:.3rem;background:var(--c)}
.layer .muted{grid-column:2/4;font-size:.78rem}
.dot{stroke:var(--panel);stroke-width:1.5}
</style>
)";

std::string ClassOf(const std::string& precision) { return absl::AsciiStrToLower(precision); }

std::string Chip(const std::string& precision) {
  return absl::StrCat("<span class=\"chip ", ClassOf(precision), "\">", precision, "</span>");
}

std::string Card(const std::string& value, absl::string_view label) {
  return absl::StrCat("<div class=\"card\"><div class=\"value\">", value, "</div><div class=\"label\">", label,
                      "</div></div>");
}

std::string Db(const Json& value) {
  return value.is_null() ? std::string("exact") : absl::StrFormat("%.1f dB", value.get<double>());
}

std::string LayersText(const Json& counts) {
  std::string text;
  for (const auto& [precision, count] : counts.items())
    absl::StrAppend(&text, text.empty() ? "" : ", ", count.get<int>(), "\u00a0", precision);
  return text;
}

// The one precision of a network that has no other; empty for a mix.
std::string UniformName(const Json& point) {
  return point["layers"].size() == 1 ? point["layers"].begin().key() : std::string();
}

// Ticks at 1, 2 or 5 times a power of ten, about `count` of them.
std::vector<double> Ticks(double low, double high, int count) {
  const double raw = std::max(high - low, 1e-9) / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double step = power * (raw / power > 5 ? 10 : raw / power > 2 ? 5 : raw / power > 1 ? 2 : 1);
  std::vector<double> ticks;
  for (double t = std::ceil(low / step) * step; t <= high + step * 1e-6; t += step) ticks.push_back(t);
  return ticks;
}

// SQNR over cost; points equal to f32 stand on the upper edge.
class Curve {
 public:
  explicit Curve(const Json& search) : search_(search), is_memory_(search["objective"] == "MEMORY") {
    low_x_ = low_y_ = std::numeric_limits<double>::infinity();
    high_x_ = high_y_ = -low_x_;
    for (const Json& point : search["points"]) {
      low_x_ = std::min(low_x_, Cost(point));
      high_x_ = std::max(high_x_, Cost(point));
      if (!point["sqnr_db"].is_null()) Cover(point["sqnr_db"]);
    }
    if (!search["min_sqnr_db"].is_null()) Cover(search["min_sqnr_db"]);
    if (low_y_ > high_y_) low_y_ = high_y_ = 0;
    const double pad_x = std::max((high_x_ - low_x_) * 0.06, 1e-6), pad_y = std::max((high_y_ - low_y_) * 0.1, 1.0);
    low_x_ -= pad_x;
    high_x_ += pad_x;
    low_y_ -= pad_y;
    high_y_ += 2 * pad_y;
  }

  std::string Svg() const {
    std::string svg =
        absl::StrFormat("<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"Pareto curve: SQNR over %s\">\n", kWidth,
                        kHeight, Unit());
    DrawAxes(&svg);
    DrawBudget(&svg);
    DrawFront(&svg);
    for (const Json& point : search_["points"]) DrawPoint(point, &svg);
    return svg + "</svg>\n";
  }

 private:
  static constexpr double kWidth = 560, kHeight = 360, kLeft = 48, kRight = 14, kTop = 16, kBottom = 44;

  void Cover(double db) {
    low_y_ = std::min(low_y_, db);
    high_y_ = std::max(high_y_, db);
  }
  double Cost(const Json& point) const {
    return is_memory_ ? point["weight_bytes"].get<double>() / 1e6 : point["expected_us"].get<double>() / 1e3;
  }
  const char* Unit() const { return is_memory_ ? "weights, MB" : "time, ms"; }
  double X(double cost) const { return kLeft + (cost - low_x_) / (high_x_ - low_x_) * (kWidth - kLeft - kRight); }
  double Y(const Json& db) const {
    const double value = db.is_null() ? high_y_ : db.get<double>();
    return kTop + (high_y_ - value) / (high_y_ - low_y_) * (kHeight - kTop - kBottom);
  }

  void DrawAxes(std::string* svg) const {
    const double base = kHeight - kBottom;
    for (double t : Ticks(low_y_, high_y_, 6)) {
      absl::StrAppendFormat(svg,
                            "<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"var(--line)\"/><text x=\"%g\" "
                            "y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                            kLeft, kWidth - kRight, Y(t), Y(t), kLeft - 6, Y(t) + 4, t);
    }
    for (double t : Ticks(low_x_, high_x_, 6)) {
      absl::StrAppendFormat(svg, "<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%g</text>\n", X(t), base + 18, t);
    }
    absl::StrAppendFormat(svg,
                          "<text x=\"%g\" y=\"%g\" text-anchor=\"end\">%s</text><text x=\"4\" y=\"%g\">dB</text>\n",
                          kWidth - kRight, kHeight - 8, Unit(), kTop + 2);
  }

  void DrawBudget(std::string* svg) const {
    const Json& budget = search_["min_sqnr_db"];
    if (budget.is_null()) return;
    absl::StrAppendFormat(
        svg,
        "<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"var(--good)\" stroke-dasharray=\"6 "
        "4\"/><text x=\"%g\" y=\"%.1f\" text-anchor=\"end\" style=\"fill:var(--good)\">budget %g dB</text>\n",
        kLeft, kWidth - kRight, Y(budget), Y(budget), kWidth - kRight - 4, Y(budget) - 5, budget.get<double>());
  }

  void DrawFront(std::string* svg) const {
    std::string line;
    for (const Json& point : search_["points"]) {
      if (point["pareto"].get<bool>()) absl::StrAppendFormat(&line, "%.1f,%.1f ", X(Cost(point)), Y(point["sqnr_db"]));
    }
    absl::StrAppend(svg, "<polyline points=\"", line,
                    "\" fill=\"none\" stroke=\"var(--muted)\" stroke-width=\"1.5\"/>\n");
  }

  void DrawPoint(const Json& point, std::string* svg) const {
    const double x = X(Cost(point)), y = Y(point["sqnr_db"]);
    const bool chosen = point["chosen"].get<bool>();
    const std::string uniform = UniformName(point);
    const std::string color = uniform.empty() ? "var(--ink)" : absl::StrCat("var(--", ClassOf(uniform), ")");
    absl::StrAppendFormat(svg,
                          "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" style=\"fill:%s\"><title>%s, %.2f "
                          "%s: %s</title></circle>\n",
                          x, y, uniform.empty() ? 4 : 6, color, Db(point["sqnr_db"]), Cost(point),
                          is_memory_ ? "MB" : "ms", LayersText(point["layers"]));
    if (chosen) {
      absl::StrAppendFormat(
          svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"10\" fill=\"none\" stroke=\"var(--good)\" stroke-width=\"2.5\"/>\n",
          x, y);
    }
    if (chosen || !uniform.empty()) {
      const bool left = x > kWidth * 0.75 || uniform.empty();  // a mix stands beside uniform networks that cost more
      absl::StrAppendFormat(svg, "<text class=\"strong\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n",
                            left ? x - 14 : x + 14, y + (chosen ? -10 : 4), left ? "end" : "start",
                            uniform.empty() ? "chosen" : uniform);
    }
  }

  const Json& search_;
  const bool is_memory_;
  double low_x_, high_x_, low_y_, high_y_;
};

const Json* ChosenPoint(const Json& search) {
  for (const Json& point : search["points"]) {
    if (point["chosen"].get<bool>()) return &point;
  }
  return nullptr;
}

std::string Summary(const Json& plan) {
  const Json& search = plan["search"];
  std::string html =
      absl::StrCat("<h1>", EscapeHtml(plan["model"].get<std::string>()), "@",
                   EscapeHtml(plan["variant"].get<std::string>()), ": a precision for every layer</h1>\n");
  const bool met = search["budget_met"].get<bool>();
  absl::StrAppend(
      &html, "<p class=\"", met ? "good" : "bad", "\">", met ? "The budget is met: " : "The budget is not met: ",
      EscapeHtml(met ? search["budget"].get<std::string>() : search["reason"].get<std::string>()), ".</p>\n");
  const Json* chosen = ChosenPoint(search);
  if (chosen == nullptr) return html;
  absl::StrAppend(&html, "<div class=\"cards\">",
                  Card(absl::StrFormat("%.2f ms", (*chosen)["time_us"].get<double>() / 1e3), "time, one run"),
                  Card(Db((*chosen)["sqnr_db"]), "SQNR against FP32"),
                  Card(Db((*chosen)["sqnr_db_low"]), "at least, with 95 % confidence"));
  if (const Json& top1 = (*chosen)["top1_disagreement"]; !top1.is_null())
    absl::StrAppend(&html, Card(absl::StrFormat("%.1f %%", 100 * top1.get<double>()), "predictions changed"));
  absl::StrAppend(&html, Card(FormatBytes((*chosen)["weight_bytes"]), "weights"),
                  Card(LayersText((*chosen)["layers"]), "layers"), "</div>\n");
  return html;
}

std::string PointTable(const Json& search) {
  std::string html =
      "<div class=\"scroll\"><table><tr><th class=\"n\">SQNR</th><th class=\"n\">At least (95&nbsp;%)</th><th "
      "class=\"n\">Changed top-1</th><th "
      "class=\"n\">Time</th><th class=\"n\">Whole runs</th>"
      "<th class=\"n\">Weights</th><th>Layers</th><th></th></tr>\n";
  for (const Json& point : search["points"]) {
    const bool chosen = point["chosen"].get<bool>();
    const Json& top1 = point["top1_disagreement"];
    absl::StrAppend(&html, chosen ? "<tr class=\"chosen\">" : "<tr>", "<td class=\"n\">", Db(point["sqnr_db"]),
                    "</td><td class=\"n\">", Db(point["sqnr_db_low"]), "</td><td class=\"n\">",
                    top1.is_null() ? std::string("–") : absl::StrFormat("%.1f %%", 100 * top1.get<double>()),
                    absl::StrFormat("</td><td class=\"n\">%.2f ms</td><td class=\"n\">%.2f ms</td><td class=\"n\">",
                                    point["expected_us"].get<double>() / 1e3, point["time_us"].get<double>() / 1e3),
                    FormatBytes(point["weight_bytes"]), "</td><td>", LayersText(point["layers"]), "</td><td>",
                    chosen                        ? "chosen"
                    : point["pareto"].get<bool>() ? "Pareto"
                                                  : "",
                    "</td></tr>\n");
  }
  return html + "</table></div>\n";
}

std::string Map(const Json& search) {
  std::string html = "<div class=\"map\">\n";
  int number = 0;
  std::map<std::string, int> counts;
  for (const Json& layer : search["layers"]) {
    const std::string chosen = layer["chosen"];
    ++counts[chosen];
    absl::StrAppend(&html, "<i class=\"", ClassOf(chosen), "\" title=\"", EscapeHtml(layer["name"].get<std::string>()),
                    ": ", chosen, "\">", ++number, "</i>\n");
  }
  absl::StrAppend(&html, "</div>\n<p>");
  for (const auto& [precision, count] : counts) absl::StrAppend(&html, Chip(precision), " ", count, " layers ");
  return html + "</p>\n";
}

std::string Sensitivity(const Json& search) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const Json& layer : search["layers"]) {
    if (layer["sqnr_db"].is_null()) continue;
    low = std::min(low, layer["sqnr_db"].get<double>());
    high = std::max(high, layer["sqnr_db"].get<double>());
  }
  std::string html = "<div class=\"layers\">\n";
  int number = 0;
  for (const Json& layer : search["layers"]) {
    const std::string chosen = layer["chosen"];
    const Json& db = layer["sqnr_db"];
    // The most exact layer keeps a sliver, so that every bar is seen.
    const double share = db.is_null() ? 0 : high > low ? 0.03 + 0.97 * (high - db.get<double>()) / (high - low) : 1;
    std::string options;
    for (const Json& option : layer["options"])
      absl::StrAppendFormat(&options, "%s%s %.0f µs, %s", options.empty() ? "" : " · ",
                            option["precision"].get<std::string>(), option["time_us"].get<double>(),
                            FormatBytes(option["weight_bytes"]));
    absl::StrAppendFormat(
        &html,
        "<div class=\"layer %s\"><span class=\"muted\" style=\"grid-column:1\">%d</span><b>%s</b><span>%s "
        "%s</span><div class=\"bar\"><span style=\"width:%.1f%%\"></span></div><span class=\"muted\">%s</span></div>\n",
        ClassOf(chosen), ++number, EscapeHtml(layer["name"].get<std::string>()),
        db.is_null() ? std::string("no change") : Db(db), Chip(chosen), 100 * share, options);
  }
  return html + "</div>\n";
}

}  // namespace

std::string PlanPage(const Json& plan) {
  const Json& search = plan["search"];
  const std::string coarsest = search["coarsest"];
  const std::string body = absl::StrCat(
      kStyle, Summary(plan), "<section><h2>Accuracy against cost</h2>\n<figure>", Curve(search).Svg(),
      "</figure><p class=\"muted\">Every point is a network that was compiled and run over ",
      search["samples"].get<int64_t>(),
      " calibration samples; the line joins those that no other beats. Time is the sum of what layers and the borders "
      "between "
      "precisions took.</p>\n",
      PointTable(search), "</section>\n",
      "<section><h2>Precision map</h2><p class=\"muted\">The layers in the order of execution.</p>\n", Map(search),
      "</section>\n<section><h2>Sensitivity</h2><p class=\"muted\">SQNR of the outputs with one layer alone in ",
      coarsest, " and all others in FP32, over ", search["sensitivity_samples"].get<int64_t>(),
      " samples. The longer the bar (logarithmic), the more noise the layer makes; its colour is the precision chosen. "
      "Times "
      "are those in a network at one precision.</p>\n",
      Sensitivity(search), "</section>");
  return HtmlPage(absl::StrCat(plan["model"].get<std::string>(), "@", plan["variant"].get<std::string>()), body);
}

}  // namespace precis::cli
