// precis compare: every sample goes to every variant in turn, so that the machine's moods meet them all alike.

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/command.h"
#include "client/cli/samples.h"
#include "client/cli/table.h"
#include "engine/base/status_macros.h"
#include "engine/tensor/tensor.h"
#include "stats/comparison.h"
#include "stats/percentile.h"

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
    command
        ->add_option("--data", data_,
                     "Folder of samples: labels.csv (file,label) with image files; or images.npy with "
                     "labels.npy; or one NAME.npy for each input")
        ->required()
        ->type_name("DIR");
    command->add_option("--rows", rows_, "Which samples, as in Python: 100: or :100 or 100:200")
        ->type_name("FIRST:END");
    flags_.Register(command);
    command->footer(
        "Variants that are not loaded are loaded first. top1 and agreement (of the predictions with the first "
        "variant's)\n"
        "are percentages; sqnr is the outputs' signal-to-noise ratio against the first variant in dB; cosine is "
        "between\n"
        "their outputs; latencies are round trips of one call at a time, the variants taking turns.\n\n"
        "Examples:\n"
        "  precis compare mobilenet_v2 --variants=fp32,bf16,int8 --data=imagenet500 --rows=100: \\\n"
        "      --mean=.485,.456,.406 --std=.229,.224,.225\n"
        "  precis compare minilm --variants=fp32,int8 --data=pairs     pairs/input_ids.npy, pairs/attention_mask.npy");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    if (!SplitModelName(model_).variant.empty()) {
      return UsageError(absl::StrCat("MODEL ", model_, ": name the variants with --variants"));
    }
    PRECIS_ASSIGN_OR_RETURN(const client::ModelVariants loaded, LoadMissing(session));
    absl::StatusOr<client::ModelMetadata> metadata = session.client->ModelMetadata(model_ + "@" + variants_[0]);
    if (!metadata.ok()) return metadata.status();
    PRECIS_ASSIGN_OR_RETURN(const auto samples, OpenSamples(data_, *metadata, flags_, loaded.preprocessing));
    PRECIS_ASSIGN_OR_RETURN(const auto rows, ParseRows(rows_, samples->size()));
    stats::Comparison comparison(variants_);
    for (int64_t row = rows.first; row < rows.second; ++row) {
      if (session.progress_is_terminal) {
        *session.progress << "\r" << row - rows.first << " of " << rows.second - rows.first << " samples" << std::flush;
      }
      PRECIS_ASSIGN_OR_RETURN(const Sample sample, samples->Get(row));
      for (int i = 0; row == rows.first && i < kWarmUpRuns; ++i) {
        PRECIS_RETURN_IF_ERROR(RunAll(session, sample, i, nullptr));
      }
      PRECIS_RETURN_IF_ERROR(RunAll(session, sample, row, &comparison));
    }
    if (session.progress_is_terminal) *session.progress << "\r\x1b[K" << std::flush;
    return Report(comparison, loaded);
  }

  void Print(const Json& result, std::ostream& out) const override {
    Table table({"VARIANT", ">TOP-1 %", ">AGREEMENT %", ">SQNR dB", ">COSINE", ">p50 ms", ">p99 ms", ">WEIGHTS",
                 ">BYTES/INFERENCE", ">SAMPLES"});
    const auto number = [](const Json& value, int decimals) {
      return FormatNumber(value.is_null() ? NAN : value.get<double>(), decimals);
    };
    for (const Json& row : result["variants"]) {
      table.AddRow({row["variant"].get<std::string>(), number(row["top1"], 2), number(row["agreement"], 2),
                    number(row["sqnr_db"], 1), number(row["cosine"], 5), number(row["latency_ms"]["p50"], 2),
                    number(row["latency_ms"]["p99"], 2), FormatBytes(row["weight_bytes"].get<int64_t>()),
                    FormatBytes(row["bytes_per_inference"].get<int64_t>()),
                    std::to_string(row["samples"].get<int64_t>())});
    }
    table.Print(out);
  }

 private:
  // Loads what is not READY yet. Returns the model with all its variants.
  absl::StatusOr<client::ModelVariants> LoadMissing(Session& session) const {
    PRECIS_ASSIGN_OR_RETURN(const client::ModelVariants before, ListOne(session));
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

  Json Report(const stats::Comparison& comparison, const client::ModelVariants& loaded) const {
    Json variants = Json::array();
    for (size_t v = 0; v < variants_.size(); ++v) {
      const stats::ComparisonRow& row = comparison.rows()[v];
      const client::VariantStatus* status = Find(loaded, variants_[v]);
      const client::VariantStatus none;
      if (status == nullptr) status = &none;
      const double sqnr_db = row.fidelity.SqnrDb().value;
      variants.push_back(
          {{"variant", variants_[v]},
           {"top1", row.labelled > 0 ? Json(100 * row.Top1().value) : Json(nullptr)},
           {"agreement", 100 * row.fidelity.Agreement().value},
           {"sqnr_db", std::isfinite(sqnr_db) ? Json(sqnr_db) : Json(nullptr)},
           {"cosine", row.fidelity.Cosine().value},
           {"latency_ms",
            {{"p50", stats::Percentile(row.latency_ms, 50)}, {"p99", stats::Percentile(row.latency_ms, 99)}}},
           {"weight_bytes", status->weight_bytes},
           {"bytes_per_inference", status->weight_bytes_per_run + status->activation_bytes_per_run},
           {"samples", row.fidelity.samples()}});
    }
    return Json{{"model", model_}, {"version", loaded.version}, {"baseline", variants_[0]}, {"variants", variants}};
  }

  std::string model_, data_, rows_;
  std::vector<std::string> variants_;
  PreprocessingFlags flags_;
};

}  // namespace

std::unique_ptr<Command> MakeCompareCommand() { return std::make_unique<CompareCommand>(); }

}  // namespace precis::cli
