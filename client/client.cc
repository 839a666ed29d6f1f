// precis::Client over gRPC's blocking stubs, which are thread-safe themselves. Each call gets one deadline for all its
// attempts; see client/retry.h.

#include "precis/client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/channel.h"
#include "client/retry.h"
#include "client/wire.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "inference/grpc_service.grpc.pb.h"
#include "precis/v1/precision_service.grpc.pb.h"

namespace precis {
namespace {

using Inference = inference::GRPCInferenceService;
using Precision = precis::v1::PrecisionService;
using HealthService = grpc::health::v1::Health;

class GrpcClient final : public Client {
 public:
  GrpcClient(client::ClientOptions options, const std::shared_ptr<grpc::Channel>& channel)
      : options_(std::move(options)),
        environment_(client::RetryEnvironment::System()),
        inference_(Inference::NewStub(channel)),
        precision_(Precision::NewStub(channel)),
        health_(HealthService::NewStub(channel)) {}

  absl::StatusOr<client::InferResponse> Infer(const client::InferRequest& request) override {
    absl::StatusOr<inference::ModelInferResponse> reply =
        Call(&Inference::StubInterface::ModelInfer, *inference_, client::ToMessage(request));
    if (!reply.ok()) return reply.status();
    return client::FromMessage(&*reply);
  }

  absl::StatusOr<bool> ServerLive() override {
    auto reply = Call(&Inference::StubInterface::ServerLive, *inference_, inference::ServerLiveRequest());
    if (!reply.ok()) return reply.status();
    return reply->live();
  }

  absl::StatusOr<bool> ServerReady() override {
    auto reply = Call(&Inference::StubInterface::ServerReady, *inference_, inference::ServerReadyRequest());
    if (!reply.ok()) return reply.status();
    return reply->ready();
  }

  absl::StatusOr<bool> ModelReady(const std::string& model, const std::string& version) override {
    auto reply =
        Call(&Inference::StubInterface::ModelReady, *inference_, Named<inference::ModelReadyRequest>(model, version));
    if (!reply.ok()) return reply.status();
    return reply->ready();
  }

  absl::StatusOr<std::string> Health(const std::string& service) override {
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    auto reply = Call(&HealthService::StubInterface::Check, *health_, request);
    if (!reply.ok()) return reply.status();
    return grpc::health::v1::HealthCheckResponse::ServingStatus_Name(reply->status());
  }

  absl::Status WaitUntilServing(absl::Duration timeout, const std::string& service) override;

  absl::StatusOr<client::ServerMetadata> ServerMetadata() override {
    auto reply = Call(&Inference::StubInterface::ServerMetadata, *inference_, inference::ServerMetadataRequest());
    if (!reply.ok()) return reply.status();
    return client::ServerMetadata{
        reply->name(), reply->version(), {reply->extensions().begin(), reply->extensions().end()}};
  }

  absl::StatusOr<client::ModelMetadata> ModelMetadata(const std::string& model, const std::string& version) override {
    auto reply = Call(&Inference::StubInterface::ModelMetadata, *inference_,
                      Named<inference::ModelMetadataRequest>(model, version));
    if (!reply.ok()) return reply.status();
    return client::FromMessage(*reply);
  }

  absl::StatusOr<std::vector<client::ModelStatistics>> Statistics(const std::string& model,
                                                                  const std::string& version) override {
    auto reply = Call(&Inference::StubInterface::ModelStatistics, *inference_,
                      Named<inference::ModelStatisticsRequest>(model, version));
    if (!reply.ok()) return reply.status();
    std::vector<client::ModelStatistics> statistics;
    for (const auto& one : reply->model_stats()) statistics.push_back(client::FromMessage(one));
    return statistics;
  }

  absl::StatusOr<std::vector<client::ModelIndexEntry>> RepositoryIndex() override {
    auto reply = Call(&Inference::StubInterface::RepositoryIndex, *inference_, inference::RepositoryIndexRequest());
    if (!reply.ok()) return reply.status();
    std::vector<client::ModelIndexEntry> index;
    for (const auto& model : reply->models()) {
      index.push_back({model.name(), model.version(), model.state(), model.reason()});
    }
    return index;
  }

