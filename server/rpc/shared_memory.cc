#include "server/rpc/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "engine/base/status_macros.h"

namespace precis::server {
namespace {

constexpr char kRegionParameter[] = "shared_memory_region";
constexpr char kSizeParameter[] = "shared_memory_byte_size";
constexpr char kOffsetParameter[] = "shared_memory_offset";
constexpr size_t kMaxNameBytes = 1024;

std::string Described(const SharedRegion& region) { return absl::StrCat("shared memory ", Quoted(region.key())); }

// `status` with `where` before its message.
absl::Status At(absl::string_view where, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(where, ": ", status.message()));
}

// `call` is pread or pwrite with all but the first byte's place and the count.
template <typename Bytes, typename Call>
absl::Status TransferAll(const SharedRegion& region, uint64_t offset, Bytes* bytes, size_t size, const Call& call) {
  for (size_t done = 0; done < size;) {
    const ssize_t n = call(bytes + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, Described(region));
    if (n == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(Described(region), " has become shorter than it was registered"));
    }
    done += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

// The length of an object, in bytes.
absl::StatusOr<uint64_t> LengthOf(int descriptor, absl::string_view what) {
  struct stat status;
  if (fstat(descriptor, &status) != 0) return absl::ErrnoToStatus(errno, what);
  return static_cast<uint64_t>(status.st_size);
}

}  // namespace

SharedRegion::~SharedRegion() { close(descriptor_); }

absl::Status SharedRegion::Read(uint64_t offset, void* bytes, size_t size) const {
  return TransferAll(*this, offset_ + offset, static_cast<char*>(bytes), size,
                     [this](char* at, size_t count, off_t place) { return pread(descriptor_, at, count, place); });
}

absl::Status SharedRegion::Write(uint64_t offset, const void* bytes, size_t size) const {
  // Past the end pwrite makes the object longer. Not for certain: its owner may shrink it right after this.
  PRECIS_ASSIGN_OR_RETURN(const uint64_t length, LengthOf(descriptor_, Described(*this)));
  if (offset_ + offset + size > length) {
    return absl::FailedPreconditionError(absl::StrCat(Described(*this), " has become shorter than it was registered"));
  }
  return TransferAll(
      *this, offset_ + offset, static_cast<const char*>(bytes), size,
      [this](const char* at, size_t count, off_t place) { return pwrite(descriptor_, at, count, place); });
}

absl::Status SharedMemory::CheckAllowed() const {
  if (allowed_) return absl::OkStatus();
  return absl::UnimplementedError("shared memory is not allowed here (precisd --system_shared_memory)");
}

absl::Status SharedMemory::Register(const std::string& name, const std::string& key, uint64_t offset,
                                    uint64_t byte_size) {
  PRECIS_RETURN_IF_ERROR(CheckAllowed());
  if (name.empty() || name.size() > kMaxNameBytes) return absl::InvalidArgumentError("name: want 1 to 1024 bytes");
  if (byte_size == 0) return absl::InvalidArgumentError("byte_size: want at least 1");
  if (key.find('\0') != std::string::npos) return absl::InvalidArgumentError("key: holds a zero byte");
  const int descriptor = shm_open(key.c_str(), O_RDWR | O_CLOEXEC, 0);
  const std::string what = absl::StrCat("key ", Quoted(key));
  if (descriptor < 0) return absl::ErrnoToStatus(errno, what);
  auto region = std::make_shared<const SharedRegion>(key, offset, byte_size, descriptor);
  PRECIS_ASSIGN_OR_RETURN(const uint64_t length, LengthOf(descriptor, what));
  if (offset > length || byte_size > length - offset) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " has ", length, " bytes, want ", byte_size, " from byte ", offset, " on"));
  }
  absl::MutexLock lock(&mutex_);
  if (regions_.contains(name)) {
    return absl::AlreadyExistsError(absl::StrCat("shared memory region ", Quoted(name), " is registered already"));
  }
  if (regions_.size() >= kMaxRegions) {
    return absl::ResourceExhaustedError(absl::StrCat("there are ", kMaxRegions, " regions of shared memory already"));
  }
  regions_.emplace(name, std::move(region));
  return absl::OkStatus();
}

