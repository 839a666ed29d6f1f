// precis drift: how far a variant's answers to live requests are from the baseline's.

#include <cmath>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/table.h"

namespace precis::cli {
namespace {

// A number that JSON can hold; null for infinity.
Json Finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

// NAME, and where there is an interval NAME_low and NAME_high.
void AddEstimate(const char* name, const client::DriftEstimate& estimate, Json* json) {
  (*json)[name] = Finite(estimate.value);
  if (!estimate.low || !estimate.high) return;
  (*json)[absl::StrCat(name, "_low")] = *estimate.low;
  (*json)[absl::StrCat(name, "_high")] = *estimate.high;
}

// All null without samples.
void AddMeasures(const client::DriftMeasures& measures, int64_t samples, Json* json) {
  if (samples == 0) {
    for (const char* name : {"sqnr_db", "cosine", "top1_agreement", "max_abs_error"}) (*json)[name] = nullptr;
    return;
  }
  AddEstimate("sqnr_db", measures.sqnr_db, json);
  AddEstimate("cosine", measures.cosine, json);
  AddEstimate("top1_agreement", measures.top1_agreement, json);
  (*json)["max_abs_error"] = Finite(measures.max_abs_error);
}

// "1m", "10m", "load".
std::string WindowName(double seconds) {
  return seconds > 0 ? absl::StrCat(std::lround(seconds / 60), "m") : std::string("load");
}

Json WindowJson(const client::DriftWindow& window) {
  Json json = {{"window", WindowName(window.seconds)}, {"samples", window.samples}};
  AddMeasures(window.measures, window.samples, &json);
  json["outputs"] = Json::array();
  for (const client::DriftOutput& output : window.outputs) {
    Json one = {{"name", output.name}};
    AddMeasures(output.measures, window.samples, &one);
    json["outputs"].push_back(std::move(one));
  }
  json["layer_samples"] = window.layer_samples;
  json["layers"] = Json::array();
  for (const client::DriftLayer& layer : window.layers) {
    json["layers"].push_back(
        {{"name", layer.name}, {"clipped_ratio", layer.clipped_ratio}, {"psi", layer.psi ? Json(*layer.psi) : Json()}});
  }
  return json;
}

// "31.20 [30.91, 31.48]".
std::string Show(const Json& json, const char* name, int decimals, int64_t samples) {
  if (samples == 0) return "-";
  if (json[name].is_null()) return "no difference";
  const std::string value = FormatNumber(json[name], decimals);
  const std::string low = absl::StrCat(name, "_low"), high = absl::StrCat(name, "_high");
  if (!json.contains(low)) return value;
  return absl::StrCat(value, " [", FormatNumber(json[low], decimals), ", ", FormatNumber(json[high], decimals), "]");
}

void AddRow(const std::string& window, const std::string& output, const Json& json, int64_t samples, Table* table) {
  table->AddRow({window, output, absl::StrCat(samples), Show(json, "sqnr_db", 2, samples),
                 Show(json, "cosine", 5, samples), Show(json, "top1_agreement", 4, samples),
                 Show(json, "max_abs_error", 4, samples)});
}

class DriftCommand final : public Command {
 public:
  CLI::App* Register(CLI::App* app) override {
    CLI::App* command =
        app->add_subcommand("drift", "Show how far a variant's answers to live requests are from the baseline's");
    command->add_option("MODEL", model_, "net@VARIANT, or net for its default variant")->required();
    command->footer(
        "Requests are compared while serving, as `precis traffic --shadow` says, on processors that would be idle: the "
        "sampled\n"
        "request runs again on the baseline (fp32 unless precision.textproto says otherwise). In brackets: 95 % "
        "intervals.\n"
        "CLIPPED is the share of a layer's input beyond what its levels cover, PSI the population stability index of "
        "the input\n"
        "against calibration (above 0.25 is commonly called a large shift).\n"
        "Limits that raise an alarm stand in precision.textproto:\n"
        "  drift { alerts { variant: \"int8\" min_sqnr_db: 15 min_top1_agreement: 0.95 max_psi: 0.5 move_traffic: true "
        "} }\n\n"
        "Examples:\n"
        "  precis traffic resnet50 --shadow=int8:0.05\n"
        "  precis drift resnet50@int8\n"
        "  precis drift resnet50@int8 --json");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    const ModelName name = SplitModelName(model_);
    const absl::StatusOr<client::Drift> drift = session.client->GetDrift(name.model, name.variant);
    if (!drift.ok()) return drift.status();
    Json result = {{"model", name.model}, {"variant", drift->variant}, {"baseline", drift->baseline}};
    for (const client::DriftWindow& window : drift->windows) {
      if (window.seconds > 0) continue;  // since the load
      result["samples"] = window.samples;
      AddMeasures(window.measures, window.samples, &result);
    }
    result["dropped_samples"] = drift->dropped_samples;
    result["alarm"] = drift->alarm;
    result["alarm_reason"] = drift->alarm_reason;
    result["windows"] = Json::array();
    for (const client::DriftWindow& window : drift->windows) result["windows"].push_back(WindowJson(window));
    return result;
  }

  void Print(const Json& result, std::ostream& out) const override {
    out << result["variant"].get<std::string>() << " against " << result["baseline"].get<std::string>() << ", "
        << result["dropped_samples"].get<int64_t>() << " sampled requests dropped\n";
    if (result["alarm"]) out << "ALARM: " << result["alarm_reason"].get<std::string>() << "\n";
    Table table({"WINDOW", "OUTPUT", ">SAMPLES", ">SQNR dB", ">COSINE", ">TOP-1 AGREEMENT", ">MAX ABS ERROR"});
    for (const Json& window : result["windows"]) {
      const int64_t samples = window["samples"];
      AddRow(window["window"], "all", window, samples, &table);
      if (window["outputs"].size() < 2) continue;
      for (const Json& output : window["outputs"]) AddRow("", output["name"], output, samples, &table);
    }
    table.Print(out);
    const Json& layers = result["windows"].back()["layers"];
    if (layers.empty()) return;
    out << "\nInputs of integer layers since the load, " << result["windows"].back()["layer_samples"].get<int64_t>()
        << " samples:\n";
    Table inputs({"LAYER", ">CLIPPED %", ">PSI"});
    for (const Json& layer : layers) {
      inputs.AddRow({layer["name"], FormatNumber(100 * layer["clipped_ratio"].get<double>(), 3),
                     layer["psi"].is_null() ? "-" : FormatNumber(layer["psi"], 3)});
    }
    inputs.Print(out);
  }

 private:
  std::string model_;
};

}  // namespace

std::unique_ptr<Command> MakeDriftCommand() { return std::make_unique<DriftCommand>(); }

}  // namespace precis::cli
