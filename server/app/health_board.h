#ifndef PRECIS_SERVER_APP_HEALTH_BOARD_H_
#define PRECIS_SERVER_APP_HEALTH_BOARD_H_

#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/health_check_service_interface.h"

namespace precis::server {

// What grpc.health.v1 says: "" is the server, a model's name that model. Remembers what is said before there is a server to
// say it. Thread-safe.
class HealthBoard {
 public:
  void Set(const std::string& name, bool serving);
  // Everything said so far, and from now on, goes to `service`, which outlives this or is detached by null.
  void Attach(grpc::HealthCheckServiceInterface* service);
  // Nothing is serving from now on, whatever is said.
  void Close();

 private:
  absl::Mutex mutex_;
  std::map<std::string, bool> serving_ ABSL_GUARDED_BY(mutex_) = {{"", false}};
  grpc::HealthCheckServiceInterface* service_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_APP_HEALTH_BOARD_H_
