#include "client/cli/command.h"

#include <charconv>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace precis::cli {
namespace {

constexpr char kUsagePayload[] = "precis/usage";

}  // namespace

absl::Status UsageError(const std::string& message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsagePayload, absl::Cord());
  return status;
}

int ExitCode(const absl::Status& status) {
  if (status.ok()) return kDone;
  return status.GetPayload(kUsagePayload).has_value() ? kWrongUsage : kRefused;
}

std::vector<std::unique_ptr<Command>> AllCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(MakeModelsCommand());
  commands.push_back(MakeLoadCommand());
  commands.push_back(MakeUnloadCommand());
  commands.push_back(MakeInferCommand());
  commands.push_back(MakeCompareCommand());
  commands.push_back(MakePlanCommand());
  commands.push_back(MakeSwampCommand());
  commands.push_back(MakeTrafficCommand());
  commands.push_back(MakeDriftCommand());
  commands.push_back(MakeStatsCommand());
  commands.push_back(MakeHealthCommand());
  commands.push_back(MakeVersionCommand());
  return commands;
}

ModelName SplitModelName(const std::string& name) {
  const size_t at = name.rfind('@');
  if (at == std::string::npos) return {name, ""};
  return {name.substr(0, at), name.substr(at + 1)};
}

absl::StatusOr<std::map<std::string, std::vector<int64_t>>> ParseShapes(const std::vector<std::string>& flags) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const std::string& flag : flags) {
    const size_t equals = flag.rfind('=');
    std::vector<int64_t> shape;
    bool good = equals != std::string::npos && equals > 0;
    for (const std::string& text : good ? absl::StrSplit(flag.substr(equals + 1), ',') : std::vector<std::string>()) {
      int64_t dimension = 0;
      good = good && absl::SimpleAtoi(text, &dimension) && dimension >= 0;
      shape.push_back(dimension);
    }
    if (!good) return UsageError(absl::StrCat("--shape ", flag, ": want INPUT=1,3,224,224"));
    shapes[flag.substr(0, equals)] = std::move(shape);
  }
  return shapes;
}

}  // namespace precis::cli
