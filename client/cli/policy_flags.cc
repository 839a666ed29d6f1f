// Short flags become the same textproto that a file holds; the server checks both alike.
#include "client/cli/policy_flags.h"

#include <array>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace precis::cli {
namespace {

const std::vector<std::string> kPrecisions = {"fp32", "bf16", "fp16", "int8", "mixed"};
const std::vector<std::string> kSchemes = {"affine", "log2", "codebook", "ternary", "binary"};
const std::vector<std::string> kAccumulators = {"s32", "s16", "f32", "f16", "bf16", "fp16_169"};
const std::vector<std::string> kMethods = {"min_max", "moving_average", "percentile", "entropy", "mse"};

bool IsPrecision(const std::string& name) { return absl::c_linear_search(kPrecisions, name); }

}  // namespace

void PolicyFlags::Register(CLI::App* command) {
  const std::string group = "Policy";
  command->add_option("--policy", file_, "File with a precis.v1.PrecisionPolicy (textproto) for the variant")
      ->type_name("FILE")
      ->group(group);
  command->add_option("--precision", precision_, "Precision; default: what the variant's name says")
      ->check(CLI::IsMember(kPrecisions))
      ->group(group);
  command
      ->add_option(
          "--override", overrides_,
          "Precision of the layers whose name matches (* stands for anything), int8 with plain 8-bit weights; may be "
          "repeated, the first match counts")
      ->type_name("PATTERN=PRECISION")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
  command->add_option("--min_sqnr_db", min_sqnr_db_, "mixed: least SQNR of the outputs against fp32")
      ->type_name("DB")
      ->group(group);
  command
      ->add_option("--max_top1_disagreement", max_top1_disagreement_,
                   "mixed: largest share of predictions that may differ from fp32's")
      ->type_name("SHARE")
      ->group(group);
  command->add_option("--candidates", candidates_, "mixed: precisions to choose from; default int8,bf16,fp32")
      ->delimiter(',')
      ->check(CLI::IsMember(std::vector<std::string>(kPrecisions.begin(), kPrecisions.end() - 1)))
      ->group(group);
  command->add_option("--objective", objective_, "mixed: what to save")
      ->check(CLI::IsMember({"latency", "memory"}))
      ->group(group);
  command
      ->add_option("--weight_scheme", weight_scheme_, "int8 and mixed: which levels weights may take; default affine")
      ->check(CLI::IsMember(kSchemes))
      ->group(group);
  command
      ->add_option("--weight_bits", weight_bits_,
                   "int8 and mixed: bits of a weight; affine 2 to 8 (8), codebook 2 to 8 (4), log2 2 to 4 (4)")
      ->check(CLI::Range(1, 8))
      ->group(group);
  command
      ->add_option("--weight_group_size", weight_group_size_,
                   "int8 and mixed: elements of K that share a scale; default all of an output channel")
      ->check(CLI::PositiveNumber)
      ->group(group);
  command
      ->add_option(
          "--accumulator", accumulator_,
          "Emulate hardware whose sums are of this format: s16 those of int8 layers, the others those of fp32, bf16 "
          "and fp16; default what this CPU has")
      ->check(CLI::IsMember(kAccumulators))
      ->group(group);
  command
      ->add_option("--chunk_size", chunk_size_,
                   "Cut sums over K into chunks of so many elements, each summed on its own; default whole")
      ->check(CLI::PositiveNumber)
      ->group(group);
  command->add_option("--outer", outer_, "With --chunk_size: the chunks' sums are added in f32, or in the same format")
      ->check(CLI::IsMember({"f32", "same"}))
      ->group(group);
  command->add_option("--calibration_method", calibration_, "int8 and mixed: how ranges are chosen")
      ->check(CLI::IsMember(kMethods))
      ->group(group);
  command->add_option("--calibration_source", source_, "int8 and mixed: where samples come from")
      ->check(CLI::IsMember({"files", "stream", "live_traffic"}))
      ->group(group);
  command
      ->add_option("--sample_limit", sample_limit_,
                   "int8 and mixed: calibration samples to use; default all, of live traffic 100")
      ->check(CLI::PositiveNumber)
      ->group(group);
}

