// precis compare: every sample goes to every variant in turn, so that the machine's moods meet them all alike.

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/cli/command.h"
#include "client/cli/compare_page.h"
#include "client/cli/comparison_report.h"
#include "client/cli/html_page.h"
#include "client/cli/samples.h"
#include "client/cli/table.h"
#include "client/cli/variant_json.h"
#include "engine/base/status_macros.h"
#include "engine/tensor/tensor.h"
#include "stats/comparison.h"

namespace precis::cli {
namespace {

constexpr int kWarmUpRuns = 3;  // of the first sample on each variant, not measured

absl::StatusOr<std::vector<float>> Values(const client::Tensor& tensor) {
  const std::optional<DataType> type = DataTypeFromKServeName(tensor.datatype);
  if (!type || tensor.data.size() != static_cast<size_t>(tensor.NumElements()) * SizeOf(*type)) {
    return absl::InternalError(absl::StrCat("output \"", tensor.name, "\" of type ", tensor.datatype, " and shape ",
                                            ShapeToString(tensor.shape), " has ", tensor.data.size(), " bytes"));
  }
  return ToFloat({*type, tensor.shape, tensor.data.data()});
}

absl::StatusOr<stats::SampleOutputs> OutputsOf(const client::InferResponse& response) {
  stats::SampleOutputs outputs;
  for (const client::Tensor& output : response.outputs) {
    PRECIS_ASSIGN_OR_RETURN(outputs.values.emplace_back(), Values(output));
  }
  if (!response.outputs.empty()) outputs.first_shape = response.outputs[0].shape;
  return outputs;
}

class CompareCommand final : public Command {
 public:
  CLI::App* Register(CLI::App* app) override {
    CLI::App* command =
        app->add_subcommand("compare", "Measure what each precision of a model costs, on your own samples");
    command->add_option("MODEL", model_, "net")->required();
    command->add_option("--variants", variants_, "Variants to compare; the first is what the others are held against")
        ->delimiter(',')
        ->required()
        ->type_name("fp32,int8,…");
    command->add_option("--html", html_, "Write a page with table, charts and recommendation as well")
        ->type_name("FILE");
    samples_.Register(command);
    command->footer(
        "Variants that are not loaded are loaded first. top1 and agreement (of the predictions with the first "
        "variant's)\n"
        "are percentages; sqnr is the outputs' signal-to-noise ratio against the first variant in dB; cosine is "
        "between\n"
        "their outputs; latencies are round trips of one call at a time, the variants taking turns. +- is half of a "
        "95 %\n"
        "interval; p is McNemar's test of being as often right as the first variant: below 0.05, hardly by chance. "
        "GB/s\n"
        "is the memory traffic while computing, and its share of the machine's peak.\n\n"
        "Examples:\n"
        "  precis compare mobilenet_v2 --variants=fp32,bf16,int8 --data=imagenet500 --rows=100: \\\n"
        "      --mean=.485,.456,.406 --std=.229,.224,.225 --html=report.html\n"
        "  precis compare minilm --variants=fp32,int8 --data=pairs     pairs/input_ids.npy, pairs/attention_mask.npy");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    if (!SplitModelName(model_).variant.empty()) {
      return UsageError(absl::StrCat("MODEL ", model_, ": name the variants with --variants"));
    }
    for (const std::string& variant : variants_) {
      if (std::count(variants_.begin(), variants_.end(), variant) > 1) {
        return UsageError(absl::StrCat("--variants: \"", variant, "\" stands there twice"));
      }
    }
    PRECIS_ASSIGN_OR_RETURN(const client::ModelVariants loaded, LoadMissing(session));
    absl::StatusOr<client::ModelMetadata> metadata = session.client->ModelMetadata(model_ + "@" + variants_[0]);
    if (!metadata.ok()) return metadata.status();
    PRECIS_ASSIGN_OR_RETURN(const SampleFlags::Chosen chosen, samples_.Open(*metadata, loaded.preprocessing));
    stats::Comparison comparison(variants_);
    std::vector<client::CallTime> before;
    for (int64_t row = chosen.first; row < chosen.last; ++row) {
      ShowLine(session, absl::StrCat(row - chosen.first, " of ", chosen.count(), " samples"));
      PRECIS_ASSIGN_OR_RETURN(const Sample sample, chosen.samples->Get(row));
      for (int i = 0; row == chosen.first && i < kWarmUpRuns; ++i) {
        PRECIS_RETURN_IF_ERROR(RunAll(session, sample, i, nullptr));
      }
      if (row == chosen.first) before = ComputeTimes(session, loaded.version);
      PRECIS_RETURN_IF_ERROR(RunAll(session, sample, row, &comparison));
    }
    ShowLine(session, "");
    const std::vector<client::CallTime> after = ComputeTimes(session, loaded.version);
    std::vector<VariantFacts> facts;
    for (size_t v = 0; v < variants_.size(); ++v) {
      VariantFacts& one = facts.emplace_back();
      if (const client::VariantStatus* status = Find(loaded, variants_[v])) one.status = *status;
      const uint64_t count = after[v].count - before[v].count;
      if (after[v].count > before[v].count) {
        one.compute_ms = static_cast<double>(after[v].total_ns - before[v].total_ns) / 1e6 / static_cast<double>(count);
      }
    }
    Json result = ReportComparison(comparison, facts, loaded.peak_bandwidth_bytes_per_second);
    result["model"] = model_;
    result["version"] = loaded.version;
    result["data"] = samples_.Description();
    result["date"] = absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::Now(), absl::UTCTimeZone());
    const absl::StatusOr<client::ServerMetadata> server = session.client->ServerMetadata();
    result["server"] = server.ok() ? absl::StrCat(server->name, " ", server->version) : std::string("a server");
    if (!html_.empty()) PRECIS_RETURN_IF_ERROR(WritePage(html_, ComparePage(result)));
    return result;
  }

