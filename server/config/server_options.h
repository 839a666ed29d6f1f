#ifndef PRECIS_SERVER_CONFIG_SERVER_OPTIONS_H_
#define PRECIS_SERVER_CONFIG_SERVER_OPTIONS_H_

// The command line of precisd as values.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace precis::server {

// Who decides, after the start, which models are served. As Triton's --model-control-mode.
enum class ControlMode {
  kNone,      // nobody: what --load named stays
  kExplicit,  // RepositoryModelLoad and RepositoryModelUnload
  kPoll,      // the model repository's folders
};

// A model given as --model=NAME=PATH.
struct NamedPath {
  std::string name;
  std::string path;
};

// Files of gRPC's TLS, all PEM. Without cert_file and key_file there is no TLS.
struct TlsFiles {
  std::string cert_file;       // the server's certificate, then those that signed it
  std::string key_file;        // its private key
  std::string client_ca_file;  // who may have signed a client's certificate; empty: clients need none
};

struct ServerOptions {
  std::string model_repository;             // empty: none
  std::vector<NamedPath> models;            // beside those of the repository
  std::vector<std::string> load = {"all"};  // "all", or names as on the wire: net, net@int8; empty: nothing
  ControlMode control_mode = ControlMode::kExplicit;
  bool strict_readiness = false;  // not ready when a model named by `load` failed
  absl::Duration poll_interval = absl::Seconds(15);
  // Folder that keeps results of calibration; empty: none; not set: .precis_cache in each model's folder, where that can be written.
  std::optional<std::string> calibration_cache;

  std::string grpc_address = "0.0.0.0";
  int grpc_port = 8001;     // 0: a free one
  int metrics_port = 8002;  // 0: a free one
  int64_t max_message_bytes = 256 << 20;
  bool system_shared_memory = false;  // clients on this machine may name POSIX shared memory
  TlsFiles tls;
  absl::Duration max_connection_age = absl::Minutes(5);            // then clients connect anew; infinite: never
  absl::Duration max_connection_grace = absl::InfiniteDuration();  // for the calls of such a connection

  int threads = 0;        // of one worker; 0: cores / workers where workers are given, else 1
  int workers = 0;        // per variant; 0: cores / threads
  int load_threads = 1;   // models loaded at the same time
  int queue_size = 1024;  // requests that wait per variant

  absl::Duration drain_grace = absl::Seconds(5);     // served as before after the first SIGTERM, while not ready
  absl::Duration drain_timeout = absl::Seconds(30);  // for requests in flight after that
};

// What the command line asks for: options to serve with, or a text to print (help, version) and leave with code 0.
struct CommandLine {
  ServerOptions options;
  std::string text;  // empty: serve
};

// Errors: InvalidArgument names the flag.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv);

}  // namespace precis::server

#endif  // PRECIS_SERVER_CONFIG_SERVER_OPTIONS_H_
