// precis calibrate: sends a folder's samples to the server, which calibrates a variant on them and loads it.

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/policy_flags.h"
#include "client/cli/samples.h"
#include "client/cli/table.h"
#include "client/cli/variant_json.h"
#include "engine/base/status_macros.h"

namespace precis::cli {
namespace {

class CalibrateCommand final : public Command {
 public:
  CLI::App* Register(CLI::App* app) override {
    CLI::App* command =
        app->add_subcommand("calibrate", "Send samples, and load an int8 or mixed variant calibrated on them");
    command->add_option("MODEL", model_, "net@VARIANT: int8, mixed, or a variant with a policy of that kind")
        ->required();
    samples_.Register(command);
    policy_.Register(command);
    command->footer(
        "For a model without a calibration/ folder, or with one that has grown old. The server keeps what it needs of "
        "each\n"
        "sample and forgets the sample. A variant that is loaded goes on answering until the new one is ready; when "
        "a sample\n"
        "is refused (wrong shape, NaN, …) nothing changes. What was learned is kept in the server's calibration cache: "
        "a policy\n"
        "with calibration { source: STREAM } takes the last that was sent, also after a restart.\n\n"
        "Examples:\n"
        "  precis calibrate resnet50@int8 --data=photos --rows=:100 --mean=.485,.456,.406 --std=.229,.224,.225\n"
        "  precis calibrate minilm@mixed --data=pairs --min_sqnr_db=25    pairs/input_ids.npy, "
        "pairs/attention_mask.npy");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    const ModelName name = SplitModelName(model_);
    if (name.variant.empty())
      return UsageError(absl::StrCat("MODEL ", model_, ": name the variant, such as ", model_, "@int8"));
    client::CalibrateRequest request;
    request.model = name.model;
    request.variant = name.variant;
    PRECIS_ASSIGN_OR_RETURN(request.policy, policy_.PolicyFor(name.variant));
    // Any loaded variant says what the inputs are.
    absl::StatusOr<client::ModelMetadata> metadata = session.client->ModelMetadata(name.model);
    if (!metadata.ok()) {
      return absl::Status(metadata.status().code(),
                          absl::StrCat(std::string(metadata.status().message()), " (load ", name.model,
                                       "@fp32 first: it says what the samples are to look like)"));
    }
    absl::StatusOr<std::vector<client::ModelVariants>> models = session.client->ListVariants(name.model);
    if (!models.ok()) return models.status();
    PRECIS_ASSIGN_OR_RETURN(const SampleFlags::Chosen chosen,
                            samples_.Open(*metadata, models->empty() ? std::nullopt : models->back().preprocessing));
    int64_t row = chosen.first;
    absl::StatusOr<client::Calibrated> done =
        session.client->Calibrate(request, [&]() -> absl::StatusOr<std::optional<std::vector<client::Tensor>>> {
          ShowLine(session, row < chosen.last ? absl::StrCat(row - chosen.first, " of ", chosen.count(), " samples")
                                              : absl::StrCat(chosen.count(), " samples sent; loading"));
          if (row == chosen.last) return std::nullopt;
          PRECIS_ASSIGN_OR_RETURN(Sample sample, chosen.samples->Get(row++));
          return std::optional(std::move(sample.inputs));
        });
    ShowLine(session, "");
    if (!done.ok()) return absl::Status(done.status().code(), absl::StrCat(model_, ": ", done.status().message()));
    Json result = VariantJson(done->variant);
    result["model"] = name.model;
    result["samples"] = done->samples;
    return result;
  }

  void Print(const Json& result, std::ostream& out) const override {
    out << result["model"].get<std::string>() << "@" << result["name"].get<std::string>() << "  "
        << result["state"].get<std::string>() << "  calibrated on " << result["samples"] << " samples, weights "
        << FormatBytes(result["weight_bytes"].get<int64_t>()) << "\n";
  }

 private:
  std::string model_;
  PolicyFlags policy_;
  SampleFlags samples_;
};

}  // namespace

std::unique_ptr<Command> MakeCalibrateCommand() { return std::make_unique<CalibrateCommand>(); }

}  // namespace precis::cli
