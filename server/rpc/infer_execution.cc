#include "server/rpc/infer_execution.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "engine/base/status_macros.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "server/models/traffic_route.h"
#include "server/rpc/drift_sampling.h"
#include "server/rpc/infer_request.h"

namespace precis::server {
namespace {

constexpr char kVariantParameter[] = "precis_variant";
constexpr char kTimeoutParameter[] = "timeout";                               // microseconds in the queue, as Triton's
constexpr char kPriorityParameter[] = "priority";                             // 1 is the most urgent, as Triton's
constexpr char kWantFinalParameter[] = "triton_enable_empty_final_response";  // asks for the next one
constexpr char kFinalParameter[] = "triton_final_response";

// StickyHash of the parameter's value as text, so that a number and its digits in a string are the same value.
std::optional<uint64_t> HashParameter(const inference::ModelInferRequest& request, const std::string& name) {
  const auto parameter = request.parameters().find(name);
  if (parameter == request.parameters().end()) return std::nullopt;
  const auto hash_text = [](const absl::AlphaNum& text) { return StickyHash({text.data(), text.size()}); };
  const inference::InferParameter& value = parameter->second;
  switch (value.parameter_choice_case()) {
    case inference::InferParameter::kBoolParam: return StickyHash(value.bool_param() ? "true" : "false");
    case inference::InferParameter::kInt64Param: return hash_text(value.int64_param());
    case inference::InferParameter::kStringParam: return StickyHash(value.string_param());
    case inference::InferParameter::kDoubleParam: return hash_text(value.double_param());
    case inference::InferParameter::kUint64Param: return hash_text(value.uint64_param());
    case inference::InferParameter::PARAMETER_CHOICE_NOT_SET: break;
  }
  return std::nullopt;
}

}  // namespace

InferExecution::InferExecution(const InferContext& context, ReplyKind kind)
    : context_(context),
      kind_(kind),
      received_(absl::Now()),
      request_(google::protobuf::Arena::CreateMessage<inference::ModelInferRequest>(&arena_)) {}

void InferExecution::Start(grpc::ByteBuffer* request, absl::Time deadline, std::function<bool()> cancelled, Done done) {
  done_ = std::move(done);
  Job job;
  job.deadline = deadline;
  job.cancelled = std::move(cancelled);
  if (absl::Status status = Prepare(request, &job); !status.ok()) {
    return Answer(std::move(status), grpc::ByteBuffer(), absl::Now() - received_);
  }
  job.done = [this](JobResult result) { OnResult(std::move(result)); };
  pin_->pool->Submit(std::move(job));
}

absl::Status InferExecution::Prepare(grpc::ByteBuffer* request, Job* job) {
  entered_ = context_.lifecycle->Enter();
  const grpc::Status parsed = grpc::SerializationTraits<inference::ModelInferRequest>::Deserialize(request, request_);
  if (!parsed.ok()) return absl::InvalidArgumentError("the request is not a ModelInferRequest");
  if (!entered_) return absl::UnavailableError("the server is draining");
  PRECIS_ASSIGN_OR_RETURN(
      pin_, context_.store->Route(
                request_->model_name(), request_->model_version(),
                [this](const std::string& parameter) { return HashParameter(*request_, parameter); }, &shadows_));
  pinned_ = true;
  pin_->metrics->AddInflight(1);
  PRECIS_RETURN_IF_ERROR(ReadParameters(job));
  PRECIS_RETURN_IF_ERROR(context_.shared_memory->ReadInputs(request_));
  PRECIS_ASSIGN_OR_RETURN(inputs_, DecodeInputs(*request_, pin_->signature));
  PRECIS_ASSIGN_OR_RETURN(shared_outputs_, context_.shared_memory->SpansOfOutputs(*request_));
  PRECIS_ASSIGN_OR_RETURN(wanted_, RequestedOutputs(*request_, pin_->signature));
  job->inputs = std::move(inputs_.views);
  job->batch_size = inputs_.batch_size;
  return absl::OkStatus();
}

absl::Status InferExecution::ReadParameters(Job* job) const {
  for (const auto& [name, value] : request_->parameters()) {
    if (absl::StartsWith(name, "precis_")) {
      return absl::InvalidArgumentError(absl::StrCat("unknown parameter \"", name, "\""));
    }
  }
  PRECIS_ASSIGN_OR_RETURN(job->priority, CountParameter(request_->parameters(), kPriorityParameter));
  PRECIS_ASSIGN_OR_RETURN(const uint64_t timeout, CountParameter(request_->parameters(), kTimeoutParameter));
  if (timeout > 0) job->timeout = absl::Microseconds(static_cast<int64_t>(std::min<uint64_t>(timeout, INT64_MAX)));
  return absl::OkStatus();
}

void InferExecution::OnResult(JobResult result) {
  if (!result.status.ok()) return Answer(std::move(result.status), grpc::ByteBuffer(), absl::Now() - received_);
  inference::ModelInferResponse header;
  header.set_model_name(request_->model_name());
  header.set_model_version(pin_->version_text);
  header.set_id(request_->id());
  auto& parameters = *header.mutable_parameters();
  parameters[kVariantParameter].set_string_param(pin_->name);
  if (kind_ == ReplyKind::kStream) {
    const auto want_final = request_->parameters().find(kWantFinalParameter);
    if (want_final != request_->parameters().end() && want_final->second.bool_param()) {
      parameters[kFinalParameter].set_bool_param(true);
    }
  }
  if (context_.store->live_samples().wanted()) [[unlikely]]
    OfferInputs();
  std::optional<DriftSample> sample;
  if (!shadows_.empty()) {
    sample = TakeDriftSample(std::move(shadows_), pin_->signature, result.outputs, request_);
  }
  DescribeOutputs(result.outputs, wanted_, pin_->signature, &header);
  if (absl::Status status = WriteSharedOutputs(shared_outputs_, wanted_, &result.outputs, &header); !status.ok()) {
    return Answer(std::move(status), grpc::ByteBuffer(), absl::Now() - received_);
  }
  grpc::ByteBuffer reply = MakeReply(header, std::move(result.outputs), wanted_, kind_);
  const absl::Time end = absl::Now();
  const StageTimes times = {.total = end - received_,
                            .queue = result.started - result.submitted,
                            .input = result.submitted - received_,
                            .compute = result.finished - result.started,
                            .output = end - result.finished};
  pin_->metrics->CountSuccess(times);
  pin_->statistics.CountSuccess(times, inputs_.batch_size, result.runs, end);
  Answer(absl::OkStatus(), std::move(reply), times.total, std::move(sample));
}

void InferExecution::OfferInputs() const {
  LiveSamples& samples = context_.store->live_samples();
  for (const auto& collection : samples.Of(pin_->model)) {
    // By the signature of what is to be loaded: another version's, or another configuration's.
    const auto decoded = DecodeInputs(*request_, collection->signature());
    if (decoded.ok()) samples.Offer(collection, decoded->views);
  }
}

void InferExecution::Answer(absl::Status status, grpc::ByteBuffer reply, absl::Duration total,
                            std::optional<DriftSample> sample) {
  if (!status.ok()) {
    if (pinned_) {
      pin_->metrics->CountFailure(status.code());
      pin_->statistics.CountFailure(total);
    } else {
      context_.metrics->CountUnrouted(status.code());
    }
    if (kind_ == ReplyKind::kStream) {
      inference::ModelInferResponse header;
      header.set_model_name(request_->model_name());
      header.set_id(request_->id());
      reply = MakeStreamError(header, std::string(status.message()));
    }
  }
  if (pinned_) pin_->metrics->AddInflight(-1);
  pin_ = VariantPin();
  Lifecycle* lifecycle = entered_ ? context_.lifecycle : nullptr;
  ModelStore* store = context_.store;
  Done done = std::move(done_);
  std::move(done)(std::move(status), std::move(reply));
  // `this` may be gone. The server waits for Leave before it goes.
  if (sample.has_value()) store->drift().Offer(*std::move(sample));
  if (lifecycle != nullptr) lifecycle->Leave();
}

}  // namespace precis::server
