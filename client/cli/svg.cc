#include "client/cli/svg.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/html_page.h"

namespace precis::cli {
namespace {

constexpr size_t kColors = 6;

}  // namespace

std::string SvgFigure(double height, absl::string_view label, absl::string_view content) {
  return absl::StrFormat("<figure><svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">%s</svg></figure>\n",
                         kSvgWidth, height, EscapeHtml(label), content);
}

std::string SvgText(double x, double y, absl::string_view anchor, absl::string_view text, bool strong) {
  return absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>%s</text>", x, y, anchor,
                         strong ? " class=\"strong\"" : "", EscapeHtml(text));
}

std::string SvgLine(double x1, double y1, double x2, double y2, absl::string_view css_class) {
  return absl::StrFormat("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>", x1, y1, x2, y2,
                         css_class);
}

absl::string_view SeriesStyle() {
  return R"(<style>
:root{--v0:#5b6876;--v1:#2672cf;--v2:#13795b;--v3:#c2386f;--v4:#b26a00;--v5:#7a4fd0}
@media(prefers-color-scheme:dark){:root{--v0:#a9b6c3;--v1:#5fa3f5;--v2:#4cc79a;--v3:#f07aa6;--v4:#f0b13c;--v5:#b699ff}}
.v0{--c:var(--v0)}.v1{--c:var(--v1)}.v2{--c:var(--v2)}.v3{--c:var(--v3)}.v4{--c:var(--v4)}.v5{--c:var(--v5)}
.bar{fill:var(--c)}.whisker,.curve{stroke:var(--c);stroke-width:2.5;fill:none}.dot{fill:var(--c)}
.grid{stroke:var(--line)}.limit{stroke:var(--ink);stroke-dasharray:4 3}
svg{max-width:34rem}
td .muted{display:block}
</style>
)";
}

std::string SeriesClass(size_t index) { return absl::StrCat("v", index % kColors); }

}  // namespace precis::cli
