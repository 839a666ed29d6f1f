// Field-by-field conversions. The only ones with a decision in them: tensors always travel raw, and a policy is parsed
// here, so that a spelling mistake is told before the call.

#include "client/wire.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include "absl/strings/str_cat.h"

namespace precis::client {
namespace {

inference::InferParameter ToMessage(const Parameter& parameter) {
  inference::InferParameter message;
  if (const bool* value = std::get_if<bool>(&parameter)) message.set_bool_param(*value);
  if (const int64_t* value = std::get_if<int64_t>(&parameter)) message.set_int64_param(*value);
  if (const double* value = std::get_if<double>(&parameter)) message.set_double_param(*value);
  if (const std::string* value = std::get_if<std::string>(&parameter)) message.set_string_param(*value);
  return message;
}

Parameter FromMessage(const inference::InferParameter& message) {
  switch (message.parameter_choice_case()) {
    case inference::InferParameter::kBoolParam: return message.bool_param();
    case inference::InferParameter::kInt64Param: return message.int64_param();
    case inference::InferParameter::kUint64Param: return static_cast<int64_t>(message.uint64_param());
    case inference::InferParameter::kDoubleParam: return message.double_param();
    case inference::InferParameter::kStringParam:
    case inference::InferParameter::PARAMETER_CHOICE_NOT_SET: break;
  }
  return message.string_param();
}

template <typename Repeated>
std::vector<std::decay_t<decltype(*std::declval<Repeated>().begin())>> ToVector(const Repeated& repeated) {
  return {repeated.begin(), repeated.end()};
}

std::vector<TensorMetadata> FromMessages(
    const google::protobuf::RepeatedPtrField<inference::ModelMetadataResponse::TensorMetadata>& messages) {
  std::vector<TensorMetadata> tensors;
  for (const auto& message : messages) {
    tensors.push_back({message.name(), message.datatype(), ToVector(message.shape())});
  }
  return tensors;
}

CallTime FromMessage(const inference::StatisticDuration& message) { return {message.count(), message.ns()}; }

Preprocessing FromMessage(const precis::v1::Preprocessing& message) {
  Preprocessing result;
  result.input = message.input();
  result.mean = ToVector(message.mean());
  result.std = ToVector(message.std());
  if (message.layout() == precis::v1::Preprocessing::NHWC) result.layout = Preprocessing::Layout::kNhwc;
  switch (message.color()) {
    case precis::v1::Preprocessing::RGB: result.color = Preprocessing::Color::kRgb; break;
    case precis::v1::Preprocessing::BGR: result.color = Preprocessing::Color::kBgr; break;
    case precis::v1::Preprocessing::GRAY: result.color = Preprocessing::Color::kGray; break;
    default: break;
  }
  return result;
}

void AddShapes(const std::map<std::string, std::vector<int64_t>>& shapes,
               google::protobuf::RepeatedPtrField<precis::v1::InputShape>* messages) {
  for (const auto& [input, shape] : shapes) {
    precis::v1::InputShape* message = messages->Add();
    message->set_input(input);
    message->mutable_shape()->Add(shape.begin(), shape.end());
  }
}

// Keeps the first mistake in a text, as "line 3: no such field".
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber, const std::string& message) override {
    if (text_.empty()) text_ = absl::StrCat("line ", line + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace

inference::ModelInferRequest ToMessage(const InferRequest& request) {
  inference::ModelInferRequest message;
  message.set_model_name(request.model);
  message.set_model_version(request.version);
  message.set_id(request.id);
  for (const auto& [name, parameter] : request.parameters) {
    (*message.mutable_parameters())[name] = ToMessage(parameter);
  }
  for (const Tensor& tensor : request.inputs) {
    auto* input = message.add_inputs();
    input->set_name(tensor.name);
    input->set_datatype(tensor.datatype);
    input->mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
    message.add_raw_input_contents(tensor.data);
  }
  for (const std::string& name : request.outputs) message.add_outputs()->set_name(name);
  return message;
}

absl::StatusOr<InferResponse> FromMessage(inference::ModelInferResponse* message) {
  if (message->outputs_size() != message->raw_output_contents_size()) {
    return absl::InternalError(absl::StrCat("reply of model \"", message->model_name(), "\" has ",
                                            message->outputs_size(), " outputs and ",
                                            message->raw_output_contents_size(), " raw contents"));
  }
  InferResponse response{message->model_name(), message->model_version(), message->id(), {}, {}};
  for (int i = 0; i < message->outputs_size(); ++i) {
    auto& output = *message->mutable_outputs(i);
    response.outputs.push_back({std::move(*output.mutable_name()), std::move(*output.mutable_datatype()),
                                ToVector(output.shape()), std::move(*message->mutable_raw_output_contents(i))});
  }
  for (const auto& [name, parameter] : message->parameters()) response.parameters[name] = FromMessage(parameter);
  return response;
}

ModelMetadata FromMessage(const inference::ModelMetadataResponse& message) {
  return {message.name(), message.platform(), ToVector(message.versions()), FromMessages(message.inputs()),
          FromMessages(message.outputs())};
}

ModelStatistics FromMessage(const inference::ModelStatistics& message) {
  const inference::InferStatistics& times = message.inference_stats();
  return {.name = message.name(),
          .version = message.version(),
          .inference_count = message.inference_count(),
          .execution_count = message.execution_count(),
          .success = FromMessage(times.success()),
          .fail = FromMessage(times.fail()),
          .queue = FromMessage(times.queue()),
          .compute_input = FromMessage(times.compute_input()),
          .compute_infer = FromMessage(times.compute_infer()),
          .compute_output = FromMessage(times.compute_output())};
}

namespace {

absl::Status ParsePolicy(const std::string& text, precis::v1::PrecisionPolicy* policy) {
  google::protobuf::TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  if (parser.ParseFromString(text, policy)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("policy: ", error.text()));
}

}  // namespace

absl::StatusOr<precis::v1::LoadVariantRequest> ToMessage(const LoadVariantRequest& request) {
  precis::v1::LoadVariantRequest message;
  message.set_model(request.model);
  message.set_version(request.version);
  message.set_variant(request.variant);
  if (!request.policy.empty()) {
    if (absl::Status status = ParsePolicy(request.policy, message.mutable_policy()); !status.ok()) return status;
  }
  AddShapes(request.warm_shapes, message.mutable_warm_shapes());
  message.set_recalibrate(request.recalibrate);
  return message;
}

absl::StatusOr<precis::v1::CalibrateRequest> ToMessage(const CalibrateRequest& request) {
  precis::v1::CalibrateRequest message;
  auto& start = *message.mutable_start();
  start.set_model(request.model);
  start.set_version(request.version);
  start.set_variant(request.variant);
  if (!request.policy.empty()) {
    if (absl::Status status = ParsePolicy(request.policy, start.mutable_precision_policy()); !status.ok())
      return status;
  }
  return message;
}

LoadProgress FromMessage(const precis::v1::LoadVariantProgress& message) {
  return {precis::v1::LoadVariantProgress::Phase_Name(message.phase()), message.fraction(), message.elapsed_ms(),
          message.detail()};
}

VariantStatus FromMessage(const precis::v1::VariantStatus& message) {
  return {.name = message.name(),
          .state = precis::v1::VariantStatus::State_Name(message.state()),
          .reason = message.reason(),
          .precision = precis::v1::PrecisionPolicy::Precision_Name(message.policy().precision()),
          .load_ms = {message.load_ms().begin(), message.load_ms().end()},
          .weight_bytes = message.weight_bytes(),
          .arena_bytes = message.arena_bytes(),
          .weight_bytes_per_run = message.weight_bytes_per_run(),
          .activation_bytes_per_run = message.activation_bytes_per_run(),
          .threads = message.threads(),
          .workers = message.workers(),
          .inference_count = message.inference_count(),
          .weight_bytes_moved = message.weight_bytes_moved(),
          .activation_bytes_moved = message.activation_bytes_moved(),
          .measured_bytes_moved =
              message.has_measured_bytes_moved() ? std::optional(message.measured_bytes_moved()) : std::nullopt,
          .items_run = message.items_run(),
          .compute_seconds = message.compute_seconds(),
          .emulated_layers = message.emulated_layers()};
}

ModelVariants FromMessage(const precis::v1::ModelVariants& message) {
  ModelVariants result{message.name(),
                       message.version(),
                       message.default_variant(),
                       {},
                       ToVector(message.policies()),
                       {},
                       FromMessage(message.traffic()),
                       0};
  for (const auto& variant : message.variants()) result.variants.push_back(FromMessage(variant));
  if (message.has_preprocessing()) result.preprocessing = FromMessage(message.preprocessing());
  result.peak_bandwidth_bytes_per_second = message.peak_bandwidth_bytes_per_second();
  return result;
}

precis::v1::Traffic ToMessage(const Traffic& traffic) {
  precis::v1::Traffic message;
  for (const Traffic::Share& share : traffic.split) {
    auto& one = *message.add_split();
    one.set_variant(share.variant);
    one.set_percent(share.percent);
  }
  message.set_sticky_parameter(traffic.sticky_parameter);
  for (const Traffic::Shadow& shadow : traffic.shadow) {
    auto& one = *message.add_shadow();
    one.set_variant(shadow.variant);
    one.set_rate(shadow.rate);
  }
  return message;
}

Traffic FromMessage(const precis::v1::Traffic& message) {
  Traffic traffic{{}, message.sticky_parameter(), {}};
  for (const auto& share : message.split()) traffic.split.push_back({share.variant(), share.percent()});
  for (const auto& shadow : message.shadow()) traffic.shadow.push_back({shadow.variant(), shadow.rate()});
  return traffic;
}

namespace {

DriftEstimate FromMessage(const precis::v1::GetDriftResponse::Estimate& message) {
  DriftEstimate estimate;
  estimate.value = message.value();
  if (message.has_low()) estimate.low = message.low();
  if (message.has_high()) estimate.high = message.high();
  return estimate;
}

DriftMeasures FromMessage(const precis::v1::GetDriftResponse::Measures& message) {
  return {FromMessage(message.sqnr_db()), FromMessage(message.cosine()), FromMessage(message.top1_agreement()),
          message.max_abs_error()};
}

DriftWindow FromMessage(const precis::v1::GetDriftResponse::Window& message) {
  DriftWindow window;
  window.seconds = message.seconds();
  window.samples = message.samples();
  window.measures = FromMessage(message.measures());
  for (const auto& output : message.outputs()) {
    window.outputs.push_back({output.name(), FromMessage(output.measures())});
  }
  window.layer_samples = message.layer_samples();
  for (const auto& layer : message.layers()) {
    window.layers.push_back(
        {layer.name(), layer.clipped_ratio(), layer.has_psi() ? std::optional(layer.psi()) : std::nullopt});
  }
  return window;
}

}  // namespace

Drift FromMessage(const precis::v1::GetDriftResponse& message) {
  Drift drift{message.variant(),         message.baseline(), {},
              message.dropped_samples(), message.alarm(),    message.alarm_reason()};
  for (const auto& window : message.windows()) drift.windows.push_back(FromMessage(window));
  return drift;
}

precis::v1::DescribePlanRequest ToMessage(const PlanRequest& request) {
  precis::v1::DescribePlanRequest message;
  message.set_model(request.model);
  message.set_version(request.version);
  message.set_variant(request.variant);
  message.set_repetitions(request.repetitions);
  AddShapes(request.shapes, message.mutable_shapes());
  return message;
}

namespace {

std::string NameOf(precis::v1::PrecisionPolicy::Precision precision) {
  return precis::v1::PrecisionPolicy::Precision_Name(precision);
}

PrecisionSearch FromMessage(const precis::v1::PrecisionSearch& message) {
  PrecisionSearch search;
  if (message.budget().has_min_sqnr_db()) search.min_sqnr_db = message.budget().min_sqnr_db();
  if (message.budget().has_max_top1_disagreement())
    search.max_top1_disagreement = message.budget().max_top1_disagreement();
  search.objective = precis::v1::MixedPolicy::Objective_Name(message.budget().objective());
  search.coarsest = NameOf(message.coarsest());
  search.samples = message.samples();
  search.sensitivity_samples = message.sensitivity_samples();
  search.budget_met = message.budget_met();
  search.reason = message.reason();
  for (const auto& from : message.layers()) {
    PrecisionSearch::Layer layer{from.name(), NameOf(from.chosen()), {}, {}, {}};
    if (from.has_sqnr_db()) layer.sqnr_db = from.sqnr_db();
    if (from.has_top1_disagreement()) layer.top1_disagreement = from.top1_disagreement();
    for (const auto& option : from.options())
      layer.options.push_back({NameOf(option.precision()), option.time_us(), option.weight_bytes()});
    search.layers.push_back(std::move(layer));
  }
  for (const auto& from : message.points()) {
    PrecisionSearch::Point point;
    for (const auto& count : from.layers()) point.layers[NameOf(count.precision())] = count.layers();
    if (from.has_sqnr_db()) point.sqnr_db = from.sqnr_db();
    if (from.has_sqnr_db_low()) point.sqnr_db_low = from.sqnr_db_low();
    if (from.has_top1_disagreement()) point.top1_disagreement = from.top1_disagreement();
    if (from.has_expected_sqnr_db()) point.expected_sqnr_db = from.expected_sqnr_db();
    point.expected_us = from.expected_us();
    point.time_us = from.time_us();
    point.weight_bytes = from.weight_bytes();
    point.meets_budget = from.meets_budget();
    point.pareto = from.pareto();
    point.chosen = from.chosen();
    search.points.push_back(std::move(point));
  }
  return search;
}

}  // namespace

Plan FromMessage(const precis::v1::DescribePlanResponse& message) {
  Plan plan{message.variant(), {}, {}};
  if (message.has_search()) plan.search = FromMessage(message.search());
  for (const auto& layer : message.layers()) {
    plan.layers.push_back(
        {.name = layer.name(),
         .op = layer.op(),
         .precision = layer.precision(),
         .implementation = layer.implementation(),
         .note = layer.note(),
         .slow_reference = layer.slow_reference(),
         .weight_bytes = layer.weight_bytes(),
         .activation_bytes = layer.activation_bytes(),
         .time_us = layer.time_us(),
         .error_sqnr_db = layer.has_error_sqnr_db() ? std::optional(layer.error_sqnr_db()) : std::nullopt});
  }
  return plan;
}

}  // namespace precis::client
