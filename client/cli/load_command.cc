// precis load and precis unload. On a terminal the load draws one bar over itself; elsewhere each phase is a line.

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/command.h"
#include "client/cli/policy_flags.h"
#include "client/cli/random_inputs.h"
#include "client/cli/table.h"
#include "client/cli/variant_json.h"

namespace precis::cli {
namespace {

constexpr int kBarWidth = 24;

// Shows a load's progress, one phase after the other.
class ProgressLine {
 public:
  ProgressLine(std::string name, const Session& session) : name_(std::move(name)), session_(session) {}
  ~ProgressLine() {
    if (shown_) ShowLine(session_, "");
  }

  void Show(const client::LoadProgress& progress) {
    std::string phase = absl::AsciiStrToLower(progress.phase);
    std::replace(phase.begin(), phase.end(), '_', ' ');
    if (!session_.progress_is_terminal) {
      if (phase != phase_ && phase != "done") {
        *session_.progress << name_ << ": " << phase << (progress.detail.empty() ? "" : ", " + progress.detail) << "\n"
                           << std::flush;
      }
    } else {
      const double fraction = std::clamp(progress.fraction, 0.0, 1.0);
      const int filled = static_cast<int>(std::lround(fraction * kBarWidth));
      ShowLine(session_, absl::StrFormat("%s  %-10s [%s%s] %3.0f%%  %.1f s  %s", name_, phase, std::string(filled, '='),
                                         std::string(kBarWidth - filled, ' '), 100 * fraction,
                                         progress.elapsed_ms / 1000, progress.detail));
    }
    phase_ = phase;
    shown_ = true;
  }

 private:
  const std::string name_;
  const Session& session_;
  std::string phase_;
  bool shown_ = false;
};

class LoadCommand final : public Command {
 public:
  CLI::App* Register(CLI::App* app) override {
    CLI::App* command = app->add_subcommand("load", "Load models at a precision, quantizing them if need be");
    command
        ->add_option("MODEL", models_,
                     "net (its default variant) or net@VARIANT; VARIANT is fp32, bf16, fp16, int8, mixed, "
                     "a policy of the model's precision.textproto, or a name of your own with a policy")
        ->required();
    policy_.Register(command);
    command->add_flag("--recalibrate", recalibrate_,
                      "With live traffic: wait for new requests, whatever was learned from earlier ones");
    command->add_option("--shape", shapes_, "Input shape to compile for; may be repeated")
        ->type_name("INPUT=1,3,224,224")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command->footer(
        "int8 and mixed calibrate on the samples in the model's calibration/ folder. mixed measures what each layer "
        "loses at\n"
        "int8 and what each precision saves, and keeps the budget (25 dB unless you say another) at the least time or "
        "memory;\n"
        "`precis plan net@mixed` shows what it found.\n\n"
        "With --calibration_source=live_traffic the load waits for the model's next requests and calibrates on their "
        "inputs (100\n"
        "of them unless --sample_limit says another number) while what is loaded answers them. It waits until "
        "--load-timeout;\n"
        "Ctrl-C ends it. Later loads take what was learned, after a restart too, unless they say --recalibrate.\n\n"
        "Examples:\n"
        "  precis load resnet50@fp32 resnet50@int8\n"
        "  precis load resnet50@mixed --min_sqnr_db=25\n"
        "  precis load resnet50@small --objective=memory --max_top1_disagreement=0.01\n"
        "  precis load resnet50@int8 --override='conv1=fp32' --override='layer4*=bf16'\n"
        "  precis load resnet50@int8 --calibration_source=live_traffic --sample_limit=200 --load-timeout=24h\n"
        "  precis load resnet50@int8 --weight_scheme=codebook --override='conv1=int8' --override='fc=int8'\n"
        "  precis load resnet50@acc --precision=fp16 --accumulator=f16 --chunk_size=64\n"
        "  precis load resnet50@careful --policy=careful.textproto");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    client::LoadVariantRequest request;
    auto shapes = ParseShapes(shapes_);
    if (!shapes.ok()) return shapes.status();
    request.warm_shapes = *std::move(shapes);
    request.recalibrate = recalibrate_;
    Json loaded = Json::array();
    for (const std::string& name : models_) {
      const ModelName parts = SplitModelName(name);
      request.model = parts.model;
      request.variant = parts.variant;
      auto policy = policy_.PolicyFor(parts.variant);
      if (!policy.ok()) return policy.status();
      request.policy = *std::move(policy);
      absl::StatusOr<client::VariantStatus> status = LoadWithProgress(session, request);
      if (!status.ok())
        return absl::Status(status.status().code(), absl::StrCat(name, ": ", status.status().message()));
      Json entry = VariantJson(*status);
      entry["model"] = parts.model;
      loaded.push_back(std::move(entry));
    }
    return Json{{"loaded", std::move(loaded)}};
  }

  void Print(const Json& result, std::ostream& out) const override {
    for (const Json& variant : result["loaded"]) {
      double total_ms = 0;
      std::string phases;
      for (const auto& [phase, ms] : variant["load_ms"].items()) {
        total_ms += ms.get<double>();
        absl::StrAppend(&phases, phases.empty() ? "" : ", ", phase, " ", FormatNumber(ms.get<double>(), 0), " ms");
      }
      out << variant["model"].get<std::string>() << "@" << variant["name"].get<std::string>() << "  "
          << variant["state"].get<std::string>() << "  weights " << FormatBytes(variant["weight_bytes"].get<int64_t>())
          << ", loaded in " << FormatNumber(total_ms, 0) << " ms" << (phases.empty() ? "" : " (" + phases + ")")
          << "\n";
      if (const int layers = variant["emulated_layers"]; layers > 0) {
        out << "layers with emulated accumulators: " << layers
            << "; the answers are those of such hardware, the times are not\n";
      }
    }
  }

 private:
  std::vector<std::string> models_, shapes_;
  bool recalibrate_ = false;
  PolicyFlags policy_;
};

class UnloadCommand final : public Command {
 public:
  CLI::App* Register(CLI::App* app) override {
    CLI::App* command = app->add_subcommand("unload", "Unload models, or single variants of them");
    command->add_option("MODEL", models_, "net (every variant) or net@VARIANT")->required();
    command->footer(
        "Requests in flight are answered first.\n\n"
        "Examples:\n"
        "  precis unload resnet50@fp32\n"
        "  precis unload resnet50");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    for (const std::string& name : models_) {
      const ModelName parts = SplitModelName(name);
      const absl::Status status = parts.variant.empty() ? session.client->UnloadModel(parts.model)
                                                        : session.client->UnloadVariant(parts.model, parts.variant);
      if (!status.ok()) return absl::Status(status.code(), absl::StrCat(name, ": ", status.message()));
    }
    return Json{{"unloaded", models_}};
  }

  void Print(const Json& result, std::ostream& out) const override {
    for (const Json& name : result["unloaded"]) out << name.get<std::string>() << "  unloaded\n";
  }

 private:
  std::vector<std::string> models_;
};

}  // namespace

absl::StatusOr<client::VariantStatus> LoadWithProgress(Session& session, const client::LoadVariantRequest& request) {
  ProgressLine line(request.variant.empty() ? request.model : absl::StrCat(request.model, "@", request.variant),
                    session);
  return session.client->LoadVariant(request, [&](const client::LoadProgress& progress) { line.Show(progress); });
}

std::unique_ptr<Command> MakeLoadCommand() { return std::make_unique<LoadCommand>(); }
std::unique_ptr<Command> MakeUnloadCommand() { return std::make_unique<UnloadCommand>(); }

}  // namespace precis::cli