  void Print(const Json& result, std::ostream& out) const override {
    Table table({"VARIANT", ">TOP-1 %", ">+-", ">p", ">AGREEMENT %", ">SQNR dB", ">COSINE", ">MAX ERROR", ">p50 ms",
                 ">p90 ms", ">p99 ms", ">WEIGHTS", ">BYTES/INFERENCE", ">GB/s", ">OF PEAK"});
    const auto number = [](const Json& value, int decimals) {
      return FormatNumber(value.is_null() ? NAN : value.get<double>(), decimals);
    };
    for (const Json& row : result["variants"]) {
      const bool labelled = !row["top1"].is_null();
      const Json &latency = row["latency_ms"], &speed = row["bytes_per_second"],
                 &peak = result["peak_bandwidth_bytes_per_second"];
      const double gigabytes = speed.is_null() ? NAN : speed.get<double>() / 1e9;
      const double share = peak.is_null() ? NAN : gigabytes * 1e9 / peak.get<double>() * 100;
      table.AddRow(
          {LabelOf(row["variant"].get<std::string>(), row["emulated_layers"]), number(row["top1"], 2),
           labelled ? FormatNumber((row["top1_high"].get<double>() - row["top1_low"].get<double>()) / 2, 2) : "-",
           labelled ? number(row["mcnemar_p"], 3) : "-", number(row["agreement"], 2), number(row["sqnr_db"], 1),
           number(row["cosine"], 5), absl::StrFormat("%.3g", row["max_abs_error"].get<double>()),
           number(latency["p50"], 2), number(latency["p90"], 2), number(latency["p99"], 2),
           FormatBytes(row["weight_bytes"].get<int64_t>()), FormatBytes(row["bytes_per_inference"].get<int64_t>()),
           FormatNumber(gigabytes, 1), std::isfinite(share) ? absl::StrFormat("%.0f %%", share) : "-"});
    }
    table.Print(out);
    for (const Json& row : result["variants"]) {
      if (row["emulated_layers"] == 0) continue;
      out << "\n"
          << row["variant"].get<std::string>() << ": layers with emulated accumulators: " << row["emulated_layers"]
          << "; its times and GB/s are the emulation's, not those of any hardware.";
    }
    out << "\n" << result["samples"] << " samples. " << result["recommendation"]["sentence"].get<std::string>();
    if (const std::string doubt = result["recommendation"]["doubt"]; !doubt.empty()) out << " " << doubt;
    out << "\n";
    if (!html_.empty()) out << "page: " << html_ << "\n";
  }

