// The command line: flags that every command has, then the commands of command.h. CLI11 throws; what it throws ends here.

#include "client/cli/app.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "client/cli/command.h"
#include "client/cli/flags.h"
#include "engine/base/status_macros.h"

namespace precis::cli {
namespace {

// Flags of every command, before or after its name.
struct GlobalFlags {
  std::string server = "localhost:8001";
  absl::Duration timeout = absl::Seconds(30), load_timeout = absl::Minutes(10);
  std::string wait_ready;
  bool json = false;
  client::TlsOptions tls;

  void Register(CLI::App* app) {
    app->add_option("--server", server, "Where the server listens")
        ->type_name("HOST:PORT")
        ->envname("PRECIS_SERVER")
        ->capture_default_str();
    app->add_flag("--json", json, "Print one JSON object on one line");
    AddDurationFlag(app, "--timeout", &timeout, "How long a call may take");
    AddDurationFlag(app, "--load-timeout", &load_timeout, "The same for load and unload");
    app->add_flag("--wait-ready{60s}", wait_ready, "Wait for the server to be ready first; --wait-ready=5m for longer")
        ->check(IsDuration());
    AddTlsFlags(app, &tls);
  }
};

absl::StatusOr<Json> Execute(const GlobalFlags& flags, Command& command, std::ostream& err, bool err_is_terminal) {
  client::ClientOptions options;
  options.target = flags.server;
  options.deadline = flags.timeout;
  options.load_deadline = flags.load_timeout;
  options.tls = flags.tls;
  absl::StatusOr<std::unique_ptr<Client>> client = Client::Connect(options);
  if (!client.ok()) return UsageError(std::string(client.status().message()));
  if (absl::Duration patience; absl::ParseDuration(flags.wait_ready, &patience)) {
    PRECIS_RETURN_IF_ERROR((*client)->WaitUntilServing(patience));
  }
  Session session{client->get(), &err, err_is_terminal && !flags.json};
  return command.Run(session);
}

// One line, whatever bytes a message of the server may hold.
std::string Line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

int Finish(const absl::StatusOr<Json>& result, const Command& command, bool json, std::ostream& out,
           std::ostream& err) {
  if (!result.ok()) {
    const std::string code = absl::StatusCodeToString(result.status().code());
    const std::string message(result.status().message());
    const bool usage = ExitCode(result.status()) == kWrongUsage;
    if (json) out << Line({{"error", {{"code", code}, {"message", message}}}});
    err << "precis: " << (usage ? "" : code + ": ") << message << "\n";
    return ExitCode(result.status());
  }
  if (json) {
    out << Line(*result);
  } else {
    command.Print(*result, out);
  }
  return command.ExitCodeOf(*result);
}

}  // namespace

int RunApp(int argc, const char* const* argv, std::ostream& out, std::ostream& err, bool err_is_terminal) {
  CLI::App app("precis: talks to a Precis server, or any KServe-v2 server, over gRPC", "precis");
  app.require_subcommand(1);
  app.fallthrough();  // global flags may stand after the command's name
  app.option_defaults()->always_capture_default(false);
  GlobalFlags flags;
  flags.Register(&app);
  app.footer(
      "Exit codes: 0 done, 1 the server or the model said no, 2 wrong usage.\n"
      "precis COMMAND --help explains a command, with examples.\n\n"
      "Examples:\n"
      "  precis models\n"
      "  precis load resnet50@int8\n"
      "  precis infer resnet50@int8 cat.jpg --resize=256 --crop=224 --mean=.485,.456,.406 --std=.229,.224,.225\n"
      "  precis compare resnet50 --variants=fp32,int8 --data=photos --server=10.0.0.7:8001 --json");
  const std::vector<std::unique_ptr<Command>> commands = AllCommands();
  std::vector<CLI::App*> subcommands;
  for (const auto& command : commands) {
    CLI::App* subcommand = command->Register(&app);
    subcommand->footer(subcommand->get_footer() +
                       "\n\nFlags of every command, such as --server and --json: precis --help");
    subcommands.push_back(subcommand);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    for (const std::string& word : app.remaining()) {
      if (word.starts_with('-')) continue;
      err << "precis: there is no command \"" << word << "\"; precis --help lists them\n";
      return kWrongUsage;
    }
    return app.exit(error, out, err) == 0 ? kDone : kWrongUsage;
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? kDone : kWrongUsage;
  }
  for (size_t i = 0; i < commands.size(); ++i) {
    if (!subcommands[i]->parsed()) continue;
    return Finish(Execute(flags, *commands[i], err, err_is_terminal), *commands[i], flags.json, out, err);
  }
  return kWrongUsage;
}

}  // namespace precis::cli
