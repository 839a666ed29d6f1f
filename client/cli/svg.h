#ifndef PRECIS_CLIENT_CLI_SVG_H_
#define PRECIS_CLIENT_CLI_SVG_H_

// Pieces of the pages' drawings: SVG inside HTML, coloured by the page's variables, so that it scales to a phone and follows dark mode.

#include <string>

#include "absl/strings/string_view.h"

namespace precis::cli {

// Of a drawing, in units of its view box: about a phone's width in pixels, so that the text keeps its size there.
inline constexpr double kSvgWidth = 400;

// A figure of one drawing; `label` says what it shows to those who cannot see it.
std::string SvgFigure(double height, absl::string_view label, absl::string_view content);
// `anchor`: start, middle or end. `text` is escaped.
std::string SvgText(double x, double y, absl::string_view anchor, absl::string_view text, bool strong = false);
std::string SvgLine(double x1, double y1, double x2, double y2, absl::string_view css_class);

// The style of the classes v0 to v5, which set the colour --c of a series, and of the shapes drawn with it: bar, curve, whisker, dot;
// grid and limit lines. For the page's body.
absl::string_view SeriesStyle();
// "v0", "v1", …; colours repeat after six.
std::string SeriesClass(size_t index);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_SVG_H_
