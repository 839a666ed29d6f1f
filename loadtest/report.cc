#include "loadtest/report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/cli/table.h"

namespace precis::loadtest {
namespace {

// A generator that is later than this share of the median latency measures itself.
constexpr double kLateShare = 0.1;

double Milliseconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

Json PercentileJson(const LatencyHistogram& latency, double percent) {
  return latency.count() > 0 ? Json(Milliseconds(latency.Percentile(percent))) : Json();
}

Json LatencyJson(const LatencyHistogram& latency) {
  Json json;
  for (const auto& [name, percent] :
       {std::pair("p50", 50.0), {"p90", 90.0}, {"p95", 95.0}, {"p99", 99.0}, {"p99_9", 99.9}}) {
    json[name] = PercentileJson(latency, percent);
  }
  const bool any = latency.count() > 0;
  json["mean"] = any ? Json(latency.mean() / 1e6) : Json();
  json["min"] = any ? Json(Milliseconds(latency.min())) : Json();
  json["max"] = any ? Json(Milliseconds(latency.max())) : Json();
  return json;
}

Json WindowJson(const Tally& window, double seconds) {
  return {{"throughput", static_cast<double>(window.answers) / seconds},
          {"calls", window.calls},
          {"failed_calls", window.failed()},
          {"p50_ms", PercentileJson(window.latency, 50)},
          {"p99_ms", PercentileJson(window.latency, 99)}};
}

std::string Number(const Json& value, const char* unit = " ms") {
  return value.is_number() ? absl::StrFormat("%.2f%s", value.get<double>(), unit) : "-";
}

std::string LoadText(const Json& load) {
  if (load["kind"] == "closed") {
    const int clients = load["concurrency"];
    return absl::StrCat("closed loop of ", clients, clients == 1 ? " client" : " clients");
  }
  std::string text = absl::StrFormat("open loop, %.1f calls/s, %s", load["rate"].get<double>(),
                                     load["arrivals"] == "poisson" ? "Poisson arrivals" : "uniform arrivals");
  if (load.contains("share_of_capacity")) {
    absl::StrAppendFormat(&text, " (%.0f %% of %.1f/s)", 100 * load["share_of_capacity"].get<double>(),
                          load["capacity"].get<double>());
  }
  return text;
}

}  // namespace

Json ResultJson(const RunResult& result, int batch) {
  const Tally& total = result.total;
  Json windows = Json::array();
  for (const Tally& window : result.windows) windows.push_back(WindowJson(window, result.window_seconds));
  Json json = {
      {"throughput", result.throughput()},
      {"latency_ms", LatencyJson(total.latency)},
      {"calls", total.calls},
      {"failed_calls", total.failed()},
      {"errors", Json(total.errors)},
      {"retries", total.retries},
      {"duration_s", result.seconds},
      {"batch", batch},
      {"items_per_second", result.throughput() * batch},
      {"stable", result.stable},
      {"window_s", result.window_seconds},
      {"windows", windows},
      {"send_delay_ms", {{"p50", PercentileJson(total.send_delay, 50)}, {"p99", PercentileJson(total.send_delay, 99)}}},
      {"unmeasured", {{"calls", result.outside.calls}, {"errors", Json(result.outside.errors)}}}};
  if (!total.first_error.empty()) json["error_messages"] = Json(total.first_error);
  if (json["errors"].is_null()) json["errors"] = Json::object();
  if (json["unmeasured"]["errors"].is_null()) json["unmeasured"]["errors"] = Json::object();
  if (result.interrupted) json["interrupted"] = true;
  return json;
}

Json LoadJson(const Load& load) {
  if (load.concurrency > 0) return {{"kind", "closed"}, {"concurrency", load.concurrency}};
  return {
      {"kind", "open"}, {"rate", load.rate}, {"arrivals", load.arrivals == Arrivals::kPoisson ? "poisson" : "uniform"}};
}

namespace {

void PrintResult(const Json& result, std::ostream& out) {
  const Json& latency = result["latency_ms"];
  out << result["model"].get<std::string>() << " at " << result["target"].get<std::string>() << ", "
      << LoadText(result["load"]) << absl::StrFormat(", %.1f s", result["duration_s"].get<double>())
      << (result.contains("interrupted") ? ", interrupted" : "") << "\n\n";
  out << "  throughput  " << Number(result["throughput"], "/s");
  if (result["batch"] > 1) out << ", " << Number(result["items_per_second"], " items/s");
  out << "\n  latency     p50 " << Number(latency["p50"]) << "  p90 " << Number(latency["p90"]) << "  p99 "
      << Number(latency["p99"]) << "  p99.9 " << Number(latency["p99_9"]) << "  max " << Number(latency["max"]) << "\n";
  out << "  calls       " << result["calls"] << ", " << result["failed_calls"] << " failed, " << result["retries"]
      << " retries\n";
  for (const auto& [code, count] : result["errors"].items()) {
    out << "              " << count << " " << code << ": " << result["error_messages"][code].get<std::string>()
        << "\n";
  }
  for (const auto& [code, count] : result["unmeasured"]["errors"].items()) {
    out << "              outside of the measurement: " << count << " " << code << "\n";
  }
  const Json& windows = result["windows"];
  std::vector<std::string> rates;
  for (size_t i = windows.size() - std::min<size_t>(3, windows.size()); i < windows.size(); ++i) {
    rates.push_back(Number(windows[i]["throughput"], ""));
  }
  out << "  windows     " << (result["stable"] ? "stable" : "not stable") << ": the last are "
      << absl::StrJoin(rates, ", ") << "/s\n";
  const Json& delay = result["send_delay_ms"]["p99"];
  if (delay.is_number() && latency["p50"].is_number() && delay > kLateShare * latency["p50"].get<double>()) {
    out << "  warning     the load generator itself sent late (p99 " << Number(delay)
        << "): it lacks processor time, or --max-in-flight held it back\n";
  }
}

void PrintSearch(const Json& result, std::ostream& out) {
  const Json& search = result["search"];
  out << "search for p99 within " << Number(search["p99_bound_ms"]) << ":\n\n";
  cli::Table table({">RATE/S", ">ANSWERS/S", ">P99 MS", ">FAILED", "KEPT"});
  for (const Json& one : search["tried"]) {
    table.AddRow({Number(one["rate"], ""), Number(one["throughput"], ""), Number(one["p99_ms"], ""),
                  one["failed_calls"].dump(), one["kept"].get<bool>() ? "yes" : "no"});
  }
  table.Print(out);
  if (search["rate"] == 0) {
    out << "\nno rate keeps it\n";
    return;
  }
  out << absl::StrFormat("\nhighest rate: %.1f/s, %.0f %% of what the closed loop gets%s\n\n",
                         search["rate"].get<double>(), 100 * search["share_of_capacity"].get<double>(),
                         search["confirmed"].get<bool>() ? ", kept twice" : ", not confirmed");
  PrintResult(result, out);
}

void PrintSideBySide(const Json& report, std::ostream& out) {
  PrintResult(report["a"], out);
  out << "\n";
  PrintResult(report["b"], out);
  out << "\nsecond over first, slice by slice (median, quartiles):\n";
  for (const auto& [name, ratio] : report["b_over_a"].items()) {
    if (!ratio.is_object()) continue;
    out << absl::StrFormat("  %-10s  %.3f  (%.3f to %.3f)\n", name, ratio["median"].get<double>(),
                           ratio["low"].get<double>(), ratio["high"].get<double>());
  }
}

// Every single result of a report, with the scenario's name where there is one.
std::vector<Json> ResultsOf(const Json& report) {
  std::vector<Json> results;
  if (report.contains("scenarios")) {
    for (const Json& scenario : report["scenarios"]) {
      for (Json& result : ResultsOf(scenario)) {
        result["scenario"] = scenario["scenario"];
        results.push_back(std::move(result));
      }
    }
  } else if (report.contains("a")) {
    results = {report["a"], report["b"]};
  } else {
    results = {report};
  }
  return results;
}

// A cell as CSV has it (RFC 4180): in quotes where it holds a comma, a quote or a line's end.
std::string Cell(const Json& value) {
  if (value.is_null()) return "";
  if (!value.is_string()) return value.dump();
  const std::string text = value.get<std::string>();
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

std::string ErrorsText(const Json& errors) {
  std::vector<std::string> texts;
  for (const auto& [code, count] : errors.items()) texts.push_back(absl::StrCat(code, ":", count.dump()));
  return absl::StrJoin(texts, " ");
}

}  // namespace

void PrintReport(const Json& report, std::ostream& out) {
  if (report.contains("scenarios")) {
    for (const Json& scenario : report["scenarios"]) {
      out << "== " << scenario["scenario"].get<std::string>() << "\n\n";
      PrintReport(Json(scenario), out);
      out << "\n";
    }
  } else if (report.contains("a")) {
    PrintSideBySide(report, out);
  } else if (report.contains("search")) {
    PrintSearch(report, out);
  } else {
    PrintResult(report, out);
  }
}

void PrintCsv(const Json& report, std::ostream& out) {
  out << "scenario,target,model,concurrency,rate,throughput,p50_ms,p90_ms,p95_ms,p99_ms,p99_9_ms,mean_ms,max_ms,calls,"
         "failed_calls,errors,retries,duration_s,batch,stable\n";
  for (const Json& result : ResultsOf(report)) {
    const Json &latency = result["latency_ms"], &load = result["load"];
    std::vector<std::string> cells = {
        Cell(result.value("scenario", Json())),  Cell(result["target"]),           Cell(result["model"]),
        Cell(load.value("concurrency", Json())), Cell(load.value("rate", Json())), Cell(result["throughput"])};
    for (const char* key : {"p50", "p90", "p95", "p99", "p99_9", "mean", "max"}) cells.push_back(Cell(latency[key]));
    cells.insert(cells.end(),
                 {Cell(result["calls"]), Cell(result["failed_calls"]), Cell(ErrorsText(result["errors"])),
                  Cell(result["retries"]), Cell(result["duration_s"]), Cell(result["batch"]), Cell(result["stable"])});
    out << absl::StrJoin(cells, ",") << "\n";
  }
}

bool HasAnswers(const Json& report) {
  const std::vector<Json> results = ResultsOf(report);
  return std::all_of(results.begin(), results.end(),
                     [](const Json& result) { return result["calls"] > result["failed_calls"]; });
}

}  // namespace precis::loadtest
