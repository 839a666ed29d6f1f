#include "server/rpc/precision_service.h"

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/config/model_name.h"
#include "server/rpc/calibrate_stream.h"
#include "server/rpc/compare_stream.h"
#include "server/rpc/drift_description.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/load_parameters.h"
#include "server/rpc/load_stream.h"
#include "server/rpc/model_description.h"
#include "server/rpc/plan_description.h"

namespace precis::server {
namespace {

grpc::ServerUnaryReactor* Reply(grpc::CallbackServerContext* call, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

absl::Status FillVariants(ModelStore& store, double peak_bandwidth, const v1::ListVariantsRequest& request,
                          v1::ListVariantsResponse* response) {
  if (!request.model().empty()) PRECIS_RETURN_IF_ERROR(CheckNamePart(request.model(), "model name"));
  PRECIS_ASSIGN_OR_RETURN(const int64_t version, ParseVersion(request.version()));
  PRECIS_ASSIGN_OR_RETURN(const auto reports, store.List(request.model(), version));
  for (const VersionReport& report : reports) {
    v1::ModelVariants* model = response->add_models();
    DescribeVersion(report, model);
    model->set_peak_bandwidth_bytes_per_second(peak_bandwidth);
  }
  return absl::OkStatus();
}

absl::Status ApplyTraffic(ModelStore& store, const v1::SetTrafficRequest& request, v1::SetTrafficResponse* response) {
  PRECIS_RETURN_IF_ERROR(CheckNamePart(request.model(), "model name"));
  if (!request.has_traffic()) return absl::InvalidArgumentError("traffic: not set");
  PRECIS_RETURN_IF_ERROR(store.SetTraffic(request.model(), request.traffic()));
  *response->mutable_traffic() = request.traffic();
  return absl::OkStatus();
}

// The name with the variant that it means, so that unloading never takes more than one.
absl::StatusOr<ModelName> UnloadName(const ModelStore& store, const v1::UnloadVariantRequest& request) {
  PRECIS_ASSIGN_OR_RETURN(ModelName name, NameOf(request.model(), request.variant()));
  if (name.variant.empty()) {
    PRECIS_ASSIGN_OR_RETURN(const VariantPin pin, store.Pin(name.model, request.version()));
    name.variant = pin->name;
  }
  return name;
}

}  // namespace

grpc::ServerWriteReactor<v1::LoadVariantProgress>* PrecisionService::LoadVariant(
    grpc::CallbackServerContext*, const v1::LoadVariantRequest* request) {
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  const std::shared_ptr<LoadStream> stream = LoadStream::Create([gone, samples = &store_->live_samples()] {
    gone->store(true);
    samples->EndAbandoned();
  });
  auto load = MakeLoadRequest(*request);
  if (load.ok() && lifecycle_->draining()) load = absl::UnavailableError("the server is draining");
  if (!load.ok()) {
    stream->End(load.status(), {});
    return stream.get();
  }
  const ModelName name = load->name;
  const int64_t version = load->version;
  load->caller_gone = gone;
  load->on_live_samples = [stream](int64_t taken, int64_t wanted) {
    stream->Report(v1::LoadVariantProgress::CALIBRATE, static_cast<double>(taken) / static_cast<double>(wanted),
                   absl::StrCat(taken, " of ", wanted, " live samples"));
  };
  store_->Load(
      *std::move(load),
      [stream](const std::string& phase, double fraction) { stream->Report(PhaseOf(phase), fraction); },
      [stream, store = store_, name, version](const absl::Status& status) {
        stream->End(status, status.ok() ? DescribeLoaded(*store, name, version) : v1::VariantStatus());
      });
  return stream.get();
}

grpc::ServerUnaryReactor* PrecisionService::UnloadVariant(grpc::CallbackServerContext* call,
                                                          const v1::UnloadVariantRequest* request,
                                                          v1::UnloadVariantResponse*) {
  auto name = UnloadName(*store_, *request);
  if (!name.ok()) return Reply(call, name.status());
  const auto version = ParseVersion(request->version());
  if (!version.ok()) return Reply(call, version.status());
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  store_->Unload(*std::move(name), *version,
                 [reactor](const absl::Status& status) { reactor->Finish(ToGrpcStatus(status)); });
  return reactor;
}

grpc::ServerUnaryReactor* PrecisionService::ListVariants(grpc::CallbackServerContext* call,
                                                         const v1::ListVariantsRequest* request,
                                                         v1::ListVariantsResponse* response) {
  return Reply(call, FillVariants(*store_, peak_bandwidth_, *request, response));
}

grpc::ServerUnaryReactor* PrecisionService::DescribePlan(grpc::CallbackServerContext* call,
                                                         const v1::DescribePlanRequest* request,
                                                         v1::DescribePlanResponse* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  // The variant is looked up there: pinned while it waits behind an unload, it would keep that from ending.
  store_->RunInBackground([store = store_, reactor, request, response](bool run) {
    const absl::Status status =
        run ? server::DescribePlan(*store, *request, response) : absl::UnavailableError("the server is stopping");
    reactor->Finish(ToGrpcStatus(status));
  });
  return reactor;
}

grpc::ServerReadReactor<v1::CalibrateRequest>* PrecisionService::Calibrate(grpc::CallbackServerContext*,
                                                                           v1::CalibrateResponse* response) {
  return new CalibrateStream(store_, lifecycle_, response);
}

grpc::ServerReadReactor<v1::CompareRequest>* PrecisionService::Compare(grpc::CallbackServerContext* call,
                                                                       v1::CompareResponse* response) {
  return new CompareStream(store_, lifecycle_, peak_bandwidth_, absl::FromChrono(call->deadline()), response);
}

grpc::ServerUnaryReactor* PrecisionService::SetTraffic(grpc::CallbackServerContext* call,
                                                       const v1::SetTrafficRequest* request,
                                                       v1::SetTrafficResponse* response) {
  return Reply(call, ApplyTraffic(*store_, *request, response));
}

grpc::ServerUnaryReactor* PrecisionService::GetDrift(grpc::CallbackServerContext* call,
                                                     const v1::GetDriftRequest* request,
                                                     v1::GetDriftResponse* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  // What it reads, the monitor's thread of idle priority may hold for long: not for the network's threads to wait for.
  store_->RunInBackground([store = store_, reactor, request, response](bool run) {
    const absl::Status status =
        run ? DescribeDrift(*store, *request, response) : absl::UnavailableError("the server is stopping");
    reactor->Finish(ToGrpcStatus(status));
  });
  return reactor;
}

}  // namespace precis::server
