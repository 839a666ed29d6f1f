#ifndef PRECIS_SERVER_APP_SERVER_H_
#define PRECIS_SERVER_APP_SERVER_H_

// Everything of a running precisd, put together.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "server/app/health_board.h"
#include "server/config/server_options.h"
#include "server/metrics/server_metrics.h"
#include "server/models/model_store.h"
#include "server/rpc/inference_service.h"
#include "server/rpc/lifecycle.h"
#include "server/rpc/precision_service.h"
#include "server/rpc/shared_memory.h"

namespace precis::server {

class Server {
 public:
  struct LoadSummary {
    int loaded = 0, failed = 0;
    int waiting = 0;  // for live traffic, which comes when the server is ready
    absl::Duration took;
  };

  // Binds both ports and serves; no model is loaded yet. Errors: InvalidArgument for an unreadable model repository,
  // Unavailable when a port is taken.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);
  ~Server();

  // Begins to load what the options name. `done` is called on another thread when all of it is loaded, has failed or waits for live
  // traffic, and the server is ready. Once.
  void LoadModels(std::function<void(const LoadSummary&)> done);

  // One look at the repository, in poll mode.
  void Poll() { store_->Poll(); }

  // Not ready from now on; requests are served as before.
  void StartDraining();
  // Takes no new requests, finishes those in flight (at most the options' drain_timeout) and ends the calls that are left.
  void Stop();

  std::string grpc_endpoint() const;
  std::string metrics_endpoint() const;

 private:
  explicit Server(const ServerOptions& options);
  absl::Status Listen();
  absl::StatusOr<std::vector<LoadRequest>> InitialLoads();
  void FinishLoading(LoadSummary summary, const std::function<void(const LoadSummary&)>& done);

  const ServerOptions options_;
  Lifecycle lifecycle_;
  HealthBoard health_;
  ServerMetrics metrics_;
  SharedMemory shared_memory_;
  double peak_bandwidth_ = 0;  // bytes per second
  std::unique_ptr<ModelStore> store_;
  std::unique_ptr<InferenceService> inference_service_;
  std::unique_ptr<PrecisionService> precision_service_;
  std::unique_ptr<grpc::Server> grpc_;
  int grpc_port_ = 0, metrics_port_ = 0;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_APP_SERVER_H_
