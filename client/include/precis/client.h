#ifndef PRECIS_CLIENT_H_
#define PRECIS_CLIENT_H_

// The C++ client of a Precis server, and of any server that speaks the Open Inference Protocol (KServe v2) over gRPC.
//
//   auto client = precis::Client::Connect({.target = "localhost:8001"});
//   auto reply = (*client)->Infer({.model = "resnet50@int8", .inputs = {Tensor::Of<float>("x", {1, 3, 224, 224}, pixels)}});
//
// Headers of precis/ need the standard library and Abseil; gRPC and Protobuf stay inside the library.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "precis/types.h"

namespace precis {

namespace client {

// TLS is used when ca_file is set or use_tls is. All files are PEM.
struct TlsOptions {
  bool use_tls = false;   // with empty ca_file: the system's certificate authorities
  std::string ca_file;    // who may have signed the server's certificate
  std::string cert_file;  // with key_file: this client's own certificate, for mutual TLS
  std::string key_file;
  std::string server_name;  // name the server's certificate must bear; empty: that of the target
};

// A call that fails with UNAVAILABLE, or with CANCELLED by a server that shuts down (nothing else), is made again after a
// pause that doubles each time, with jitter, as long as attempts and the call's deadline allow. A call that was in flight when
// its server was killed is UNAVAILABLE too, so it may run twice.
struct RetryOptions {
  int max_attempts = 4;  // the first one included; 1: no retries
  absl::Duration initial_backoff = absl::Milliseconds(50);
  absl::Duration max_backoff = absl::Seconds(2);
};

struct ClientOptions {
  std::string target = "localhost:8001";             // HOST:PORT, or any gRPC target
  absl::Duration deadline = absl::Seconds(30);       // of one call, retries included
  absl::Duration load_deadline = absl::Minutes(10);  // the same for LoadModel, LoadVariant, Calibrate and UnloadVariant
  RetryOptions retry;
  TlsOptions tls;
};

}  // namespace client

// One connection to one server; or, where the target is dns:///precis:8001 or ipv4:A:8001,B:8001, one to each address that it stands
// for, and calls go to them in turn. Thread-safe: any number of threads may call at once.
//
// Every method returns the server's own status code and message, besides: UNAVAILABLE when the server cannot be reached
// (after the retries), DEADLINE_EXCEEDED when the deadline passed, INTERNAL when the reply contradicts itself.
class Client {
 public:
  // Makes no call: a server that is not there shows at the first one. INVALID_ARGUMENT: an option makes no sense;
  // NOT_FOUND: a TLS file cannot be read.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const client::ClientOptions& options);
  virtual ~Client() = default;

  // Runs the model once. NOT_FOUND: unknown model, version or variant; INVALID_ARGUMENT: inputs do not fit it;
  // RESOURCE_EXHAUSTED: its queue is full.
  virtual absl::StatusOr<client::InferResponse> Infer(const client::InferRequest& request) = 0;

  virtual absl::StatusOr<bool> ServerLive() = 0;
  virtual absl::StatusOr<bool> ServerReady() = 0;
  virtual absl::StatusOr<bool> ModelReady(const std::string& model, const std::string& version = "") = 0;
  // The health service's word on "" (the server) or a model: SERVING, NOT_SERVING, UNKNOWN.
  virtual absl::StatusOr<std::string> Health(const std::string& service = "") = 0;
  // Returns when the health service says SERVING; DEADLINE_EXCEEDED when it has not within `timeout`. The server need not
  // be up yet.
  virtual absl::Status WaitUntilServing(absl::Duration timeout, const std::string& service = "") = 0;

  virtual absl::StatusOr<client::ServerMetadata> ServerMetadata() = 0;
  virtual absl::StatusOr<client::ModelMetadata> ModelMetadata(const std::string& model,
                                                              const std::string& version = "") = 0;
  // Of one model, or of all when `model` is empty.
  virtual absl::StatusOr<std::vector<client::ModelStatistics>> Statistics(const std::string& model = "",
                                                                          const std::string& version = "") = 0;

  // Models in the server's repository, loaded or not.
  virtual absl::StatusOr<std::vector<client::ModelIndexEntry>> RepositoryIndex() = 0;
  // `net` loads the default variant, `net@int8` that one. UnloadModel of `net` unloads every variant.
  virtual absl::Status LoadModel(const std::string& model) = 0;
  virtual absl::Status UnloadModel(const std::string& model) = 0;

  // Loads a variant; `progress` (may be null) is called on this thread as the load goes. The load goes on in the server
  // when the deadline passes first. FAILED_PRECONDITION: int8 without calibration data.
  virtual absl::StatusOr<client::VariantStatus> LoadVariant(
      const client::LoadVariantRequest& request,
      const std::function<void(const client::LoadProgress&)>& progress = nullptr) = 0;
  // Gives the next calibration sample, or nothing when there are no more; an error ends the call.
  using NextSample = std::function<absl::StatusOr<std::optional<std::vector<client::Tensor>>>()>;
  // Calibrates an int8 or mixed variant on samples and loads it; until the new one is READY, one that is loaded goes on answering.
  // INVALID_ARGUMENT: a sample does not fit the model or holds NaN or infinity (says which, from 0), and nothing has changed;
  // RESOURCE_EXHAUSTED: others are calibrating.
  virtual absl::StatusOr<client::Calibrated> Calibrate(const client::CalibrateRequest& request,
                                                       const NextSample& next) = 0;
  virtual absl::Status UnloadVariant(const std::string& model, const std::string& variant,
                                     const std::string& version = "") = 0;
  // Of one model, or of all when `model` is empty.
  virtual absl::StatusOr<std::vector<client::ModelVariants>> ListVariants(const std::string& model = "",
                                                                          const std::string& version = "") = 0;
  // The compiled layers of a loaded variant.
  virtual absl::StatusOr<client::Plan> DescribePlan(const client::PlanRequest& request) = 0;

  // Spreads the requests for the plain model name from now on, until the server ends. INVALID_ARGUMENT: shares that do not sum
  // to 100, a rate outside [0, 1]; NOT_FOUND and UNAVAILABLE name a variant that is not loaded: then nothing changes.
  virtual absl::Status SetTraffic(const std::string& model, const client::Traffic& traffic) = 0;
  // What comparing live requests with the baseline has shown. INVALID_ARGUMENT: the variant is the baseline.
  virtual absl::StatusOr<client::Drift> GetDrift(const std::string& model, const std::string& variant,
                                                 const std::string& version = "") = 0;
};

}  // namespace precis

#endif  // PRECIS_CLIENT_H_