 private:
  // Loads what is not READY yet. Returns the model with all its variants.
  absl::StatusOr<client::ModelVariants> LoadMissing(Session& session) const {
    PRECIS_ASSIGN_OR_RETURN(client::ModelVariants before, ListOne(session));
    bool changed = false;
    for (const std::string& variant : variants_) {
      const client::VariantStatus* status = Find(before, variant);
      if (status != nullptr && status->state == "READY") continue;
      absl::StatusOr<client::VariantStatus> loaded = LoadWithProgress(
          session, {.model = model_, .version = before.version, .variant = variant, .policy = "", .warm_shapes = {}});
      if (!loaded.ok())
        return absl::Status(loaded.status().code(),
                            absl::StrCat(model_, "@", variant, ": ", loaded.status().message()));
      changed = true;
    }
    if (!changed) return before;
    return ListOne(session);
  }

  // The highest version's entry.
  absl::StatusOr<client::ModelVariants> ListOne(Session& session) const {
    absl::StatusOr<std::vector<client::ModelVariants>> models = session.client->ListVariants(model_);
    if (!models.ok()) return models.status();
    const client::ModelVariants* highest = nullptr;
    for (const client::ModelVariants& one : *models) {
      if (highest == nullptr || std::atoll(one.version.c_str()) > std::atoll(highest->version.c_str())) highest = &one;
    }
    if (highest == nullptr) return absl::NotFoundError(absl::StrCat("model \"", model_, "\" is unknown"));
    return *highest;
  }

  static const client::VariantStatus* Find(const client::ModelVariants& model, const std::string& name) {
    for (const client::VariantStatus& variant : model.variants) {
      if (variant.name == name) return &variant;
    }
    return nullptr;
  }

  // Runs one sample on every variant, beginning with another one each turn.
  absl::Status RunAll(Session& session, const Sample& sample, int64_t turn, stats::Comparison* comparison) const {
    std::vector<stats::SampleOutputs> outputs(variants_.size());
    for (size_t i = 0; i < variants_.size(); ++i) {
      const size_t v = (static_cast<size_t>(turn) + i) % variants_.size();
      const client::InferRequest request = {.model = model_ + "@" + variants_[v],
                                            .version = "",
                                            .id = "",
                                            .inputs = sample.inputs,
                                            .outputs = {},
                                            .parameters = {}};
      const absl::Time start = absl::Now();
      absl::StatusOr<client::InferResponse> response = session.client->Infer(request);
      const double latency_ms = absl::ToDoubleMilliseconds(absl::Now() - start);
      if (!response.ok()) return response.status();
      PRECIS_ASSIGN_OR_RETURN(outputs[v], OutputsOf(*response));
      outputs[v].latency_ms = latency_ms;
    }
    if (comparison == nullptr) return absl::OkStatus();
    return comparison->Add(outputs, sample.label);
  }

  // Time that each variant has computed since it was loaded; zeros where the server does not say.
  std::vector<client::CallTime> ComputeTimes(Session& session, const std::string& version) const {
    std::vector<client::CallTime> times(variants_.size());
    for (size_t v = 0; v < variants_.size(); ++v) {
      const auto statistics = session.client->Statistics(model_ + "@" + variants_[v], version);
      if (statistics.ok() && !statistics->empty()) times[v] = statistics->front().compute_infer;
    }
    return times;
  }

  std::string model_, html_;
  std::vector<std::string> variants_;
  SampleFlags samples_;
};

}  // namespace

std::unique_ptr<Command> MakeCompareCommand() { return std::make_unique<CompareCommand>(); }

}  // namespace precis::cli
