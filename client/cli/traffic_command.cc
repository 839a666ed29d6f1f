// precis traffic: shows or changes how the requests for a plain model name are spread over its variants. A flag changes its
// part of the configuration and leaves the others as they are.

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/command.h"
#include "client/cli/table.h"

namespace precis::cli {
namespace {

constexpr char kNone[] = "none";

// "fp32:90,int8:10" as pairs; "none" as no pairs.
absl::StatusOr<std::vector<std::pair<std::string, double>>> ParsePairs(const std::string& flag,
                                                                       const std::string& text) {
  std::vector<std::pair<std::string, double>> pairs;
  if (text == kNone) return pairs;
  for (const absl::string_view item : absl::StrSplit(text, ',')) {
    const std::vector<std::string> parts = absl::StrSplit(item, ':');
    double number = 0;
    if (parts.size() != 2 || parts[0].empty() || !absl::SimpleAtod(parts[1], &number)) {
      return UsageError(absl::StrCat(flag, " \"", text, "\": want VARIANT:NUMBER,… or none"));
    }
    pairs.emplace_back(parts[0], number);
  }
  return pairs;
}

class TrafficCommand final : public Command {
 public:
  CLI::App* Register(CLI::App* app) override {
    CLI::App* command =
        app->add_subcommand("traffic", "Show or change which variants answer the requests for a plain model name");
    command->add_option("MODEL", model_, "The model's name, without @VARIANT")->required();
    command
        ->add_option("--split", split_,
                     "Percentage of the requests that each variant answers, summing to 100; none: the default variant "
                     "answers all")
        ->type_name("VARIANT:PERCENT,...");
    command
        ->add_option("--sticky", sticky_,
                     "Request parameter whose equal values always go to the same variant, on every server with this "
                     "split; none: no parameter")
        ->type_name("PARAMETER");
    command
        ->add_option("--shadow", shadow_,
                     "Share of the requests that is run again on a variant in the background, to compare the answers; "
                     "none: of no request")
        ->type_name("VARIANT:RATE,...");
    command->footer(
        "Without flags it shows what holds. A flag changes its part and leaves the others; the change holds for all "
        "versions\n"
        "of the model until the server ends, and drops no request. To keep it, write it into precision.textproto:\n"
        "  traffic { split { variant: \"fp32\" percent: 90 } split { variant: \"int8\" percent: 10 } sticky_parameter: "
        "\"user\" }\n"
        "The variants must be loaded. When one is unloaded later, the others take its share.\n"
        "A reply's parameter precis_variant says which variant answered. MODEL@VARIANT always goes to that variant.\n\n"
        "Examples:\n"
        "  precis traffic resnet50\n"
        "  precis traffic resnet50 --split=fp32:90,int8:10 --sticky=user\n"
        "  precis traffic resnet50 --shadow=int8:0.05\n"
        "  precis traffic resnet50 --split=none");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    if (model_.find('@') != std::string::npos) {
      return UsageError(absl::StrCat("MODEL \"", model_, "\": traffic belongs to the model, without @VARIANT"));
    }
    absl::StatusOr<std::vector<client::ModelVariants>> versions = session.client->ListVariants(model_);
    if (!versions.ok()) return versions.status();
    client::Traffic traffic = versions->empty() ? client::Traffic() : versions->back().traffic;
    if (split_ || sticky_ || shadow_) {
      if (absl::Status status = Change(&traffic); !status.ok()) return status;
      if (absl::Status status = session.client->SetTraffic(model_, traffic); !status.ok()) return status;
    }
    Json result = {{"model", model_},
                   {"default_variant", versions->empty() ? "" : versions->back().default_variant},
                   {"split", Json::array()},
                   {"sticky_parameter", traffic.sticky_parameter},
                   {"shadow", Json::array()}};
    for (const auto& share : traffic.split) {
      result["split"].push_back({{"variant", share.variant}, {"percent", share.percent}});
    }
    for (const auto& shadow : traffic.shadow) {
      result["shadow"].push_back({{"variant", shadow.variant}, {"rate", shadow.rate}});
    }
    return result;
  }

  void Print(const Json& result, std::ostream& out) const override {
    if (result["split"].empty()) {
      const std::string variant = result["default_variant"];
      out << "no split: " << (variant.empty() ? "nothing is loaded" : variant + " answers all") << "\n";
    } else {
      Table table({"VARIANT", ">SHARE %"});
      for (const Json& share : result["split"]) {
        table.AddRow({share["variant"], absl::StrCat(share["percent"].get<double>())});
      }
      table.Print(out);
    }
    if (const std::string parameter = result["sticky_parameter"]; !parameter.empty()) {
      out << "sticky by parameter " << parameter << "\n";
    }
    for (const Json& shadow : result["shadow"]) {
      out << "shadow: " << 100 * shadow["rate"].get<double>() << " % of the requests again on "
          << shadow["variant"].get<std::string>() << "\n";
    }
  }

 private:
  absl::Status Change(client::Traffic* traffic) const {
    if (split_) {
      auto pairs = ParsePairs("--split", *split_);
      if (!pairs.ok()) return pairs.status();
      traffic->split.clear();
      for (const auto& [variant, percent] : *pairs) traffic->split.push_back({variant, percent});
    }
    if (sticky_) traffic->sticky_parameter = *sticky_ == kNone ? "" : *sticky_;
    if (shadow_) {
      auto pairs = ParsePairs("--shadow", *shadow_);
      if (!pairs.ok()) return pairs.status();
      traffic->shadow.clear();
      for (const auto& [variant, rate] : *pairs) traffic->shadow.push_back({variant, rate});
    }
    return absl::OkStatus();
  }

  std::string model_;
  std::optional<std::string> split_, sticky_, shadow_;
};

}  // namespace

std::unique_ptr<Command> MakeTrafficCommand() { return std::make_unique<TrafficCommand>(); }

}  // namespace precis::cli
