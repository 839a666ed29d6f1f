// From the command line to the report, for one measurement or for each scenario of a file.

#include "loadtest/app.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/exit_code.h"
#include "engine/base/status_macros.h"
#include "loadtest/measure.h"
#include "loadtest/report.h"
#include "loadtest/scenarios.h"
#include "loadtest/settings.h"

namespace precis::loadtest {
namespace {

// One line, whatever bytes a message of the server may hold.
std::string Line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

int Refuse(const absl::Status& status, bool json, std::ostream& out, std::ostream& err) {
  const std::string code = absl::StatusCodeToString(status.code()), message(status.message());
  const int exit_code = cli::ExitCode(status);
  if (json) out << Line({{"error", {{"code", code}, {"message", message}}}});
  err << "precis_loadtest: " << (exit_code == cli::kWrongUsage ? "" : code + ": ") << message << "\n";
  return exit_code;
}

absl::Status InScenario(const std::string& name, const absl::Status& status) {
  const std::string message = absl::StrCat("scenario \"", name, "\": ", status.message());
  return cli::ExitCode(status) == cli::kWrongUsage ? cli::UsageError(message) : absl::Status(status.code(), message);
}

// Checks every scenario before the first one runs: a mistake in the last must not cost the time of the others.
absl::StatusOr<std::vector<std::pair<std::string, Settings>>> SettingsOfScenarios(const std::string& path,
                                                                                  const std::vector<std::string>& flags,
                                                                                  std::ostream& out,
                                                                                  std::ostream& err) {
  PRECIS_ASSIGN_OR_RETURN(const std::vector<Scenario> scenarios, ReadScenarios(path));
  std::vector<std::pair<std::string, Settings>> all;
  for (const Scenario& scenario : scenarios) {
    Settings settings;
    const auto ended = ParseCommandLine(MergeFlags(scenario, flags), &settings, out, err);
    if (!ended.ok()) return InScenario(scenario.name, ended.status());
    if (*ended || !settings.scenarios.empty()) {
      return cli::UsageError(
          absl::StrCat("scenario \"", scenario.name, "\": its flags are not those of a measurement"));
    }
    all.emplace_back(scenario.name, std::move(settings));
  }
  return all;
}

absl::StatusOr<Json> RunScenarios(const std::string& path, const std::vector<std::string>& flags, const Stage& stage,
                                  std::ostream& out, std::ostream& err) {
  PRECIS_ASSIGN_OR_RETURN(auto scenarios, SettingsOfScenarios(path, flags, out, err));
  Json results = Json::array();
  for (auto& [name, settings] : scenarios) {
    if (stage.stop) break;
    const absl::StatusOr<Json> result = Measure(settings, stage);
    if (!result.ok()) return InScenario(name, result.status());
    Json named = {{"scenario", name}};
    named.update(*result);
    results.push_back(std::move(named));
  }
  return Json{{"scenarios", results}};
}

}  // namespace

int RunApp(int argc, const char* const* argv, std::ostream& out, std::ostream& err, bool err_is_terminal,
           const std::atomic<bool>& stop) {
  const std::vector<std::string> flags(argv + 1, argv + argc);
  Settings settings;
  const absl::StatusOr<std::optional<int>> ended = ParseCommandLine(flags, &settings, out, err);
  if (!ended.ok()) return Refuse(ended.status(), settings.json, out, err);
  if (*ended) return **ended;
  const Stage stage{err_is_terminal && !settings.json ? &err : nullptr, stop};
  const absl::StatusOr<Json> result =
      settings.scenarios.empty() ? Measure(settings, stage) : RunScenarios(settings.scenarios, flags, stage, out, err);
  if (!result.ok()) return Refuse(result.status(), settings.json, out, err);
  if (settings.json) {
    out << Line(*result);
  } else if (settings.csv) {
    PrintCsv(*result, out);
  } else {
    PrintReport(*result, out);
  }
  return HasAnswers(*result) ? cli::kDone : cli::kRefused;
}

}  // namespace precis::loadtest