  absl::Status LoadModel(const std::string& model) override {
    inference::RepositoryModelLoadRequest request;
    request.set_model_name(model);
    return Call(&Inference::StubInterface::RepositoryModelLoad, *inference_, request, options_.load_deadline).status();
  }

  absl::Status UnloadModel(const std::string& model) override {
    inference::RepositoryModelUnloadRequest request;
    request.set_model_name(model);
    return Call(&Inference::StubInterface::RepositoryModelUnload, *inference_, request, options_.load_deadline)
        .status();
  }

  absl::StatusOr<client::VariantStatus> LoadVariant(
      const client::LoadVariantRequest& request,
      const std::function<void(const client::LoadProgress&)>& progress) override;

  absl::StatusOr<client::Calibrated> Calibrate(const client::CalibrateRequest& request,
                                               const NextSample& next) override;

  absl::Status UnloadVariant(const std::string& model, const std::string& variant,
                             const std::string& version) override {
    precis::v1::UnloadVariantRequest request;
    request.set_model(model);
    request.set_version(version);
    request.set_variant(variant);
    return Call(&Precision::StubInterface::UnloadVariant, *precision_, request, options_.load_deadline).status();
  }

  absl::StatusOr<std::vector<client::ModelVariants>> ListVariants(const std::string& model,
                                                                  const std::string& version) override {
    precis::v1::ListVariantsRequest request;
    request.set_model(model);
    request.set_version(version);
    auto reply = Call(&Precision::StubInterface::ListVariants, *precision_, request);
    if (!reply.ok()) return reply.status();
    std::vector<client::ModelVariants> models;
    for (const auto& one : reply->models()) models.push_back(client::FromMessage(one));
    return models;
  }

  absl::StatusOr<client::Plan> DescribePlan(const client::PlanRequest& request) override {
    auto reply = Call(&Precision::StubInterface::DescribePlan, *precision_, client::ToMessage(request));
    if (!reply.ok()) return reply.status();
    return client::FromMessage(*reply);
  }

  absl::Status SetTraffic(const std::string& model, const client::Traffic& traffic) override {
    precis::v1::SetTrafficRequest request;
    request.set_model(model);
    *request.mutable_traffic() = client::ToMessage(traffic);
    return Call(&Precision::StubInterface::SetTraffic, *precision_, request).status();
  }

  absl::StatusOr<client::Drift> GetDrift(const std::string& model, const std::string& variant,
                                         const std::string& version) override {
    precis::v1::GetDriftRequest request;
    request.set_model(model);
    request.set_version(version);
    request.set_variant(variant);
    auto reply = Call(&Precision::StubInterface::GetDrift, *precision_, request);
    if (!reply.ok()) return reply.status();
    return client::FromMessage(*reply);
  }

 private:
  template <typename Request>
  static Request Named(const std::string& model, const std::string& version) {
    Request request;
    request.set_name(model);
    request.set_version(version);
    return request;
  }

  // One unary call with its retries, all before `timeout` from now.
  template <typename Stub, typename Request, typename Reply>
  absl::StatusOr<Reply> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*), Stub& stub,
                             const Request& request, absl::Duration timeout) {
    const absl::Time deadline = environment_.now() + timeout;
    Reply reply;
    const absl::Status status = client::CallWithRetries(options_.retry, environment_, deadline, [&] {
      grpc::ClientContext context;
      context.set_deadline(absl::ToChronoTime(deadline));
      return client::ToAbslStatus((stub.*method)(&context, request, &reply));
    });
    if (!status.ok()) return status;
    return reply;
  }
  template <typename Stub, typename Request, typename Reply>
  absl::StatusOr<Reply> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*), Stub& stub,
                             const Request& request) {
    return Call(method, stub, request, options_.deadline);
  }

  const client::ClientOptions options_;
  const client::RetryEnvironment environment_;
  const std::unique_ptr<Inference::StubInterface> inference_;
  const std::unique_ptr<Precision::StubInterface> precision_;
  const std::unique_ptr<HealthService::StubInterface> health_;
};

