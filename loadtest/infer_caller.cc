// Each call is an object that lives from Start to its last event, and is itself the tag of its events on the completion
// queue: an attempt's end, or the end of a pause before the next attempt.

#include "loadtest/infer_caller.h"

#include <grpcpp/alarm.h>

#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "client/channel.h"
#include "client/retry.h"

namespace precis::loadtest {
namespace {

constexpr char kMethod[] = "/inference.GRPCInferenceService/ModelInfer";

}  // namespace

struct InferCaller::Call {
  Call(const client::ClientOptions& options, const grpc::ByteBuffer& bytes, Done on_end)
      : request(bytes), done(std::move(on_end)), deadline(absl::Now() + options.deadline), backoff(options.retry) {}

  const grpc::ByteBuffer request;
  const Done done;
  absl::Time deadline;  // of all attempts together
  client::Backoff backoff;
  int retries = 0;
  bool pausing = false;
  std::optional<grpc::Alarm> alarm;  // of the latest pause
  // Of the current attempt:
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  grpc::ByteBuffer reply;
  grpc::Status status;
};

absl::StatusOr<std::unique_ptr<InferCaller>> InferCaller::Connect(const client::ClientOptions& options,
                                                                  int connections) {
  if (absl::Status status = client::CheckRetryOptions(options.retry); !status.ok()) return status;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs;
  for (int i = 0; i < connections; ++i) {
    absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = client::MakeChannel(options);
    if (!channel.ok()) return channel.status();
    stubs.push_back(std::make_unique<grpc::GenericStub>(*std::move(channel)));
  }
  return std::unique_ptr<InferCaller>(new InferCaller(options, std::move(stubs)));
}

InferCaller::InferCaller(const client::ClientOptions& options, std::vector<std::unique_ptr<grpc::GenericStub>> stubs)
    : options_(options), stubs_(std::move(stubs)), receiver_([this] { ReceiveLoop(); }) {}

InferCaller::~InferCaller() {
  while (calls_ > 0) absl::SleepFor(absl::Milliseconds(1));
  queue_.Shutdown();
  receiver_.join();
}

void InferCaller::Start(const grpc::ByteBuffer& request, Done done, absl::Duration pause) {
  ++calls_;
  Call* call = new Call(options_, request, std::move(done));
  if (pause > absl::ZeroDuration()) {
    call->deadline += pause;
    WaitThenAttempt(call, pause);
  } else {
    Attempt(call);
  }
}

void InferCaller::WaitThenAttempt(Call* call, absl::Duration pause) {
  call->pausing = true;
  call->alarm.emplace().Set(&queue_, absl::ToChronoTime(absl::Now() + pause), call);
}

void InferCaller::Attempt(Call* call) {
  grpc::GenericStub& stub = *stubs_[next_stub_++ % stubs_.size()];
  call->context = std::make_unique<grpc::ClientContext>();
  call->context->set_deadline(absl::ToChronoTime(call->deadline));
  call->reader = stub.PrepareUnaryCall(call->context.get(), kMethod, call->request, &queue_);
  call->reader->StartCall();
  call->reader->Finish(&call->reply, &call->status, call);
}

void InferCaller::OnEvent(Call* call) {
  if (std::exchange(call->pausing, false)) return Attempt(call);
  if (client::IsWorthARetry(static_cast<absl::StatusCode>(call->status.error_code()))) {
    const std::optional<absl::Duration> pause = call->backoff.Next(client::RetryEnvironment::System().uniform());
    if (pause && absl::Now() + *pause < call->deadline) {
      ++call->retries;
      return WaitThenAttempt(call, *pause);
    }
  }
  call->done({call->status.error_code(), call->status.error_message(), call->retries});
  delete call;
  --calls_;
}

void InferCaller::ReceiveLoop() {
  void* tag = nullptr;
  bool ok = false;  // false only for a cancelled alarm, which there is none of: Finish always succeeds
  while (queue_.Next(&tag, &ok)) OnEvent(static_cast<Call*>(tag));
}

}  // namespace precis::loadtest
