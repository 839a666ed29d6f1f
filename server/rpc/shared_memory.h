#ifndef PRECIS_SERVER_RPC_SHARED_MEMORY_H_
#define PRECIS_SERVER_RPC_SHARED_MEMORY_H_

// Tensors of clients on the same machine, in POSIX shared memory rather than in the message: the extension "system shared memory"
// of Triton's protocol. A client registers a region once; its requests then name the region where their bytes lie or are wanted.
// https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_shared_memory.md
//
// Regions are read and written by pread and pwrite, never mapped: a client that shrinks its object gets an error where a mapping
// would end this process by SIGBUS, and what a model reads does not change under it.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "engine/tensor/tensor.h"
#include "inference/grpc_service.pb.h"
#include "server/rpc/infer_request.h"

namespace precis::server {

// byte_size bytes of the shared memory object `key` from `offset` on. Immutable; closes its descriptor.
class SharedRegion {
 public:
  SharedRegion(std::string key, uint64_t offset, uint64_t byte_size, int descriptor)
      : key_(std::move(key)), offset_(offset), byte_size_(byte_size), descriptor_(descriptor) {}
  ~SharedRegion();
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  const std::string& key() const { return key_; }
  uint64_t offset() const { return offset_; }  // in bytes
  uint64_t byte_size() const { return byte_size_; }

  // All of bytes[0, size), at `offset` within the region, where the caller knows that they fit.
  // Errors: FailedPrecondition when the object has become shorter than it was registered; what the system says.
  absl::Status Read(uint64_t offset, void* bytes, size_t size) const;
  absl::Status Write(uint64_t offset, const void* bytes, size_t size) const;

 private:
  const std::string key_;
  const uint64_t offset_, byte_size_;
  const int descriptor_;
};

// A part of a region, as a request names it. Keeps the region open when it is unregistered meanwhile.
struct SharedSpan {
  std::shared_ptr<const SharedRegion> region;  // null: the tensor is in the message
  std::string name;                            // of the region
  uint64_t offset = 0;                         // within it
  uint64_t byte_size = 0;
};

// The regions that clients have registered. Thread-safe.
class SharedMemory {
 public:
  // A region costs a descriptor.
  static constexpr size_t kMaxRegions = 512;

  // Without `allowed` every call answers Unimplemented. `max_bytes`: of one tensor, and of all inputs of a request.
  SharedMemory(bool allowed, int64_t max_bytes) : allowed_(allowed), max_bytes_(static_cast<uint64_t>(max_bytes)) {}

  bool allowed() const { return allowed_; }
  // Ok, or Unimplemented with the flag that would allow it.
  absl::Status CheckAllowed() const;

  // `key` as shm_open takes it. Errors: AlreadyExists; NotFound, PermissionDenied… for the object; InvalidArgument when it is shorter
  // than offset + byte_size; ResourceExhausted past kMaxRegions.
  absl::Status Register(const std::string& name, const std::string& key, uint64_t offset, uint64_t byte_size);
  // Of an unknown name too; all for "". Requests under way keep what they have.
  absl::Status Unregister(const std::string& name);
  // One region, or all for "". Errors: NotFound.
  absl::StatusOr<std::map<std::string, std::shared_ptr<const SharedRegion>>> List(const std::string& name) const;

  // Moves the bytes of inputs in shared memory into the request's raw_input_contents, so that it is as if sent whole.
  // Errors: InvalidArgument naming the input; NotFound naming the region; what Read says.
  absl::Status ReadInputs(inference::ModelInferRequest* request) const;

  // Where each output that the request names is wanted, in its order; empty when all are wanted in the message. Errors as ReadInputs.
  absl::StatusOr<std::vector<SharedSpan>> SpansOfOutputs(const inference::ModelInferRequest& request) const;

 private:
  absl::StatusOr<SharedSpan> SpanOf(const InferParameters& parameters) const;

  const bool allowed_;
  const uint64_t max_bytes_;
  mutable absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<const SharedRegion>> regions_ ABSL_GUARDED_BY(mutex_);
};

// Writes outputs[wanted[i]] to spans[i], says so in the response's i-th output, and empties the tensor, which leaves no bytes for the message.
// Errors: InvalidArgument for a span that is too small; what Write says.
absl::Status WriteSharedOutputs(const std::vector<SharedSpan>& spans, const std::vector<size_t>& wanted,
                                std::vector<Tensor>* outputs, inference::ModelInferResponse* response);

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_SHARED_MEMORY_H_
