#include "loadtest/scenarios.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "client/cli/exit_code.h"
#include "engine/base/status_macros.h"

namespace precis::loadtest {
namespace {

using Json = nlohmann::ordered_json;

std::string NameOf(const std::string& flag) { return flag.substr(0, flag.find('=')); }

// Appends --name=value, or --name alone for true. False where the value has no form as a flag.
bool AppendFlag(const std::string& name, const Json& value, std::vector<std::string>* flags) {
  if (value.is_boolean()) {
    if (value.get<bool>()) flags->push_back("--" + name);
    return true;
  }
  if (value.is_array()) {
    for (const Json& one : value) {
      if (one.is_structured() || !AppendFlag(name, one, flags)) return false;
    }
    return true;
  }
  if (!value.is_string() && !value.is_number()) return false;
  flags->push_back(absl::StrCat("--", name, "=", value.is_string() ? value.get<std::string>() : value.dump()));
  return true;
}

}  // namespace

absl::StatusOr<std::vector<Scenario>> ParseScenarios(const std::string& text) {
  Json json;
  try {
    json = Json::parse(text, nullptr, true, /*ignore_comments=*/true);
  } catch (const Json::exception& error) {
    return cli::UsageError(absl::StrCat("no JSON: ", error.what()));
  }
  if (!json.is_object() || json.empty()) {
    return cli::UsageError("want a JSON object of scenarios, {\"name\": {\"model\": …}, …}");
  }
  std::vector<Scenario> scenarios;
  for (const auto& [name, settings] : json.items()) {
    if (!settings.is_object()) return cli::UsageError(absl::StrCat("scenario \"", name, "\": want an object of flags"));
    Scenario scenario{name, {}};
    for (const auto& [flag, value] : settings.items()) {
      if (!AppendFlag(flag, value, &scenario.flags)) {
        return cli::UsageError(absl::StrCat("scenario \"", name, "\": \"", flag, "\" is ", value.dump(),
                                            ", want a text, a number, true, or a list of them"));
      }
    }
    scenarios.push_back(std::move(scenario));
  }
  return scenarios;
}

absl::StatusOr<std::vector<Scenario>> ReadScenarios(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) return cli::UsageError(path + ": cannot read");
  auto scenarios = ParseScenarios(text.str());
  if (!scenarios.ok()) return cli::UsageError(absl::StrCat(path, ": ", scenarios.status().message()));
  return scenarios;
}

std::vector<std::string> MergeFlags(const Scenario& scenario, const std::vector<std::string>& command_line) {
  std::set<std::string> given;
  std::vector<std::string> merged;
  for (size_t i = 0; i < command_line.size(); ++i) {
    const std::string& word = command_line[i];
    if (NameOf(word) == "--scenarios") {
      if (word == "--scenarios") ++i;  // its value is the next word
      continue;
    }
    if (word.starts_with("--")) given.insert(NameOf(word));
    merged.push_back(word);
  }
  for (const std::string& flag : scenario.flags) {
    if (!given.contains(NameOf(flag))) merged.push_back(flag);
  }
  return merged;
}

}  // namespace precis::loadtest