absl::StatusOr<std::string> PolicyFlags::ReadFile() const {
  std::ifstream file(file_);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) return UsageError(absl::StrCat(file_, ": cannot read"));
  return text.str();
}

absl::StatusOr<std::string> PolicyFlags::PolicyFor(const std::string& variant) const {
  std::string mixed, weights, calibration, accumulation, text;
  for (const std::string& c : candidates_) absl::StrAppend(&mixed, " candidates: ", absl::AsciiStrToUpper(c));
  if (min_sqnr_db_) absl::StrAppend(&mixed, " min_sqnr_db: ", *min_sqnr_db_);
  if (max_top1_disagreement_) absl::StrAppend(&mixed, " max_top1_disagreement: ", *max_top1_disagreement_);
  if (!objective_.empty()) absl::StrAppend(&mixed, " objective: ", absl::AsciiStrToUpper(objective_));
  if (!mixed.empty()) absl::StrAppend(&text, " mixed {", mixed, " }");
  if (!weight_scheme_.empty()) absl::StrAppend(&weights, " scheme: ", absl::AsciiStrToUpper(weight_scheme_));
  if (weight_bits_) absl::StrAppend(&weights, " bits: ", *weight_bits_);
  if (weight_group_size_) absl::StrAppend(&weights, " granularity: PER_GROUP group_size: ", *weight_group_size_);
  if (!weights.empty()) absl::StrAppend(&text, " weights {", weights, " }");
  if (!calibration_.empty()) absl::StrAppend(&calibration, " method: ", absl::AsciiStrToUpper(calibration_));
  if (!source_.empty()) absl::StrAppend(&calibration, " source: ", absl::AsciiStrToUpper(source_));
  if (sample_limit_) absl::StrAppend(&calibration, " sample_limit: ", *sample_limit_);
  if (!calibration.empty()) absl::StrAppend(&text, " calibration {", calibration, " }");
  if (chunk_size_) absl::StrAppend(&accumulation, " mode: CHUNKED chunk_size: ", *chunk_size_);
  if (!accumulator_.empty()) absl::StrAppend(&accumulation, " accumulator: ", absl::AsciiStrToUpper(accumulator_));
  if (!outer_.empty()) absl::StrAppend(&accumulation, " outer: OUTER_", absl::AsciiStrToUpper(outer_));
  if (!accumulation.empty()) absl::StrAppend(&text, " accumulation {", accumulation, " }");
  for (const std::string& override : overrides_) {
    const size_t equals = override.rfind('=');
    const std::string precision = equals == std::string::npos ? "" : override.substr(equals + 1);
    if (!IsPrecision(precision) || precision == "mixed" || equals == 0)
      return UsageError(absl::StrCat("--override ", override, ": want PATTERN=PRECISION, such as head*=fp32"));
    absl::StrAppend(&text, " overrides { pattern: \"", absl::CEscape(override.substr(0, equals)),
                    "\" policy { precision: ", absl::AsciiStrToUpper(precision),
                    precision == "int8" && !weights.empty() ? " weights { bits: 8 }" : "", " } }");
  }
  if (!file_.empty()) {
    if (!text.empty() || !precision_.empty()) return UsageError("--policy says everything: give no other policy flag");
    return ReadFile();
  }
  std::string precision = precision_;
  if (precision.empty() && text.empty()) return std::string();
  if (precision.empty() && !mixed.empty()) precision = "mixed";
  if (precision.empty() && IsPrecision(variant)) precision = variant;
  if (precision.empty() && !weights.empty()) precision = "int8";
  if (precision.empty()) return UsageError(absl::StrCat("--precision: say which one \"", variant, "\" has"));
  return absl::StrCat("precision: ", absl::AsciiStrToUpper(precision), text);
}

}  // namespace precis::cli
