#ifndef PRECIS_ENGINE_ONNX_MODEL_FILE_H_
#define PRECIS_ENGINE_ONNX_MODEL_FILE_H_

// Bytes from disk: the model file itself, and the files beside it that hold external data.

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/onnx/importer.h"
#include "onnx/onnx_pb.h"

namespace precis::onnx_import {

// Reads a protobuf message from a regular file, never more than `max_bytes`. Errors: NotFound; InvalidArgument when it is no
// regular file, too large (protobuf itself stops at 2 GiB), truncated or not this message.
absl::Status ParseFile(const std::string& path, int64_t max_bytes, google::protobuf::MessageLite* message);

// The same from memory; `what` names the bytes in errors.
absl::Status ParseBytes(absl::string_view bytes, absl::string_view what, google::protobuf::MessageLite* message);

// Opens files in `folder` and nowhere else, and reads exact ranges of them.
class ExternalData {
 public:
  // "" as folder: every read is refused.
  ExternalData(std::string folder, int64_t max_file_bytes)
      : folder_(std::move(folder)), max_file_bytes_(max_file_bytes) {}

  // Copies `size` bytes from `offset` of the file at `location` (a relative path as ONNX has it) to `data`.
  // InvalidArgument: the path is absolute, has "..", or leads out of the folder through a link; no such file; not a regular
  // file; too short.
  absl::Status Read(const std::string& location, int64_t offset, int64_t size, void* data) const;

 private:
  // The real path of `location`, known to lie in the folder.
  absl::StatusOr<std::string> Resolve(const std::string& location) const;

  std::string folder_;
  int64_t max_file_bytes_;
};

}  // namespace precis::onnx_import

#endif  // PRECIS_ENGINE_ONNX_MODEL_FILE_H_
