#include "server/rpc/compare_stream.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/config/model_name.h"
#include "server/rpc/grpc_status.h"
#include "stats/percentile.h"

namespace precis::server {
namespace {

constexpr char kDefaultReference[] = "fp32";

void Fill(const stats::ComparisonRow& row, const VariantInfo& info, double compute_seconds,
          v1::CompareResponse::Row* reply) {
  reply->set_samples(row.fidelity.samples());
  if (row.labelled > 0) {
    const stats::Estimate top1 = row.Top1(), difference = stats::PairedDifference(row.outcomes);
    reply->set_top1(top1.value);
    reply->set_top1_low(top1.interval->low);
    reply->set_top1_high(top1.interval->high);
    reply->set_top1_difference(difference.value);
    reply->set_top1_difference_low(difference.interval->low);
    reply->set_top1_difference_high(difference.interval->high);
    reply->set_mcnemar_p(stats::McNemarPValue(row.outcomes));
  }
  const stats::Estimate agreement = row.fidelity.Agreement(), sqnr = row.fidelity.SqnrDb(),
                        cosine = row.fidelity.Cosine();
  reply->set_agreement(agreement.value);
  reply->set_sqnr_db(sqnr.value);
  reply->set_cosine(cosine.value);
  if (agreement.interval) {
    reply->set_agreement_low(agreement.interval->low);
    reply->set_agreement_high(agreement.interval->high);
  }
  if (sqnr.interval) {
    reply->set_sqnr_db_low(sqnr.interval->low);
    reply->set_sqnr_db_high(sqnr.interval->high);
  }
  if (cosine.interval) {
    reply->set_cosine_low(cosine.interval->low);
    reply->set_cosine_high(cosine.interval->high);
  }
  reply->set_max_abs_error(row.fidelity.MaxAbsError());
  reply->set_nonfinite_samples(row.fidelity.nonfinite_samples());
  reply->set_latency_ms_p50(stats::Percentile(row.latency_ms, 50));
  reply->set_latency_ms_p90(stats::Percentile(row.latency_ms, 90));
  reply->set_latency_ms_p99(stats::Percentile(row.latency_ms, 99));
  const int64_t bytes = info.weight_bytes_per_run + info.activation_bytes_per_run;
  reply->set_weight_bytes(info.weight_bytes);
  reply->set_bytes_per_inference(bytes);
  reply->set_emulated_layers(info.emulated_layers);
  if (compute_seconds > 0) {
    reply->set_bytes_per_second(static_cast<double>(bytes * row.fidelity.samples()) / compute_seconds);
  }
}

}  // namespace

CompareStream::CompareStream(const ModelStore* store, Lifecycle* lifecycle, double peak_bandwidth, absl::Time deadline,
                             v1::CompareResponse* response)
    : store_(store), lifecycle_(lifecycle), peak_bandwidth_(peak_bandwidth), deadline_(deadline), response_(response) {
  StartRead(&request_);
}

void CompareStream::OnReadDone(bool ok) {
  if (!ok) return End(cancelled_ ? absl::CancelledError("the client has gone") : Answer());
  if (comparison_ == nullptr) {
    absl::Status status = request_.has_start() ? Begin(request_.start())
                                               : absl::InvalidArgumentError("the first message must have `start`");
    if (!status.ok()) return End(status);
    return StartRead(&request_);
  }
  if (!request_.has_sample()) return End(absl::InvalidArgumentError("messages after the first must have `sample`"));
  entered_ = lifecycle_->Enter();
  if (!entered_) return End(absl::UnavailableError("the server is shutting down"));
  outputs_.assign(names_.size(), {});
  answered_ = 0;
  Continue();
}

absl::Status CompareStream::Begin(const v1::CompareRequest::Start& start) {
  if (start.variants().empty()) return absl::InvalidArgumentError("variants: empty, want at least one");
  PRECIS_RETURN_IF_ERROR(CheckNamePart(start.model(), "model name"));
  version_ = start.version();
  const std::string reference = start.reference().empty() ? kDefaultReference : start.reference();
  std::vector<std::string> variants(start.variants().begin(), start.variants().end());
  if (std::find(variants.begin(), variants.end(), reference) == variants.end()) {
    variants.insert(variants.begin(), reference);
  }
  for (const std::string& variant : variants) {
    if (std::count(variants.begin(), variants.end(), variant) > 1) {
      return absl::InvalidArgumentError(absl::StrCat("variants: \"", variant, "\" stands there twice"));
    }
    PRECIS_RETURN_IF_ERROR(CheckNamePart(variant, "variant name"));
    names_.push_back(JoinModelName(start.model(), variant));
    PRECIS_ASSIGN_OR_RETURN(const VariantPin pin, store_->Pin(names_.back(), version_));
    infos_.push_back(pin->variant->info());
    response_->add_variants()->set_variant(variant);
  }
  response_->set_reference(reference);
  response_->set_peak_bandwidth_bytes_per_second(peak_bandwidth_);
  compute_seconds_.resize(names_.size());
  const auto place = std::find(variants.begin(), variants.end(), reference) - variants.begin();
  comparison_ = std::make_unique<stats::Comparison>(names_, static_cast<size_t>(place));
  return absl::OkStatus();
}

void CompareStream::Continue() {
  absl::Status status;
  if (answered_ < names_.size()) {
    const auto turn = static_cast<size_t>(comparison_->rows()[0].fidelity.samples());
    status = cancelled_ ? absl::CancelledError("the client has gone") : Submit((turn + answered_) % names_.size());
    if (status.ok()) return;  // OnResult goes on
  } else {
    const auto& sample = request_.sample();
    status = comparison_->Add(outputs_, sample.has_label() ? std::optional(sample.label()) : std::nullopt);
  }
  pin_ = VariantPin();
  lifecycle_->Leave();
  if (!status.ok()) return End(status);
  StartRead(&request_);
}

absl::Status CompareStream::Submit(size_t variant) {
  PRECIS_ASSIGN_OR_RETURN(pin_, store_->Pin(names_[variant], version_));
  PRECIS_ASSIGN_OR_RETURN(inputs_, DecodeInputs(request_.sample().request(), pin_->signature));
  Job job;
  job.inputs = inputs_.views;
  job.batch_size = inputs_.batch_size;
  job.deadline = deadline_;
  job.cancelled = [this] { return cancelled_.load(std::memory_order_relaxed); };
  job.done = [this, variant](JobResult result) { OnResult(variant, std::move(result)); };
  pin_->pool->Submit(std::move(job));
  return absl::OkStatus();
}

void CompareStream::OnResult(size_t variant, JobResult result) {
  if (!result.status.ok()) {
    pin_ = VariantPin();
    lifecycle_->Leave();
    return End(result.status);
  }
  stats::SampleOutputs& outputs = outputs_[variant];
  for (const Tensor& output : result.outputs) outputs.values.push_back(ToFloat(output.view()));
  if (!result.outputs.empty()) outputs.first_shape = result.outputs[0].shape();
  outputs.latency_ms = absl::ToDoubleMilliseconds(result.finished - result.submitted);
  compute_seconds_[variant] += absl::ToDoubleSeconds(result.finished - result.started);
  ++answered_;
  Continue();
}

absl::Status CompareStream::Answer() {
  if (comparison_ == nullptr) return absl::InvalidArgumentError("the first message must have `start`");
  if (comparison_->rows()[0].fidelity.samples() == 0) return absl::InvalidArgumentError("there were no samples");
  for (size_t v = 0; v < names_.size(); ++v) {
    Fill(comparison_->rows()[v], infos_[v], compute_seconds_[v], response_->mutable_variants(static_cast<int>(v)));
  }
  return absl::OkStatus();
}

void CompareStream::End(const absl::Status& status) { Finish(ToGrpcStatus(status)); }

}  // namespace precis::server
