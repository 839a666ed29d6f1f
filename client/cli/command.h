#ifndef PRECIS_CLIENT_CLI_COMMAND_H_
#define PRECIS_CLIENT_CLI_COMMAND_H_

// What the commands of `precis` share. A command computes one JSON object; --json prints it as it is, otherwise the
// command renders it as text. So both forms say the same.

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cli/exit_code.h"
#include "precis/client.h"

namespace precis::cli {

using Json = nlohmann::ordered_json;

// What a command works with.
struct Session {
  precis::Client* client;
  std::ostream* progress;     // text about what goes on, such as standard error
  bool progress_is_terminal;  // a progress bar may be drawn over and over
};

// Shows `line` in the place of the one before, on a terminal alone; "" leaves nothing.
void ShowLine(const Session& session, const std::string& line);

class Command {
 public:
  virtual ~Command() = default;
  // Adds this command's own subcommand to `app`; its flags are stored in this object.
  virtual CLI::App* Register(CLI::App* app) = 0;
  virtual absl::StatusOr<Json> Run(Session& session) = 0;
  // Renders what Run returned.
  virtual void Print(const Json& result, std::ostream& out) const = 0;
  // The exit code that goes with what Run returned.
  virtual int ExitCodeOf(const Json&) const { return kDone; }
};

// One of each, in the order in which --help lists them.
std::vector<std::unique_ptr<Command>> AllCommands();
std::unique_ptr<Command> MakeModelsCommand();
std::unique_ptr<Command> MakeLoadCommand();
std::unique_ptr<Command> MakeUnloadCommand();
std::unique_ptr<Command> MakeCalibrateCommand();
std::unique_ptr<Command> MakeInferCommand();
std::unique_ptr<Command> MakeCompareCommand();
std::unique_ptr<Command> MakeSwampCommand();
std::unique_ptr<Command> MakePlanCommand();
std::unique_ptr<Command> MakeTrafficCommand();
std::unique_ptr<Command> MakeDriftCommand();
std::unique_ptr<Command> MakeStatsCommand();
std::unique_ptr<Command> MakeHealthCommand();
std::unique_ptr<Command> MakeVersionCommand();

// "net@int8" as {"net", "int8"}, "net" as {"net", ""}.
struct ModelName {
  std::string model, variant;
};
ModelName SplitModelName(const std::string& name);

// Loads one variant (its default one when `name` has no @variant) and shows the progress.
absl::StatusOr<client::VariantStatus> LoadWithProgress(Session& session, const client::LoadVariantRequest& request);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_COMMAND_H_
