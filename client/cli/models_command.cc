// precis models: the repository index, with the precision variants of each loaded model.

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/command.h"
#include "client/cli/table.h"
#include "client/cli/variant_json.h"

namespace precis::cli {
namespace {

class ModelsCommand final : public Command {
 public:
  CLI::App* Register(CLI::App* app) override {
    CLI::App* command = app->add_subcommand("models", "List the models, their states and their precision variants");
    command->footer(
        "The variant marked * is what the plain model name means.\n\n"
        "Example:\n"
        "  precis models --json");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    absl::StatusOr<std::vector<client::ModelIndexEntry>> index = session.client->RepositoryIndex();
    if (!index.ok()) return index.status();
    absl::StatusOr<std::vector<client::ModelVariants>> variants = session.client->ListVariants();
    // Any KServe-v2 server has an index; only Precis has variants.
    if (!variants.ok() && !absl::IsUnimplemented(variants.status())) return variants.status();
    Json models = Json::array();
    for (const client::ModelIndexEntry& entry : *index) {
      Json model = {{"name", entry.name}, {"version", entry.version}, {"state", entry.state}, {"reason", entry.reason}};
      for (const client::ModelVariants& one : variants.ok() ? *variants : std::vector<client::ModelVariants>()) {
        if (one.name != entry.name || one.version != entry.version) continue;
        model["default_variant"] = one.default_variant;
        model["policies"] = one.policies;
        model["variants"] = Json::array();
        for (const client::VariantStatus& variant : one.variants) model["variants"].push_back(VariantJson(variant));
      }
      models.push_back(std::move(model));
    }
    return Json{{"models", std::move(models)}};
  }

  void Print(const Json& result, std::ostream& out) const override {
    if (result["models"].empty()) {
      out << "The server's repository holds no models.\n";
      return;
    }
    Table table({"MODEL", "VERSION", "STATE", "VARIANTS", ">WEIGHTS", "REASON"});
    for (const Json& model : result["models"]) {
      const std::string why = model["reason"];
      std::vector<std::string> names, reasons;
      if (!why.empty()) reasons.push_back(why);
      int64_t weight_bytes = 0;
      for (const Json& variant : model.value("variants", Json::array())) {
        const std::string name = variant["name"], state = variant["state"];
        const bool is_default = name == model["default_variant"].get<std::string>();
        names.push_back(LabelOf(name, variant["emulated_layers"]) + (is_default ? "*" : "") +
                        (state == "READY" ? "" : " (" + state + ")"));
        weight_bytes += variant["weight_bytes"].get<int64_t>();
        const std::string reason = variant["reason"];
        if (!reason.empty() && reason != why) reasons.push_back(absl::StrCat(name, " ", reason));
      }
      table.AddRow({model["name"], model["version"], model["state"] == "" ? Json("not loaded") : model["state"],
                    absl::StrJoin(names, ", "), weight_bytes > 0 ? FormatBytes(weight_bytes) : "",
                    absl::StrJoin(reasons, "; ")});
    }
    table.Print(out);
  }
};

}  // namespace

std::unique_ptr<Command> MakeModelsCommand() { return std::make_unique<ModelsCommand>(); }

}  // namespace precis::cli
