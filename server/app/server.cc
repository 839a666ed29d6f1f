#include "server/app/server.h"

#include <algorithm>
#include <atomic>
#include <climits>
#include <functional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "engine/base/status_macros.h"
#include "engine/model.h"
#include "grpc/health/v1/health.pb.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "server/app/cpu_cores.h"
#include "server/app/tls.h"
#include "server/config/model_name.h"
#include "server/config/repository.h"
#include "server/config/scheduling.h"
#include "server/metrics/memory_bandwidth.h"

namespace precis::server {
namespace {

constexpr char kLoadAll[] = "all";
// Given to calls that are left when the requests in flight are answered: answers on their way to the client where the CPU is
// short. Streams between two requests and health watches do not end by themselves and use it up.
constexpr absl::Duration kCallGrace = absl::Milliseconds(500);

// Counts what becomes of loads on several threads; the last one reports.
struct LoadTally {
  absl::Mutex mutex;
  size_t outstanding ABSL_GUARDED_BY(mutex) = 0;
  Server::LoadSummary summary ABSL_GUARDED_BY(mutex);
};

// gRPC adds or takes up to a tenth of the age, so that clients that connected together do not come back together. It ends a
// connection in two steps: no call that a client has begun is refused.
void LimitConnectionAge(grpc::ServerBuilder& builder, absl::Duration age, absl::Duration grace) {
  const auto set = [&](const char* argument, absl::Duration limit) {
    if (limit == absl::InfiniteDuration()) return;  // gRPC's default
    const int64_t milliseconds = absl::ToInt64Milliseconds(absl::Ceil(limit, absl::Milliseconds(1)));
    builder.AddChannelArgument(argument, static_cast<int>(std::min<int64_t>(milliseconds, INT_MAX)));
  };
  set(GRPC_ARG_MAX_CONNECTION_AGE_MS, age);
  set(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, grace);
}

}  // namespace

Server::Server(const ServerOptions& options)
    : options_(options), shared_memory_(options.system_shared_memory, options.max_message_bytes) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  const double quota = CgroupCpuQuota("");
  const int cores = UsableCores(AffinityCores(), quota);
  std::unique_ptr<Server> server(new Server(options));
  ModelStoreOptions store;
  store.cores = cores;
  store.threads = options.threads;
  store.workers = options.workers;
  const Parallelism parallel = ChooseParallelism(cores, options.workers, options.threads);
  store.queue_size = options.queue_size;
  store.load_threads = options.load_threads;
  store.calibration_cache = options.calibration_cache;
  store.idle = [lifecycle = &server->lifecycle_] { return lifecycle->idle(); };
  LOG(INFO) << "precisd " << PRECIS_VERSION << ", oneDNN " << OneDnnVersion() << " (" << CpuIsaName() << "), " << cores
            << " cores" << (quota > 0 ? absl::StrCat(" (cgroup quota ", quota, ")") : "") << ", " << parallel.workers
            << " workers of " << parallel.threads << " threads per variant";
  server->store_ = std::make_unique<ModelStore>(
      Repository(options.model_repository, options.models), store, &server->metrics_,
      [health = &server->health_](const std::string& name, bool ready) { health->Set(name, ready); });
  PRECIS_RETURN_IF_ERROR(server->store_->RefreshIndex());
  server->metrics_.SetBuildInfo(PRECIS_VERSION, OneDnnVersion(), CpuIsaName());
  server->peak_bandwidth_ = MeasureReadBandwidth(cores);
  server->metrics_.SetPeakBandwidth(server->peak_bandwidth_);
  PRECIS_RETURN_IF_ERROR(server->Listen());
  return server;
}

absl::Status Server::Listen() {
  PRECIS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ServerCredentials> credentials,
                          MakeServerCredentials(options_.tls));
  PRECIS_ASSIGN_OR_RETURN(metrics_port_, metrics_.Listen(options_.grpc_address, options_.metrics_port));
  inference_service_ =
      std::make_unique<InferenceService>(store_.get(), &lifecycle_, &metrics_, &shared_memory_, options_.control_mode);
  precision_service_ = std::make_unique<PrecisionService>(store_.get(), &lifecycle_, peak_bandwidth_);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::health::v1::HealthCheckRequest::descriptor();  // linked, so that reflection can describe gRPC's health service
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat(options_.grpc_address, ":", options_.grpc_port), credentials, &grpc_port_);
  builder.RegisterService(inference_service_.get());
  builder.RegisterService(precision_service_.get());
  builder.SetMaxReceiveMessageSize(static_cast<int>(options_.max_message_bytes));
  builder.SetMaxSendMessageSize(static_cast<int>(options_.max_message_bytes));
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a second server on the port is an error, not a partner
  LimitConnectionAge(builder, options_.max_connection_age, options_.max_connection_grace);
  grpc_ = builder.BuildAndStart();
  if (grpc_ == nullptr || grpc_port_ == 0) {
    return absl::UnavailableError(
        absl::StrCat("gRPC: cannot listen on ", options_.grpc_address, ":", options_.grpc_port));
  }
  health_.Attach(grpc_->GetHealthCheckService());
  return absl::OkStatus();
}

