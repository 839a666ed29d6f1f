#include "client/cli/terminal_plot.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace precis::cli {
namespace {

constexpr int kRowsPerDecade = 3;

bool Drawable(double value) { return std::isfinite(value) && value > 0; }

int RowOf(double value) { return static_cast<int>(std::lround(std::log10(value) * kRowsPerDecade)); }

}  // namespace

void PrintLogPlot(const std::vector<std::string>& columns, const std::vector<PlotSeries>& series, std::ostream& out) {
  size_t width = 4;
  for (const std::string& column : columns) width = std::max(width, column.size() + 1);
  std::map<int, std::string> rows;  // by height; only those with a marker at first
  for (const PlotSeries& one : series) {
    for (size_t i = 0; i < std::min(columns.size(), one.values.size()); ++i) {
      if (!Drawable(one.values[i])) continue;
      std::string& row = rows[RowOf(one.values[i])];
      row.resize(columns.size() * width, ' ');
      // Side by side where there is room, so that curves that meet are all seen.
      size_t place = (i + 1) * width - 1;
      while (row[place] != ' ' && place > i * width) --place;
      if (row[place] == ' ') row[place] = one.marker;
    }
  }
  if (rows.empty()) return;
  for (int row = rows.rbegin()->first; row >= rows.begin()->first; --row) {
    const bool decade = row % kRowsPerDecade == 0;
    std::string line = rows.contains(row) ? rows[row] : std::string();
    line.erase(line.find_last_not_of(' ') + 1);
    out << (decade ? absl::StrFormat("%8.0e", std::pow(10, row / kRowsPerDecade)) : std::string(8, ' '))
        << (decade ? " +" : " |") << line << "\n";
  }
  std::string axis(10, ' ');
  for (const std::string& column : columns) absl::StrAppend(&axis, std::string(width - column.size(), ' '), column);
  out << axis << "\n";
  std::string legend;
  for (const PlotSeries& one : series) absl::StrAppend(&legend, "   ", std::string(1, one.marker), " ", one.name);
  out << "       " << legend << "\n";
}

}  // namespace precis::cli
