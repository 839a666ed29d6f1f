#ifndef PRECIS_CLIENT_CLI_HTML_PAGE_H_
#define PRECIS_CLIENT_CLI_HTML_PAGE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace precis::cli {

// `text` as it stands in an element or an attribute's value.
std::string EscapeHtml(absl::string_view text);

// A page that needs nothing but itself, reads well on a phone, and follows the reader's light or dark mode. `body` is HTML; the style
// knows h1, h2, p, table, .cards of .card (a .value over a .label), .muted, .chip, figures of one svg, and the classes int8, bf16, fp16
// and fp32, which set the colour --c.
std::string HtmlPage(absl::string_view title, absl::string_view body);

// Writes `page` to `path`. Errors: InvalidArgument names the path.
absl::Status WritePage(const std::string& path, absl::string_view page);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_HTML_PAGE_H_
