#include "client/cli/html_page.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace precis::cli {
namespace {

constexpr absl::string_view kStyle = R"(
:root{color-scheme:light dark;--page:#f6f7f9;--panel:#fff;--ink:#16202c;--muted:#5b6876;--line:#d9dee4;--good:#13795b;--bad:#b3261e;
--int8:#2672cf;--bf16:#d98a00;--fp16:#1b9e77;--fp32:#c2386f}
@media(prefers-color-scheme:dark){:root{--page:#11161c;--panel:#1a2129;--ink:#e8edf2;--muted:#9aa7b4;--line:#313b46;--good:#4cc79a;
--bad:#ff8a80;--int8:#5fa3f5;--bf16:#f0b13c;--fp16:#45cfa0;--fp32:#f07aa6}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:0 0 .5rem}
p{margin:.4rem 0}
section{background:var(--panel);border:1px solid var(--line);border-radius:.75rem;padding:1rem;margin:1rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.75rem;margin:1rem 0}
.card{background:var(--panel);border:1px solid var(--line);border-radius:.75rem;padding:.6rem .9rem}
.value{font-size:1.35rem;font-weight:650;font-variant-numeric:tabular-nums}
.label,.muted{color:var(--muted);font-size:.86rem}
.good{color:var(--good)}.bad{color:var(--bad)}
.int8{--c:var(--int8)}.bf16{--c:var(--bf16)}.fp16{--c:var(--fp16)}.fp32{--c:var(--fp32)}
.chip{display:inline-block;border-radius:1rem;padding:0 .55rem;font-size:.8rem;line-height:1.4rem;border:1.5px solid var(--c);
color:var(--c);white-space:nowrap}
figure{margin:.5rem 0}
svg{display:block;width:100%;max-width:44rem;height:auto;margin:0 auto;font:13px system-ui,sans-serif}
svg text{fill:var(--muted)}svg .strong{fill:var(--ink);font-weight:600}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--muted);font-weight:500}td.n,th.n{text-align:right}
tr.chosen td{font-weight:650}
)";

}  // namespace

std::string EscapeHtml(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::string HtmlPage(absl::string_view title, absl::string_view body) {
  return absl::StrCat("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n",
                      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
                      EscapeHtml(title), "</title>\n<style>", kStyle, "</style></head>\n<body><main>\n", body,
                      "\n</main></body></html>\n");
}

absl::Status WritePage(const std::string& path, absl::string_view page) {
  std::ofstream file(path, std::ios::binary);
  file << page;
  if (!file.flush()) return absl::InvalidArgumentError(absl::StrCat(path, ": cannot write"));
  return absl::OkStatus();
}

}  // namespace precis::cli
