// precis stats: how many requests each variant answered, where their time went since it was loaded, and what memory traffic
// that was. A server without variants tells per model, and nothing of memory.

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/table.h"
#include "client/cli/variant_json.h"
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
        "Times are means in milliseconds since the model was loaded; /metrics has them as histograms.\n"
        "WEIGHTS and ACTS are the bytes that one item moves, computed from the plan (a batch reads its weights once); "
        "GB/s is\n"
        "that of one worker while it runs, PEAK what the machine reads with all cores. COUNTED is GB/s by the CPU's "
        "own count\n"
        "of last-level cache misses, where its kernel offers that: what fits in caches is computed but not counted.\n\n"
        "Example:\n"
        "  precis stats resnet50@int8");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    PRECIS_ASSIGN_OR_RETURN(const std::vector<client::ModelStatistics> statistics, Collect(session));
    const std::map<std::string, Json> facts = Facts(session);
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
      if (const auto known = facts.find(one.name); known != facts.end()) models.back().update(known->second);
    }
    return Json{{"models", std::move(models)}};
  }

  void Print(const Json& result, std::ostream& out) const override {
    Table table({"MODEL", "VERSION", ">INFERENCES", ">RUNS", ">OK", ">FAILED", ">TOTAL ms", ">QUEUE", ">INPUT",
                 ">COMPUTE", ">OUTPUT", ">WEIGHTS", ">ACTS", ">GB/s", ">COUNTED", ">PEAK"});
    for (const Json& model : result["models"]) {
      const Json& mean = model["mean_ms"];
      const auto count = [&](const char* key) { return std::to_string(model[key].get<uint64_t>()); };
      const auto gigabytes = [&](const char* key) {
        const bool known = model.contains("memory") && model["memory"].contains(key);
        return known ? FormatNumber(model["memory"][key].get<double>() / 1e9, 2) : std::string("-");
      };
      const auto bytes = [&](const char* key) {
        return model.contains("memory") ? FormatBytes(model["memory"][key].get<int64_t>()) : std::string("-");
      };
      table.AddRow({LabelOf(model["name"], model.value("emulated_layers", Json(0))), model["version"],
                    count("inference_count"), count("execution_count"), count("success_count"), count("fail_count"),
                    FormatNumber(mean["total"], 3), FormatNumber(mean["queue"], 3), FormatNumber(mean["input"], 3),
                    FormatNumber(mean["compute"], 3), FormatNumber(mean["output"], 3),
                    bytes("weight_bytes_per_inference"), bytes("activation_bytes_per_inference"),
                    gigabytes("bytes_per_second"), gigabytes("measured_bytes_per_second"),
                    gigabytes("peak_bytes_per_second")});
    }
    table.Print(out);
  }

 private:
  // What ListVariants knows, by name, net@int8; none of a server that has no variants.
  std::map<std::string, Json> Facts(Session& session) const {
    std::map<std::string, Json> facts;
    const auto models = session.client->ListVariants(SplitModelName(model_).model);
    if (!models.ok()) return facts;
    for (const client::ModelVariants& model : *models) {
      for (const client::VariantStatus& one : model.variants) {
        facts[absl::StrCat(model.name, "@", one.name)] = {
            {"memory", MemoryOf(one, model.peak_bandwidth_bytes_per_second)}, {"emulated_layers", one.emulated_layers}};
      }
    }
    return facts;
  }

  static Json MemoryOf(const client::VariantStatus& variant, double peak) {
    const auto per_inference = [&](uint64_t bytes) { return variant.items_run == 0 ? 0 : bytes / variant.items_run; };
    const double seconds = variant.compute_seconds;
    const auto per_second = [&](uint64_t bytes) { return seconds == 0 ? 0 : static_cast<double>(bytes) / seconds; };
    Json memory = {{"weight_bytes_per_inference", per_inference(variant.weight_bytes_moved)},
                   {"activation_bytes_per_inference", per_inference(variant.activation_bytes_moved)},
                   {"bytes_per_second", per_second(variant.weight_bytes_moved + variant.activation_bytes_moved)},
                   {"source", "computed from the plan"}};
    if (peak > 0) memory["peak_bytes_per_second"] = peak;
    if (variant.measured_bytes_moved) {
      memory["measured_bytes_per_second"] = per_second(*variant.measured_bytes_moved);
      memory["measured_source"] = "last-level cache misses";
    }
    return memory;
  }

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
