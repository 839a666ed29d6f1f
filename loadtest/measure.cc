#include "loadtest/measure.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "loadtest/progress_bar.h"
#include "loadtest/rate_search.h"
#include "loadtest/target.h"
#include "stats/percentile.h"

namespace precis::loadtest {
namespace {

RunResult RunOn(Target& target, const Load& load, const RunOptions& options, const std::string& what,
                const Stage& stage) {
  ProgressBar bar(stage.terminal);
  return Run(
      *target.caller, target.requests, load, options, [&](const Progress& progress) { bar.Show(what, progress); },
      stage.stop);
}

// Answers per second that a closed loop of --capacity-clients gets.
absl::StatusOr<double> CapacityOf(Target& target, const Settings& settings, const Stage& stage) {
  Load closed;
  closed.concurrency = settings.capacity_clients;
  const RunResult result = RunOn(target, closed, settings.run, "capacity of " + target.model, stage);
  if (result.total.answers > 0) return result.throughput();
  std::string why = "no call succeeded while the capacity was measured";
  if (!result.total.first_error.empty()) why += ": " + result.total.first_error.begin()->second;
  return absl::UnavailableError(why);
}

// The load that the settings ask for; finds out the capacity where the rate is a share of it, and says so in `json`.
absl::StatusOr<Load> LoadFor(Target& target, const Settings& settings, const Stage& stage, Json* json) {
  Load load = settings.load;
  if (!settings.rate || settings.rate->of_capacity == 0) {
    *json = LoadJson(load);
    return load;
  }
  PRECIS_ASSIGN_OR_RETURN(const double capacity, CapacityOf(target, settings, stage));
  load.rate = settings.rate->of_capacity * capacity;
  *json = LoadJson(load);
  (*json)["share_of_capacity"] = settings.rate->of_capacity;
  (*json)["capacity"] = capacity;
  return load;
}

Json NameOf(const Target& target) { return {{"target", target.address}, {"model", target.model}}; }

absl::StatusOr<Json> MeasureOne(const Settings& settings, const Stage& stage) {
  PRECIS_ASSIGN_OR_RETURN(Target target, OpenTarget(settings, settings.target, settings.model));
  Json json = NameOf(target), how;
  PRECIS_ASSIGN_OR_RETURN(const Load load, LoadFor(target, settings, stage, &how));
  json["load"] = how;
  json.update(ResultJson(RunOn(target, load, settings.run, settings.model, stage), settings.source.batch));
  return json;
}

absl::StatusOr<Json> SearchRate(const Settings& settings, const Stage& stage) {
  PRECIS_ASSIGN_OR_RETURN(Target target, OpenTarget(settings, settings.target, settings.model));
  PRECIS_ASSIGN_OR_RETURN(const double capacity, CapacityOf(target, settings, stage));
  const double bound_ms = absl::ToDoubleMilliseconds(*settings.search_p99);
  RateSearch search(capacity / 2, settings.search_precision);
  Load load = settings.load;
  RunResult best;
  Json tried = Json::array();
  while (const std::optional<double> rate = search.Next()) {
    load.rate = *rate;
    ++load.seed;  // other arrivals each time: a rate must not be judged by one lucky sequence
    RunResult result = RunOn(target, load, settings.run, absl::StrFormat("%.1f/s", *rate), stage);
    if (result.interrupted) break;
    const Tally& total = result.total;
    const double p99_ms = total.latency.count() > 0 ? static_cast<double>(total.latency.Percentile(99)) / 1e6 : 0;
    const bool kept = total.latency.count() > 0 && total.failed() == 0 && p99_ms <= bound_ms;
    tried.push_back({{"rate", *rate},
                     {"throughput", result.throughput()},
                     {"p99_ms", total.latency.count() > 0 ? Json(p99_ms) : Json()},
                     {"failed_calls", total.failed()},
                     {"kept", kept}});
    search.Report(kept);
    if (kept && *rate == search.best()) best = std::move(result);
  }
  load.rate = search.best();
  Json json = NameOf(target);
  json["load"] = LoadJson(load);
  json["search"] = {{"p99_bound_ms", bound_ms},
                    {"rate", search.best()},
                    {"share_of_capacity", search.best() / capacity},
                    {"capacity", capacity},
                    {"confirmed", !search.Next().has_value() && search.best() > 0},
                    {"tried", tried}};
  json.update(ResultJson(best, settings.source.batch));
  return json;
}

// One side of a comparison, slice by slice.
struct Side {
  Target target;
  Tally total, outside;
  std::vector<Tally> slices;
};

// Median and quartiles of b's value over a's, slice by slice; null without slices in which both have one.
Json RatioJson(const Side& a, const Side& b, double (*value)(const Tally&)) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(a.slices.size(), b.slices.size()); ++i) {
    const double of_a = value(a.slices[i]), of_b = value(b.slices[i]);
    if (of_a > 0 && of_b > 0) ratios.push_back(of_b / of_a);
  }
  if (ratios.empty()) return {};
  return {{"median", stats::Percentile(ratios, 50)},
          {"low", stats::Percentile(ratios, 25)},
          {"high", stats::Percentile(ratios, 75)}};
}

