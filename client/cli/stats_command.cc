// precis stats: how many requests each variant answered and where their time went, since it was loaded. A server without
// variants tells per model.

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/table.h"
#include "engine/base/status_macros.h"

namespace precis::cli {
namespace {

// Mean milliseconds of one call.
double MeanMs(const client::CallTime& time) {
  return time.count == 0 ? 0 : static_cast<double>(time.total_ns) / 1e6 / static_cast<double>(time.count);
}

class StatsCommand final : public Command {
 public:
  CLI::App* Register(CLI::App* app) override {
    CLI::App* command = app->add_subcommand("stats", "Show requests and mean times per variant");
    command->add_option("MODEL", model_, "net or net@VARIANT; all when it is left out");
    command->footer(
        "Times are means in milliseconds since the model was loaded; /metrics has them as histograms.\n\n"
        "Example:\n"
        "  precis stats resnet50@int8");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    PRECIS_ASSIGN_OR_RETURN(const std::vector<client::ModelStatistics> statistics, Collect(session));
    Json models = Json::array();
    for (const client::ModelStatistics& one : statistics) {
      models.push_back({{"name", one.name},
                        {"version", one.version},
                        {"inference_count", one.inference_count},
                        {"execution_count", one.execution_count},
                        {"success_count", one.success.count},
                        {"fail_count", one.fail.count},
                        {"mean_ms",
                         {{"total", MeanMs(one.success)},
                          {"queue", MeanMs(one.queue)},
                          {"input", MeanMs(one.compute_input)},
                          {"compute", MeanMs(one.compute_infer)},
                          {"output", MeanMs(one.compute_output)}}}});
    }
    return Json{{"models", std::move(models)}};
  }

  void Print(const Json& result, std::ostream& out) const override {
    Table table({"MODEL", "VERSION", ">INFERENCES", ">RUNS", ">OK", ">FAILED", ">TOTAL ms", ">QUEUE", ">INPUT",
                 ">COMPUTE", ">OUTPUT"});
    for (const Json& model : result["models"]) {
      const Json& mean = model["mean_ms"];
      const auto count = [&](const char* key) { return std::to_string(model[key].get<uint64_t>()); };
      table.AddRow({model["name"], model["version"], count("inference_count"), count("execution_count"),
                    count("success_count"), count("fail_count"), FormatNumber(mean["total"], 3),
                    FormatNumber(mean["queue"], 3), FormatNumber(mean["input"], 3), FormatNumber(mean["compute"], 3),
                    FormatNumber(mean["output"], 3)});
    }
    table.Print(out);
  }

 private:
  absl::StatusOr<std::vector<client::ModelStatistics>> Collect(Session& session) const {
    if (!SplitModelName(model_).variant.empty()) return Named(session, model_, "");
    absl::StatusOr<std::vector<client::ModelVariants>> models = session.client->ListVariants(model_);
    if (absl::IsUnimplemented(models.status())) return session.client->Statistics(model_);
    if (!models.ok()) return models.status();
    std::vector<client::ModelStatistics> all;
    for (const client::ModelVariants& model : *models) {
      for (const client::VariantStatus& variant : model.variants) {
        if (variant.state != "READY") continue;
        auto one = Named(session, absl::StrCat(model.name, "@", variant.name), model.version);
        if (absl::IsNotFound(one.status())) continue;  // unloaded in between
        if (!one.ok()) return one.status();
        all.insert(all.end(), one->begin(), one->end());
      }
    }
    return all;
  }

  // A server may answer for net@int8 under the name net.
  static absl::StatusOr<std::vector<client::ModelStatistics>> Named(Session& session, const std::string& name,
                                                                    const std::string& version) {
    auto statistics = session.client->Statistics(name, version);
    if (!statistics.ok()) return statistics.status();
    for (client::ModelStatistics& one : *statistics) one.name = name;
    return statistics;
  }

  std::string model_;
};

}  // namespace

std::unique_ptr<Command> MakeStatsCommand() { return std::make_unique<StatsCommand>(); }

}  // namespace precis::cli
