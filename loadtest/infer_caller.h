#ifndef PRECIS_LOADTEST_INFER_CALLER_H_
#define PRECIS_LOADTEST_INFER_CALLER_H_

// The asynchronous, serialized-once side of a client: what precis::Client, which blocks a thread a call, is too heavy for when
// the load shares its processors with the server. Channels, TLS and the rules of retrying are libprecis_client's own.

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "precis/client.h"

namespace precis::loadtest {

// How a call ended, after its retries.
struct Outcome {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string message;
  int retries = 0;  // attempts beyond the first
};

// ModelInfer calls to one server. One thread of its own receives all answers. Thread-safe.
class InferCaller {
 public:
  using Done = std::function<void(const Outcome&)>;

  // Calls go round `connections` TCP connections, at least one. Makes no call. Errors as of Client::Connect.
  static absl::StatusOr<std::unique_ptr<InferCaller>> Connect(const client::ClientOptions& options, int connections);
  // Waits for every call to end.
  ~InferCaller();

  // Sends a serialized inference.ModelInferRequest after `pause`; its bytes are shared, not copied. UNAVAILABLE is retried as
  // options.retry says, within options.deadline of the beginning. `done` is called once, on this object's thread; it may start calls.
  void Start(const grpc::ByteBuffer& request, Done done, absl::Duration pause = absl::ZeroDuration());

 private:
  struct Call;

  InferCaller(const client::ClientOptions& options, std::vector<std::unique_ptr<grpc::GenericStub>> stubs);
  void Attempt(Call* call);
  void WaitThenAttempt(Call* call, absl::Duration pause);
  void OnEvent(Call* call);
  void ReceiveLoop();

  const client::ClientOptions options_;
  const std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  std::atomic<uint64_t> next_stub_ = 0;
  std::atomic<int64_t> calls_ = 0;  // begun and not ended
  grpc::CompletionQueue queue_;
  std::thread receiver_;
};

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_INFER_CALLER_H_
