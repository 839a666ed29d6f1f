#include "server/rpc/calibrate_stream.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/config/model_name.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/load_parameters.h"
#include "server/rpc/model_description.h"
#include "server/rpc/tensor_codec.h"

namespace precis::server {

CalibrateStream::CalibrateStream(ModelStore* store, Lifecycle* lifecycle, v1::CalibrateResponse* response)
    : store_(store), lifecycle_(lifecycle), response_(response) {
  StartRead(&request_);
}

void CalibrateStream::OnReadDone(bool ok) {
  store_->RunInBackground([this, ok](bool run) {
    if (!run) return End(absl::UnavailableError("the server is stopping"));
    Continue(ok);
  });
}

void CalibrateStream::Continue(bool ok) {
  if (cancelled_) return End(absl::CancelledError("the client has gone"));
  if (!ok && calibration_ != nullptr) return Load();
  absl::Status status;
  if (calibration_ == nullptr) {
    status = ok && request_.has_start() ? Begin(request_.start())
                                        : absl::InvalidArgumentError("the first message must have `start`");
  } else {
    status = request_.has_sample() ? AddSample(request_.sample())
                                   : absl::InvalidArgumentError("messages after the first must have `sample`");
  }
  if (!status.ok()) return End(status);
  if (calibration_->run->full()) return Load();
  StartRead(&request_);
}

absl::Status CalibrateStream::Begin(const v1::CalibrateRequest::Start& start) {
  if (lifecycle_->draining()) return absl::UnavailableError("the server is draining");
  v1::LoadVariantRequest load;
  load.set_model(start.model());
  load.set_version(start.version());
  load.set_variant(start.variant());
  if (start.has_precision_policy()) *load.mutable_policy() = start.precision_policy();
  PRECIS_ASSIGN_OR_RETURN(LoadRequest request, MakeLoadRequest(load));
  PRECIS_ASSIGN_OR_RETURN(
      calibration_,
      store_->StartCalibration(std::move(request), start.has_policy() ? std::optional(start.policy()) : std::nullopt));
  return absl::OkStatus();
}

absl::Status CalibrateStream::AddSample(const inference::ModelInferRequest& sample) {
  auto inputs = DecodeInputs(sample, calibration_->signature);
  if (!inputs.ok()) {
    return absl::Status(inputs.status().code(), absl::StrCat("calibration sample ", calibration_->run->samples(), ": ",
                                                             std::string(inputs.status().message())));
  }
  return calibration_->run->Add(inputs->views);
}

void CalibrateStream::Load() {
  response_->set_samples(calibration_->run->samples());
  auto streamed = calibration_->run->Finish();
  if (!streamed.ok()) return End(streamed.status());
  LoadRequest load = std::move(calibration_->load);
  calibration_.reset();  // its plan's memory is not needed beside the new variant's
  const std::string name = JoinModelName(load.name.model, load.name.variant);
  LOG(INFO) << "calibration of " << name << ": " << response_->samples() << " streamed samples";
  load.streamed = *std::move(streamed);
  // The end of the stream and its cancellation look alike to the read that meets them: OnCancel, which tells them apart, may follow later.
  load.abandoned = [this] { return cancelled_.load(std::memory_order_relaxed); };
  const ModelName loaded = load.name;
  const int64_t version = load.version;
  store_->Load(std::move(load), nullptr, [this, loaded, version](const absl::Status& status) {
    if (status.ok()) *response_->mutable_variant() = DescribeLoaded(*store_, loaded, version);
    End(status);
  });
}

void CalibrateStream::End(const absl::Status& status) {
  calibration_.reset();
  Finish(ToGrpcStatus(status));
}

}  // namespace precis::server
