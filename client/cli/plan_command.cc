// precis plan: what was compiled for a variant, layer by layer.

#include <cmath>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/table.h"

namespace precis::cli {
namespace {

class PlanCommand final : public Command {
 public:
  CLI::App* Register(CLI::App* app) override {
    CLI::App* command = app->add_subcommand("plan", "Show the compiled layers of a loaded variant");
    command->add_option("MODEL", model_, "net or net@VARIANT")->required();
    command
        ->add_option("--repetitions", repetitions_,
                     "Run the plan so many times on zeros and show each layer's median time")
        ->check(CLI::Range(0, 1000));
    command->add_option("--shape", shapes_, "Input shape to describe; may be repeated")
        ->type_name("INPUT=1,3,224,224")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command->footer(
        "A layer marked SLOW runs on a reference implementation of oneDNN: please report it.\n\n"
        "Examples:\n"
        "  precis plan resnet50@int8\n"
        "  precis plan resnet50@int8 --repetitions=50");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    const ModelName name = SplitModelName(model_);
    auto shapes = ParseShapes(shapes_);
    if (!shapes.ok()) return shapes.status();
    absl::StatusOr<client::Plan> plan = session.client->DescribePlan(
        {.model = name.model, .version = "", .variant = name.variant, .shapes = *shapes, .repetitions = repetitions_});
    if (!plan.ok()) return plan.status();
    Json layers = Json::array();
    for (const client::PlanLayer& layer : plan->layers) {
      layers.push_back({{"name", layer.name},
                        {"op", layer.op},
                        {"precision", layer.precision},
                        {"implementation", layer.implementation},
                        {"note", layer.note},
                        {"slow_reference", layer.slow_reference},
                        {"weight_bytes", layer.weight_bytes},
                        {"activation_bytes", layer.activation_bytes},
                        {"time_us", layer.time_us},
                        {"error_sqnr_db", layer.error_sqnr_db ? Json(*layer.error_sqnr_db) : Json(nullptr)}});
    }
    return Json{{"model", name.model}, {"variant", plan->variant}, {"layers", std::move(layers)}};
  }

  void Print(const Json& result, std::ostream& out) const override {
    Table table(
        {"LAYER", "OP", "PRECISION", "IMPLEMENTATION", ">WEIGHTS", ">ACTIVATIONS", ">TIME us", ">SQNR dB", "NOTE"});
    int64_t weight_bytes = 0, activation_bytes = 0;
    double time_us = 0;
    for (const Json& layer : result["layers"]) {
      const double sqnr_db = layer["error_sqnr_db"].is_null() ? NAN : layer["error_sqnr_db"].get<double>();
      const std::string note = layer["note"];
      table.AddRow({layer["name"], layer["op"], layer["precision"], layer["implementation"],
                    FormatBytes(layer["weight_bytes"]), FormatBytes(layer["activation_bytes"]),
                    repetitions_ > 0 ? FormatNumber(layer["time_us"], 1) : "-", FormatNumber(sqnr_db, 1),
                    layer["slow_reference"].get<bool>() ? absl::StrCat("SLOW ", note) : note});
      weight_bytes += layer["weight_bytes"].get<int64_t>();
      activation_bytes += layer["activation_bytes"].get<int64_t>();
      time_us += layer["time_us"].get<double>();
    }
    table.AddRow({absl::StrCat(result["layers"].size(), " layers"), "", result["variant"].get<std::string>(), "",
                  FormatBytes(weight_bytes), FormatBytes(activation_bytes),
                  repetitions_ > 0 ? FormatNumber(time_us, 1) : "-", "", ""});
    table.Print(out);
  }

 private:
  std::string model_;
  std::vector<std::string> shapes_;
  int repetitions_ = 0;
};

}  // namespace

std::unique_ptr<Command> MakePlanCommand() { return std::make_unique<PlanCommand>(); }

}  // namespace precis::cli
