#include "client/cli/swamp_page.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/html_page.h"
#include "client/cli/svg.h"

namespace precis::cli {
namespace {

constexpr double kLeft = 60, kRight = 385, kTop = 12, kBottom = 260;

struct Series {
  std::string name;
  std::vector<double> errors;  // one per chunk size; what is not positive and finite has no place on a logarithmic axis
};

bool Drawable(double error) { return std::isfinite(error) && error > 0; }

// The points of one way of adding up the chunks, by accumulator; the chunk sizes go to `chunks`.
std::vector<Series> SeriesOf(const Json& result, const std::string& outer, std::vector<std::string>* chunks) {
  std::vector<Series> all;
  for (const Json& point : result["points"]) {
    if (point["outer"] != outer) continue;
    const std::string name = point["accumulator"];
    if (all.empty() || all.back().name != name) {
      all.push_back({name, {}});
      chunks->clear();
    }
    const Json &error = point["relative_rms_error"], &chunk = point["chunk"];
    all.back().errors.push_back(error.is_null() ? INFINITY : error.get<double>());
    chunks->push_back(chunk == 0 ? std::string("all") : chunk.dump());
  }
  return all;
}

std::string Chart(const std::vector<Series>& all, const std::vector<std::string>& chunks) {
  double low = INFINITY, high = -INFINITY;  // decades
  for (const Series& one : all) {
    for (const double error : one.errors) {
      if (!Drawable(error)) continue;
      low = std::min(low, std::floor(std::log10(error)));
      high = std::max(high, std::ceil(std::log10(error)));
    }
  }
  if (!std::isfinite(low)) return "<p>No error, or nothing but overflows.</p>";
  high = std::max(high, low + 1);
  const auto x = [&](size_t i) {
    return kLeft + (static_cast<double>(i) + 0.5) / static_cast<double>(chunks.size()) * (kRight - kLeft);
  };
  const auto y = [&](double decade) { return kTop + (high - decade) / (high - low) * (kBottom - kTop); };
  std::string svg, legend;
  for (double decade = low; decade <= high; ++decade) {
    absl::StrAppend(&svg, SvgLine(kLeft, y(decade), kRight, y(decade), "grid"),
                    SvgText(kLeft - 8, y(decade) + 4, "end", absl::StrFormat("%.0e", std::pow(10, decade))));
  }
  const size_t step = (chunks.size() + 6) / 7;  // labels that fit
  for (size_t i = 0; i < chunks.size(); ++i) {
    if ((chunks.size() - 1 - i) % step == 0) absl::StrAppend(&svg, SvgText(x(i), kBottom + 18, "middle", chunks[i]));
  }
  for (size_t s = 0; s < all.size(); ++s) {
    std::string points, dots;
    for (size_t i = 0; i < all[s].errors.size(); ++i) {
      if (!Drawable(all[s].errors[i])) continue;
      const double height = y(std::log10(all[s].errors[i]));
      absl::StrAppendFormat(&points, "%.1f,%.1f ", x(i), height);
      absl::StrAppendFormat(&dots, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" class=\"dot\"/>", x(i), height);
    }
    absl::StrAppend(&svg, "<g class=\"", SeriesClass(s), "\"><polyline class=\"curve\" points=\"", points, "\"/>", dots,
                    "</g>");
    absl::StrAppend(&legend, "<span class=\"chip ", SeriesClass(s), "\">", all[s].name, "</span> ");
  }
  return absl::StrCat(SvgFigure(kBottom + 24, "Relative error over chunk size", svg), "<p>", legend, "</p>");
}

}  // namespace

std::string SwampPage(const Json& result) {
  const std::string source = result["source"];
  std::string body = absl::StrCat(
      SeriesStyle(), "<h1>What narrow accumulators lose</h1><p>", EscapeHtml(source), ": ",
      result["sums"].get<int64_t>(), " sums of ", result["k"].get<int64_t>(),
      " terms. The accumulators are emulated in software: an accelerator's arithmetic, not this CPU's.</p>\n");
  for (const char* outer : {"f32", "same"}) {
    std::vector<std::string> chunks;
    const std::vector<Series> all = SeriesOf(result, outer, &chunks);
    absl::StrAppend(
        &body, "<section><h2>Chunks added up in ", outer == std::string("f32") ? "f32" : "the same accumulator",
        "</h2>", Chart(all, chunks),
        "<p class=\"muted\">Relative rms error against f64 over the terms of a chunk; all: unchunked.</p></section>\n");
  }
  return HtmlPage(absl::StrCat(source, ": narrow accumulators"), body);
}

}  // namespace precis::cli