Server::~Server() {
  if (grpc_ != nullptr) Stop();
}

std::string Server::grpc_endpoint() const { return absl::StrCat(options_.grpc_address, ":", grpc_port_); }
std::string Server::metrics_endpoint() const { return absl::StrCat(options_.grpc_address, ":", metrics_port_); }

absl::StatusOr<std::vector<LoadRequest>> Server::InitialLoads() {
  std::vector<LoadRequest> loads;
  for (const std::string& name : options_.load) {
    if (name != kLoadAll) {
      loads.emplace_back();
      PRECIS_ASSIGN_OR_RETURN(loads.back().name, ParseModelName(name));
      continue;
    }
    PRECIS_ASSIGN_OR_RETURN(const auto reports, store_->List("", 0));
    for (const VersionReport& report : reports) {
      if (!loads.empty() && loads.back().name.model == report.model) continue;  // a load takes all versions
      loads.emplace_back();
      loads.back().name.model = report.model;
    }
  }
  return loads;
}

void Server::LoadModels(std::function<void(const LoadSummary&)> done) {
  const absl::Time start = absl::Now();
  auto loads = InitialLoads();
  if (!loads.ok()) LOG(ERROR) << "--load: " << loads.status();
  if (!loads.ok()) return FinishLoading({.failed = 1, .took = absl::Now() - start}, done);
  if (loads->empty()) return FinishLoading({}, done);
  const auto tally = std::make_shared<LoadTally>();
  const auto count = [this, tally, start, done](int LoadSummary::* outcome) {
    LoadSummary summary;
    {
      absl::MutexLock lock(&tally->mutex);
      ++(tally->summary.*outcome);
      if (--tally->outstanding > 0) return;
      summary = tally->summary;
    }
    summary.took = absl::Now() - start;
    FinishLoading(summary, done);
  };
  {
    absl::MutexLock lock(&tally->mutex);
    tally->outstanding = loads->size();
  }
  // The load threads begin when all is in their queue: a load that waits for live traffic fails if no other brings what answers it,
  // whatever their order.
  const auto all_queued = std::make_shared<absl::Notification>();
  for (int i = 0; i < options_.load_threads; ++i) {
    store_->RunInBackground([all_queued](bool) { all_queued->WaitForNotification(); });
  }
  for (LoadRequest& load : *loads) {
    const std::string name =
        load.name.variant.empty() ? load.name.model : JoinModelName(load.name.model, load.name.variant);
    const auto counted = std::make_shared<std::atomic<bool>>(false);
    load.on_live_samples = [count, counted](int64_t, int64_t) {
      if (!counted->exchange(true)) count(&LoadSummary::waiting);
    };
    store_->Load(std::move(load), nullptr, [count, counted, name](const absl::Status& status) {
      if (!status.ok()) LOG(ERROR) << "--load: " << name << ": " << status;
      if (!counted->exchange(true)) count(status.ok() ? &LoadSummary::loaded : &LoadSummary::failed);
    });
  }
  all_queued->Notify();
}

void Server::FinishLoading(LoadSummary summary, const std::function<void(const LoadSummary&)>& done) {
  if (summary.failed == 0 || !options_.strict_readiness) {
    lifecycle_.SetReady();
    health_.Set("", lifecycle_.ready());
  } else {
    LOG(ERROR) << "not ready: " << summary.failed << " models failed to load (--strict_readiness)";
  }
  done(summary);
}

void Server::StartDraining() {
  lifecycle_.StartDraining();
  health_.Close();
  store_->live_samples().Close(absl::UnavailableError("the server is draining"));
}

void Server::Stop() {
  StartDraining();
  if (!lifecycle_.CloseAndAwaitIdle(options_.drain_timeout)) {
    LOG(WARNING) << "requests in flight did not finish within " << options_.drain_timeout;
  }
  store_->Stop();
  health_.Attach(nullptr);
  grpc_->Shutdown(absl::ToChronoTime(absl::Now() + kCallGrace));
  grpc_->Wait();
  grpc_.reset();
}

}  // namespace precis::server
