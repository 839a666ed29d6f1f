// precis_accuracy: what a precision costs in accuracy, in process: runs every sample through fp32 and through each variant and compares the
// outputs. Samples come as .npy (one input) or .npz (arrays named like the inputs), preprocessed, the first dimension counting them.
// Prints one JSON object on one line:
//   {"model":…,"samples":n,"variants":[{variant, top1 (with --labels), agreement, sqnr_db, cosine, load_ms{phase}}]}
// agreement: share of samples whose largest output is the same as fp32's; sqnr_db: 10 log10(sum y^2 / sum (y - y_q)^2) over all outputs of all
// samples; cosine: mean over samples.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/model.h"
#include "engine/tensor/npy.h"
#include "nlohmann/json.hpp"
#include "server/config/precision_policy.h"
#include "stats/comparison.h"

ABSL_FLAG(std::string, model, "", "ONNX file");
ABSL_FLAG(std::string, inputs, "", ".npy or .npz of preprocessed samples");
ABSL_FLAG(std::string, labels, "", ".npy of integers, one per sample, for top-1");
ABSL_FLAG(std::vector<std::string>, variants, {"int8"}, "built-in variants to compare with fp32");
ABSL_FLAG(std::vector<std::string>, policies, {},
          "files with a precis.v1.PrecisionPolicy (text format or JSON), each a variant too, called like its file");
ABSL_FLAG(std::string, calibration, "", "folder of calibration samples for int8");
ABSL_FLAG(std::string, method, "default",
          "calibration of int8: default, minmax, moving_average, percentile, entropy, mse");
ABSL_FLAG(bool, bias_correction, true, "int8: correct biases for the rounding of weights");
ABSL_FLAG(bool, symmetric, false, "int8: signed activations without zero point");
ABSL_FLAG(double, min_sqnr_db, 0, "mixed: the budget; 0: the engine's own");
ABSL_FLAG(int, threads, 1, "threads of one run");
ABSL_FLAG(std::string, outputs, "", "write the first output of the last variant to this .npy file");

namespace precis {
namespace {

using Json = nlohmann::json;

// The samples' first outputs, each as one row.
using Rows = std::vector<std::vector<float>>;

absl::StatusOr<std::vector<Tensor>> ReadInputs(const Model& model) {
  const std::string path = absl::GetFlag(FLAGS_inputs);
  std::map<std::string, Tensor> arrays;
  if (absl::EndsWith(path, ".npz")) {
    PRECIS_ASSIGN_OR_RETURN(arrays, ReadNpz(path));
  } else {
    PRECIS_ASSIGN_OR_RETURN(arrays[model.inputs()[0].name], ReadNpy(path));
  }
  std::vector<Tensor> inputs;
  for (const TensorSpec& spec : model.inputs()) {
    const auto it = arrays.find(spec.name);
    if (it == arrays.end() || it->second.dtype() != spec.dtype || it->second.shape().size() != spec.shape.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": want an array \"", spec.name, "\" of ", Name(spec.dtype)));
    }
    inputs.push_back(std::move(it->second));
  }
  return inputs;
}

absl::StatusOr<quant::Policy> PolicyOf(const std::string& variant) {
  using quant::CalibrationMethod;
  const std::map<std::string, CalibrationMethod> methods = {{"default", CalibrationMethod::kDefault},
                                                            {"minmax", CalibrationMethod::kMinMax},
                                                            {"moving_average", CalibrationMethod::kMovingAverage},
                                                            {"percentile", CalibrationMethod::kPercentile},
                                                            {"entropy", CalibrationMethod::kEntropy},
                                                            {"mse", CalibrationMethod::kMse}};
  const auto method = methods.find(absl::GetFlag(FLAGS_method));
  if (method == methods.end())
    return absl::InvalidArgumentError(absl::StrCat("no method ", absl::GetFlag(FLAGS_method)));
  for (const std::string& file : absl::GetFlag(FLAGS_policies)) {
    if (std::filesystem::path(file).stem() != variant) continue;
    std::ifstream stream(file);
    if (!stream) return absl::InvalidArgumentError(absl::StrCat(file, ": cannot be read"));
    const std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    PRECIS_ASSIGN_OR_RETURN(const auto proto, server::ParsePolicyText(text));
    return server::PolicyFromProto(proto);
  }
  PRECIS_ASSIGN_OR_RETURN(quant::Policy policy, quant::BuiltInPolicy(variant));
  policy.calibration.method = method->second;
  policy.bias_correction = absl::GetFlag(FLAGS_bias_correction);
  policy.symmetric_activations = absl::GetFlag(FLAGS_symmetric);
  if (const double db = absl::GetFlag(FLAGS_min_sqnr_db); db > 0) policy.mixed.min_sqnr_db = db;
  return policy;
}

struct Result {
  Rows rows;
  std::shared_ptr<const search::Report> search;
  std::map<std::string, double> load_ms;
};