absl::Status GrpcClient::WaitUntilServing(absl::Duration timeout, const std::string& service) {
  const absl::Time deadline = environment_.now() + timeout;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  std::string last = "the server cannot be reached";
  client::RetryOptions until_deadline = options_.retry;
  until_deadline.max_attempts = std::numeric_limits<int>::max();
  const absl::Status status = client::CallWithRetries(until_deadline, environment_, deadline, [&] {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    context.set_wait_for_ready(true);
    auto reader = health_->Watch(&context, request);
    grpc::health::v1::HealthCheckResponse reply;
    while (reader->Read(&reply)) {
      if (reply.status() == grpc::health::v1::HealthCheckResponse::SERVING) {
        context.TryCancel();
        return absl::OkStatus();
      }
      last =
          absl::StrCat("the server says ", grpc::health::v1::HealthCheckResponse::ServingStatus_Name(reply.status()));
    }
    return client::ToAbslStatus(reader->Finish());
  });
  if (status.ok() || !(absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status))) return status;
  return absl::DeadlineExceededError(absl::StrCat("not serving after ", absl::FormatDuration(timeout), ": ", last));
}

absl::StatusOr<client::VariantStatus> GrpcClient::LoadVariant(
    const client::LoadVariantRequest& request, const std::function<void(const client::LoadProgress&)>& progress) {
  absl::StatusOr<precis::v1::LoadVariantRequest> message = client::ToMessage(request);
  if (!message.ok()) return message.status();
  const absl::Time deadline = environment_.now() + options_.load_deadline;
  precis::v1::LoadVariantProgress reply;
  const absl::Status status = client::CallWithRetries(options_.retry, environment_, deadline, [&] {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    auto reader = precision_->LoadVariant(&context, *message);
    while (reader->Read(&reply)) {
      if (progress) progress(client::FromMessage(reply));
    }
    return client::ToAbslStatus(reader->Finish());
  });
  if (!status.ok()) return status;
  if (reply.phase() != precis::v1::LoadVariantProgress::DONE) {
    return absl::InternalError("the server ended the load's progress without DONE");
  }
  return client::FromMessage(reply.variant());
}

absl::StatusOr<client::Calibrated> GrpcClient::Calibrate(const client::CalibrateRequest& request,
                                                         const NextSample& next) {
  absl::StatusOr<precis::v1::CalibrateRequest> start = client::ToMessage(request);
  if (!start.ok()) return start.status();
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(environment_.now() + options_.load_deadline));
  precis::v1::CalibrateResponse response;
  const auto writer = precision_->Calibrate(&context, &response);
  // The server ends the call early when it refuses a sample, or has enough of them: Finish says which.
  for (bool open = writer->Write(*start); open;) {
    absl::StatusOr<std::optional<std::vector<client::Tensor>>> sample = next();
    if (!sample.ok()) {
      context.TryCancel();
      writer->Finish();
      return sample.status();
    }
    if (!sample->has_value()) break;
    precis::v1::CalibrateRequest message;
    *message.mutable_sample() = client::ToMessage(client::InferRequest{
        .model = "", .version = "", .id = "", .inputs = *std::move(*sample), .outputs = {}, .parameters = {}});
    open = writer->Write(message);
  }
  writer->WritesDone();
  if (const absl::Status status = client::ToAbslStatus(writer->Finish()); !status.ok()) return status;
  return client::Calibrated{response.samples(), client::FromMessage(response.variant())};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const client::ClientOptions& options) {
  if (options.deadline <= absl::ZeroDuration() || options.load_deadline <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("deadlines must be positive");
  }
  if (absl::Status status = client::CheckRetryOptions(options.retry); !status.ok()) return status;
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = client::MakeChannel(options);
  if (!channel.ok()) return channel.status();
  return std::make_unique<GrpcClient>(options, *channel);
}

}  // namespace precis