double LatencyOf(const Tally& slice, double percent) {
  return slice.latency.count() > 0 ? static_cast<double>(slice.latency.Percentile(percent)) : 0;
}

Json SideJson(const Side& side, const Json& load, double slice_seconds, bool interrupted, const Settings& settings) {
  RunResult result;
  result.total = side.total;
  result.outside = side.outside;
  result.windows = side.slices;
  result.window_seconds = slice_seconds;
  result.seconds = slice_seconds * static_cast<double>(side.slices.size());
  result.interrupted = interrupted;
  result.stable = side.slices.size() >= 3 && Agree(std::span(side.slices).last(3), settings.run.stability);
  Json json = NameOf(side.target);
  json["load"] = load;
  json.update(ResultJson(result, settings.source.batch));
  return json;
}

absl::StatusOr<Json> MeasureSideBySide(const Settings& settings, const Stage& stage) {
  Side sides[2];
  PRECIS_ASSIGN_OR_RETURN(sides[0].target, OpenTarget(settings, settings.target, settings.model));
  PRECIS_ASSIGN_OR_RETURN(
      sides[1].target, OpenTarget(settings, settings.against_target.empty() ? settings.target : settings.against_target,
                                  settings.against_model.empty() ? settings.model : settings.against_model));
  Json how;
  PRECIS_ASSIGN_OR_RETURN(Load load, LoadFor(sides[0].target, settings, stage, &how));
  const Clock::duration slice = absl::ToChronoNanoseconds(settings.slice);
  const int64_t pairs = std::max<int64_t>(1, settings.run.duration / slice);
  for (int64_t pair = 0; pair < pairs && !stage.stop; ++pair) {
    ++load.seed;  // both sides of a pair get the same arrivals
    for (const int turn : {0, 1}) {
      Side& side = sides[(pair + turn) % 2];  // a b, b a, a b: neither is always the first
      RunOptions options = settings.run;
      options.duration = options.window = slice;
      options.until_stable = {};
      options.warmup = pair == 0 ? settings.run.warmup : slice / 10;
      const RunResult result =
          RunOn(side.target, load, options, absl::StrFormat("%s, %d of %d", side.target.model, pair + 1, pairs), stage);
      side.outside.Merge(result.outside);
      if (result.interrupted) continue;
      side.total.Merge(result.total);
      side.slices.push_back(result.total);
    }
  }
  const double seconds = absl::ToDoubleSeconds(settings.slice);
  return Json{{"a", SideJson(sides[0], how, seconds, stage.stop, settings)},
              {"b", SideJson(sides[1], how, seconds, stage.stop, settings)},
              {"b_over_a",
               {{"throughput", RatioJson(sides[0], sides[1], [](const Tally& s) { return double(s.answers); })},
                {"p50", RatioJson(sides[0], sides[1], [](const Tally& s) { return LatencyOf(s, 50); })},
                {"p99", RatioJson(sides[0], sides[1], [](const Tally& s) { return LatencyOf(s, 99); })}}}};
}

}  // namespace

absl::StatusOr<Json> Measure(const Settings& settings, const Stage& stage) {
  if (settings.search_p99) return SearchRate(settings, stage);
  if (settings.side_by_side()) return MeasureSideBySide(settings, stage);
  return MeasureOne(settings, stage);
}

}  // namespace precis::loadtest