absl::StatusOr<Result> RunVariant(const Model& model, const std::string& name, const std::vector<Tensor>& inputs) {
  LoadOptions options;
  options.variant = name;
  PRECIS_ASSIGN_OR_RETURN(options.policy, PolicyOf(name));
  options.threads = absl::GetFlag(FLAGS_threads);
  options.calibration_dir = absl::GetFlag(FLAGS_calibration);
  std::vector<TensorView> views;
  for (const Tensor& t : inputs) {
    views.push_back(t.view());
    views.back().shape[0] = 1;
    options.warm_shapes.push_back(views.back().shape);
  }
  PRECIS_ASSIGN_OR_RETURN(const auto variant, model.LoadVariant(options));
  PRECIS_ASSIGN_OR_RETURN(const auto session, variant->NewSession());
  Result result;
  result.load_ms = variant->info().load_ms;
  result.search = variant->info().search;
  std::vector<Tensor> outputs;
  for (int64_t i = 0; i < inputs[0].shape()[0]; ++i) {
    PRECIS_RETURN_IF_ERROR(session->Run(views, &outputs));
    result.rows.push_back(ToFloat(outputs[0].view()));
    for (TensorView& v : views) v.data = static_cast<const char*>(v.data) + v.size_bytes();
  }
  return result;
}

absl::StatusOr<Json> Compare(const Rows& want, const Rows& got, const std::vector<int64_t>& labels) {
  stats::Comparison comparison({"fp32", "the variant"});
  for (size_t i = 0; i < want.size(); ++i) {
    const std::vector<int64_t> shape = {static_cast<int64_t>(want[i].size())};
    const stats::SampleOutputs outputs[] = {{{want[i]}, shape, 0}, {{got[i]}, shape, 0}};
    PRECIS_RETURN_IF_ERROR(comparison.Add(outputs, labels.empty() ? std::nullopt : std::optional(labels[i])));
  }
  const stats::ComparisonRow& row = comparison.rows()[1];
  Json json{{"agreement", 100 * row.fidelity.Agreement().value}, {"cosine", row.fidelity.Cosine().value}};
  const double sqnr_db = row.fidelity.SqnrDb().value;
  json["sqnr_db"] = std::isfinite(sqnr_db) ? Json(sqnr_db) : Json();
  if (!labels.empty()) json["top1"] = 100 * row.Top1().value;
  return json;
}

// What a mixed variant's search ran: [{sqnr_db, expected_sqnr_db, time_us, expected_us, chosen}].
Json SearchJson(const search::Report& search) {
  Json points = Json::array();
  for (const search::Point& p : search.points) {
    points.push_back({{"sqnr_db", p.sqnr_db},
                      {"expected_sqnr_db", p.expected_sqnr_db},
                      {"time_us", p.time_us},
                      {"expected_us", p.expected_us},
                      {"chosen", p.chosen}});
  }
  return {{"budget_met", search.budget_met},
          {"reason", search.reason},
          {"samples", search.samples},
          {"sensitivity_samples", search.sensitivity_samples},
          {"points", std::move(points)}};
}

absl::Status Main() {
  PRECIS_ASSIGN_OR_RETURN(const auto model, Model::Open(absl::GetFlag(FLAGS_model)));
  PRECIS_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, ReadInputs(*model));
  std::vector<int64_t> labels;
  if (const std::string path = absl::GetFlag(FLAGS_labels); !path.empty()) {
    PRECIS_ASSIGN_OR_RETURN(const Tensor read, ReadNpy(path));
    labels = ToInt64(read.view());
    if (labels.size() != static_cast<size_t>(inputs[0].shape()[0])) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": ", labels.size(), " labels for ", inputs[0].shape()[0], " samples"));
    }
  }
  PRECIS_ASSIGN_OR_RETURN(const Result exact, RunVariant(*model, "fp32", inputs));
  Json report{{"model", absl::GetFlag(FLAGS_model)}, {"samples", exact.rows.size()}};
  std::vector<std::string> variants = absl::GetFlag(FLAGS_variants);
  for (const std::string& file : absl::GetFlag(FLAGS_policies))
    variants.push_back(std::filesystem::path(file).stem().string());
  for (const std::string& name : variants) {
    PRECIS_ASSIGN_OR_RETURN(const Result result, RunVariant(*model, name, inputs));
    PRECIS_ASSIGN_OR_RETURN(Json row, Compare(exact.rows, result.rows, labels));
    row["variant"] = name;
    row["load_ms"] = result.load_ms;
    if (result.search != nullptr) row["search"] = SearchJson(*result.search);
    report["variants"].push_back(row);
    if (const std::string path = absl::GetFlag(FLAGS_outputs); !path.empty()) {
      std::vector<float> flat;
      for (const auto& r : result.rows) flat.insert(flat.end(), r.begin(), r.end());
      const Shape shape{static_cast<int64_t>(result.rows.size()), static_cast<int64_t>(result.rows[0].size())};
      PRECIS_RETURN_IF_ERROR(WriteFileAtomically(path, FormatNpy(Tensor::From(shape, flat).view())));
    }
  }
  std::cout << report.dump() << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace precis

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "precis_accuracy --model=FILE --inputs=FILE [--labels=FILE] [--variants=bf16,int8] [--calibration=DIR]");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = precis::Main();
  if (!status.ok()) std::cerr << "precis_accuracy: " << status.ToString() << "\n";
  return status.ok() ? 0 : 1;
}
