// precis plan: what was compiled for a variant, layer by layer.

#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/command.h"
#include "client/cli/html_page.h"
#include "client/cli/plan_page.h"
#include "client/cli/random_inputs.h"
#include "client/cli/table.h"

namespace precis::cli {
namespace {

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

std::string BudgetText(const client::PrecisionSearch& search) {
  std::string text;
  if (search.min_sqnr_db) text = absl::StrFormat("at least %g dB", *search.min_sqnr_db);
  if (search.max_top1_disagreement) {
    absl::StrAppendFormat(&text, "%sat most %g %% of the predictions changed", text.empty() ? "" : ", ",
                          100 * *search.max_top1_disagreement);
  }
  return absl::StrCat(text, ", least ", search.objective == "MEMORY" ? "weight bytes" : "time");
}

Json SearchJson(const client::PrecisionSearch& search) {
  Json layers = Json::array(), points = Json::array();
  for (const auto& layer : search.layers) {
    Json options = Json::array();
    for (const auto& option : layer.options) {
      options.push_back(
          {{"precision", option.precision}, {"time_us", option.time_us}, {"weight_bytes", option.weight_bytes}});
    }
    layers.push_back({{"name", layer.name},
                      {"chosen", layer.chosen},
                      {"sqnr_db", OrNull(layer.sqnr_db)},
                      {"top1_disagreement", OrNull(layer.top1_disagreement)},
                      {"options", std::move(options)}});
  }
  for (const auto& point : search.points) {
    points.push_back({{"layers", point.layers},
                      {"sqnr_db", OrNull(point.sqnr_db)},
                      {"sqnr_db_low", OrNull(point.sqnr_db_low)},
                      {"top1_disagreement", OrNull(point.top1_disagreement)},
                      {"expected_sqnr_db", OrNull(point.expected_sqnr_db)},
                      {"expected_us", point.expected_us},
                      {"time_us", point.time_us},
                      {"weight_bytes", point.weight_bytes},
                      {"meets_budget", point.meets_budget},
                      {"pareto", point.pareto},
                      {"chosen", point.chosen}});
  }
  return {{"budget", BudgetText(search)},
          {"min_sqnr_db", OrNull(search.min_sqnr_db)},
          {"max_top1_disagreement", OrNull(search.max_top1_disagreement)},
          {"objective", search.objective},
          {"coarsest", search.coarsest},
          {"samples", search.samples},
          {"sensitivity_samples", search.sensitivity_samples},
          {"budget_met", search.budget_met},
          {"reason", search.reason},
          {"layers", std::move(layers)},
          {"points", std::move(points)}};
}

void PrintSearch(const Json& search, std::ostream& out) {
  const bool met = search["budget_met"];
  out << "\nsearched over " << search["samples"] << " samples for " << search["budget"].get<std::string>() << ": "
      << (met ? "met" : absl::StrCat("not met, ", search["reason"].get<std::string>())) << "\n";
  Table table({">SQNR dB", ">AT LEAST", ">EXPECTED", ">CHANGED %", ">TIME us", ">EXPECTED", ">WEIGHTS", "LAYERS", ""});
  for (const Json& point : search["points"]) {
    const auto number = [&](const char* key, double factor) {
      return point[key].is_null() ? NAN : factor * point[key].get<double>();
    };
    std::string layers;
    for (const auto& [precision, count] : point["layers"].items())
      absl::StrAppend(&layers, layers.empty() ? "" : " ", precision, ":", count.get<int>());
    table.AddRow({point["sqnr_db"].is_null() ? "exact" : FormatNumber(number("sqnr_db", 1), 2),
                  FormatNumber(number("sqnr_db_low", 1), 2), FormatNumber(number("expected_sqnr_db", 1), 2),
                  FormatNumber(number("top1_disagreement", 100), 1), FormatNumber(point["time_us"], 0),
                  FormatNumber(point["expected_us"], 0), FormatBytes(point["weight_bytes"]), layers,
                  point["chosen"].get<bool>()   ? "<- chosen"
                  : point["pareto"].get<bool>() ? "Pareto"
                                                : ""});
  }
  table.Print(out);
}

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
    command
        ->add_option("--html", html_,
                     "Draw a mixed variant: sensitivity, precision map, Pareto curve; one file, self-contained")
        ->type_name("FILE");
    command->footer(
        "Of a mixed variant it shows what the search found: SQNR dB is that of the outputs with the layer alone in "
        "int8 (or the\n"
        "coarsest candidate), and below the layers stand the networks that were tried.\n"
        "A layer marked SLOW runs on a reference implementation of oneDNN: please report it. One of implementation "
        "\"emulated:\" sums\n"
        "as other hardware does; its time is the emulation's.\n\n"
        "Examples:\n"
        "  precis plan resnet50@int8\n"
        "  precis plan resnet50@int8 --repetitions=50\n"
        "  precis plan resnet50@mixed --html=mixed.html");
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
    Json result{{"model", name.model}, {"variant", plan->variant}, {"layers", std::move(layers)}};
    if (plan->search) result["search"] = SearchJson(*plan->search);
    if (!html_.empty()) {
      if (!plan->search)
        return UsageError(absl::StrCat("--html draws a mixed variant; ", plan->variant, " was not searched for"));
      if (const absl::Status status = WritePage(html_, PlanPage(result)); !status.ok())
        return UsageError(std::string(status.message()));
      result["html"] = html_;
    }
    return result;
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
    if (result.contains("search")) PrintSearch(result["search"], out);
    if (result.contains("html")) out << "drawn in " << result["html"].get<std::string>() << "\n";
  }

 private:
  std::string model_;
  std::vector<std::string> shapes_;
  std::string html_;
  int repetitions_ = 0;
};

}  // namespace

std::unique_ptr<Command> MakePlanCommand() { return std::make_unique<PlanCommand>(); }

}  // namespace precis::cli
