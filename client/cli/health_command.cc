// precis health and precis version.

#include "client/cli/command.h"

namespace precis::cli {
namespace {

class HealthCommand final : public Command {
 public:
  CLI::App* Register(CLI::App* app) override {
    CLI::App* command = app->add_subcommand("health", "Ask whether the server, or one model, is serving");
    command->add_option("MODEL", service_, "net or net@VARIANT; the whole server when it is left out");
    command->footer(
        "Exit code 0 when it says SERVING, 1 otherwise.\n\n"
        "Examples:\n"
        "  precis health\n"
        "  precis health --wait-ready=60s     wait for a server that is starting");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    absl::StatusOr<std::string> status = session.client->Health(service_);
    if (!status.ok()) return status.status();
    return Json{{"service", service_}, {"status", *status}};
  }

  void Print(const Json& result, std::ostream& out) const override {
    out << result["status"].get<std::string>() << "\n";
  }

  int ExitCodeOf(const Json& result) const override { return result["status"] == "SERVING" ? kDone : kRefused; }

 private:
  std::string service_;
};

class VersionCommand final : public Command {
 public:
  CLI::App* Register(CLI::App* app) override {
    CLI::App* command = app->add_subcommand("version", "Show the versions of this client and of the server");
    command->footer("A server that cannot be reached is left out; that is no error.");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    Json result = {{"version", PRECIS_VERSION}};
    if (absl::StatusOr<client::ServerMetadata> server = session.client->ServerMetadata(); server.ok()) {
      result["server"] = {{"name", server->name}, {"version", server->version}, {"extensions", server->extensions}};
    } else {
      result["server"] = nullptr;
    }
    return result;
  }

  void Print(const Json& result, std::ostream& out) const override {
    out << "precis " << result["version"].get<std::string>() << "\n";
    const Json& server = result["server"];
    if (server.is_null()) return;
    out << "server " << server["name"].get<std::string>() << " " << server["version"].get<std::string>() << "\n";
  }
};

}  // namespace

std::unique_ptr<Command> MakeHealthCommand() { return std::make_unique<HealthCommand>(); }
std::unique_ptr<Command> MakeVersionCommand() { return std::make_unique<VersionCommand>(); }

}  // namespace precis::cli