absl::Status SharedMemory::Unregister(const std::string& name) {
  PRECIS_RETURN_IF_ERROR(CheckAllowed());
  absl::MutexLock lock(&mutex_);
  if (name.empty()) {
    regions_.clear();
  } else {
    regions_.erase(name);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, std::shared_ptr<const SharedRegion>>> SharedMemory::List(
    const std::string& name) const {
  PRECIS_RETURN_IF_ERROR(CheckAllowed());
  absl::MutexLock lock(&mutex_);
  if (name.empty()) return regions_;
  const auto found = regions_.find(name);
  if (found == regions_.end()) {
    return absl::NotFoundError(absl::StrCat("no shared memory region ", Quoted(name), " is registered"));
  }
  return std::map<std::string, std::shared_ptr<const SharedRegion>>{*found};
}

absl::StatusOr<SharedSpan> SharedMemory::SpanOf(const InferParameters& parameters) const {
  const auto named = parameters.find(kRegionParameter);
  if (named == parameters.end()) return SharedSpan();
  SharedSpan span;
  span.name = named->second.string_param();
  if (span.name.empty()) return absl::InvalidArgumentError(absl::StrCat(kRegionParameter, ": want a region's name"));
  PRECIS_ASSIGN_OR_RETURN(const auto found, List(span.name));
  span.region = found.begin()->second;
  PRECIS_ASSIGN_OR_RETURN(span.offset, CountParameter(parameters, kOffsetParameter));
  PRECIS_ASSIGN_OR_RETURN(span.byte_size, CountParameter(parameters, kSizeParameter));
  if (span.offset > span.region->byte_size() || span.byte_size > span.region->byte_size() - span.offset) {
    return absl::InvalidArgumentError(absl::StrCat(span.byte_size, " bytes from byte ", span.offset,
                                                   " on: shared memory region ", Quoted(span.name), " has ",
                                                   span.region->byte_size()));
  }
  if (span.byte_size > max_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat(span.byte_size, " bytes of shared memory, want at most ", max_bytes_,
                                                   " (precisd --max_message_bytes)"));
  }
  return span;
}

absl::Status SharedMemory::ReadInputs(inference::ModelInferRequest* request) const {
  std::vector<std::string> contents;  // of all inputs, once one is in shared memory
  bool any = false;
  for (const auto& input : request->inputs()) any = any || input.parameters().contains(kRegionParameter);
  if (!any) return absl::OkStatus();
  uint64_t total = 0;
  int sent = 0;  // of raw_input_contents, which has one for each of the other inputs
  for (auto& input : *request->mutable_inputs()) {
    const std::string where = absl::StrCat("input ", Quoted(input.name()));
    absl::StatusOr<SharedSpan> span = SpanOf(input.parameters());
    if (!span.ok()) return At(where, span.status());
    if (span->region == nullptr) {
      if (sent >= request->raw_input_contents_size()) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, ": beside inputs in shared memory, want its bytes in raw_input_contents"));
      }
      contents.push_back(std::move(*request->mutable_raw_input_contents(sent++)));
      continue;
    }
    if (input.has_contents()) return absl::InvalidArgumentError(absl::StrCat(where, ": contents beside shared memory"));
    total += span->byte_size;
    if (total > max_bytes_) {
      return absl::InvalidArgumentError(absl::StrCat("inputs of ", total,
                                                     " bytes and more in shared memory, want at most ", max_bytes_,
                                                     " (precisd --max_message_bytes)"));
    }
    std::string& bytes = contents.emplace_back(span->byte_size, '\0');
    if (absl::Status status = span->region->Read(span->offset, bytes.data(), bytes.size()); !status.ok()) {
      return At(where, status);
    }
    for (const char* parameter : {kRegionParameter, kSizeParameter, kOffsetParameter}) {
      input.mutable_parameters()->erase(parameter);
    }
  }
  if (sent != request->raw_input_contents_size()) {
    return absl::InvalidArgumentError(absl::StrCat(request->raw_input_contents_size(),
                                                   " raw_input_contents, want one for each of the ", sent,
                                                   " inputs that are not in shared memory"));
  }
  request->clear_raw_input_contents();
  for (std::string& bytes : contents) request->add_raw_input_contents(std::move(bytes));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<SharedSpan>> SharedMemory::SpansOfOutputs(
    const inference::ModelInferRequest& request) const {
  std::vector<SharedSpan> spans;
  bool any = false;
  for (const auto& output : request.outputs()) {
    absl::StatusOr<SharedSpan> span = SpanOf(output.parameters());
    if (!span.ok()) return At(absl::StrCat("output ", Quoted(output.name())), span.status());
    any = any || span->region != nullptr;
    spans.push_back(*std::move(span));
  }
  if (!any) spans.clear();
  return spans;
}

absl::Status WriteSharedOutputs(const std::vector<SharedSpan>& spans, const std::vector<size_t>& wanted,
                                std::vector<Tensor>* outputs, inference::ModelInferResponse* response) {
  for (size_t i = 0; i < spans.size(); ++i) {
    const SharedSpan& span = spans[i];
    if (span.region == nullptr) continue;
    Tensor& tensor = (*outputs)[wanted[i]];
    auto& output = *response->mutable_outputs(static_cast<int>(i));
    const std::string where = absl::StrCat("output ", Quoted(output.name()));
    if (tensor.size_bytes() > span.byte_size) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, " has ", tensor.size_bytes(), " bytes, the request gives it ", span.byte_size, " of shared memory"));
    }
    if (absl::Status status = span.region->Write(span.offset, tensor.data(), tensor.size_bytes()); !status.ok()) {
      return At(where, status);
    }
    auto& parameters = *output.mutable_parameters();
    parameters[kRegionParameter].set_string_param(span.name);
    parameters[kOffsetParameter].set_int64_param(static_cast<int64_t>(span.offset));
    parameters[kSizeParameter].set_int64_param(static_cast<int64_t>(tensor.size_bytes()));
    tensor = Tensor();
  }
  return absl::OkStatus();
}

}  // namespace precis::server
