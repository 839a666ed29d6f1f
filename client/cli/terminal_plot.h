#ifndef PRECIS_CLIENT_CLI_TERMINAL_PLOT_H_
#define PRECIS_CLIENT_CLI_TERMINAL_PLOT_H_

#include <ostream>
#include <string>
#include <vector>

namespace precis::cli {

struct PlotSeries {
  char marker;
  std::string name;
  std::vector<double> values;  // one per column; what is not positive and finite is not drawn
};

// Draws series of positive values over labelled columns as text. The vertical axis is logarithmic, three lines to a decade;
// markers that would meet stand side by side.
void PrintLogPlot(const std::vector<std::string>& columns, const std::vector<PlotSeries>& series, std::ostream& out);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_TERMINAL_PLOT_H_
