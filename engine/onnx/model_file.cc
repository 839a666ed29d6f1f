// Files are opened once, checked through their descriptor, and read by exact ranges: nothing is mapped (a file that shrinks
// under a mapping would kill the server) and nothing is read past what was checked.
#include "engine/onnx/model_file.h"

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/onnx/quoting.h"

namespace precis::onnx_import {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxProtobufBytes = std::numeric_limits<int32_t>::max();  // the format's own limit

// Owns a file descriptor.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(File&& other) noexcept : size_bytes(other.size_bytes), descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int descriptor() const { return descriptor_; }
  int64_t size_bytes = 0;

 private:
  int descriptor_;
};

// O_NONBLOCK: a named pipe must not hang the loader before fstat has told what it is.
absl::StatusOr<File> OpenRegular(const std::string& path) {
  File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.descriptor() < 0) {
    const int error = errno;
    const std::string message = absl::StrCat(Quoted(path), ": ", std::strerror(error));
    return error == ENOENT || error == ENOTDIR ? absl::NotFoundError(message) : absl::InvalidArgumentError(message);
  }
  struct stat info;
  if (::fstat(file.descriptor(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(Quoted(path), ": not a regular file"));
  }
  file.size_bytes = info.st_size;
  return file;
}

absl::Status CheckSize(absl::string_view what, int64_t size_bytes, int64_t max_bytes) {
  if (size_bytes <= max_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(Quoted(what), ": ", size_bytes, " bytes, want at most ", max_bytes));
}

absl::Status Parse(google::protobuf::io::ZeroCopyInputStream* bytes, absl::string_view what,
                   google::protobuf::MessageLite* message) {
  google::protobuf::io::CodedInputStream stream(bytes);
  stream.SetTotalBytesLimit(static_cast<int>(kMaxProtobufBytes));
  if (message->ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(Quoted(what), ": truncated, or not an ONNX ", message->GetTypeName()));
}

}  // namespace

absl::Status ParseFile(const std::string& path, int64_t max_bytes, google::protobuf::MessageLite* message) {
  PRECIS_ASSIGN_OR_RETURN(const File file, OpenRegular(path));
  PRECIS_RETURN_IF_ERROR(CheckSize(path, file.size_bytes, max_bytes));
  if (file.size_bytes > kMaxProtobufBytes) {
    return absl::InvalidArgumentError(absl::StrCat(Quoted(path), ": ", file.size_bytes,
                                                   " bytes; protobuf ends at 2 GiB, keep weights as external data"));
  }
  google::protobuf::io::FileInputStream stream(file.descriptor());
  return Parse(&stream, path, message);
}

absl::Status ParseBytes(absl::string_view bytes, absl::string_view what, google::protobuf::MessageLite* message) {
  PRECIS_RETURN_IF_ERROR(CheckSize(what, static_cast<int64_t>(bytes.size()), kMaxProtobufBytes));
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  return Parse(&stream, what, message);
}

absl::StatusOr<std::string> ExternalData::Resolve(const std::string& location) const {
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("external data ", Quoted(location), ": ", why));
  };
  if (folder_.empty()) return refuse("refused, the model has no folder");
  const fs::path relative(location);
  if (location.empty() || location.find('\0') != std::string::npos) return refuse("not a path");
  if (relative.is_absolute()) return refuse("absolute path, want one inside the model's folder");
  if (std::find(relative.begin(), relative.end(), "..") != relative.end()) return refuse("leaves the model's folder");
  std::error_code error;
  const fs::path folder = fs::canonical(folder_, error);
  if (error) return refuse(absl::StrCat("folder ", Quoted(folder_), ": ", error.message()));
  const fs::path real = fs::canonical(folder / relative, error);
  if (error) return refuse(error.message());
  if (std::mismatch(folder.begin(), folder.end(), real.begin(), real.end()).first != folder.end()) {
    return refuse("leaves the model's folder through a link");
  }
  return real.string();
}

absl::Status ExternalData::Read(const std::string& location, int64_t offset, int64_t size, void* data) const {
  PRECIS_ASSIGN_OR_RETURN(const std::string path, Resolve(location));
  const auto opened = OpenRegular(path);
  if (!opened.ok()) return absl::InvalidArgumentError(absl::StrCat("external data ", opened.status().message()));
  const File& file = *opened;
  PRECIS_RETURN_IF_ERROR(CheckSize(location, file.size_bytes, max_file_bytes_));
  if (offset < 0 || offset > file.size_bytes || size > file.size_bytes - offset) {
    return absl::InvalidArgumentError(absl::StrCat("external data ", Quoted(location), ": ", file.size_bytes,
                                                   " bytes, want ", size, " from offset ", offset));
  }
  char* out = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = ::pread(file.descriptor(), out, static_cast<size_t>(size), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      return absl::InvalidArgumentError(absl::StrCat("external data ", Quoted(location), ": cannot be read"));
    out += got;
    offset += got;
    size -= got;
  }
  return absl::OkStatus();
}

}  // namespace precis::onnx_import
