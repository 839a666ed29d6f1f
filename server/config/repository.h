#ifndef PRECIS_SERVER_CONFIG_REPOSITORY_H_
#define PRECIS_SERVER_CONFIG_REPOSITORY_H_

// What is on disk: models in Triton's layout, and models given by path.
//
//   DIR/<model>/[config.pbtxt]              optional
//   DIR/<model>/[precision.textproto]       optional: policies, default variant, preprocessing
//   DIR/<model>/[calibration/]              optional: samples for int8
//   DIR/<model>/<version>/model.onnx        version: a number of at least 1

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "inference/model_config.pb.h"
#include "precis/v1/policy.pb.h"
#include "server/config/server_options.h"

namespace precis::server {

// One model as found. A model that cannot be served has a `status` that says why, and no versions.
struct ModelSource {
  std::string name;
  absl::Status status;
  std::map<int64_t, std::string> versions;  // number -> .onnx file; those that version_policy chooses
  std::string folder;                       // where the model's files are
  std::string calibration_dir;              // may not exist
  inference::ModelConfig config;            // as written; empty without a file
  v1::ModelPrecision precision;             // the same
  std::vector<std::string> warnings;        // for the log
  std::string fingerprint;                  // changes when any of the model's files does (paths, sizes, times)
};

// Immutable and thread-safe; every call reads the disk.
class Repository {
 public:
  // `directory` may be empty. `models` are files or model folders by name and go before the directory's.
  Repository(std::string directory, std::vector<NamedPath> models);

  // Every model, by name. Errors: NotFound when the directory cannot be read.
  absl::StatusOr<std::map<std::string, ModelSource>> Scan() const;

  // One model. Errors: NotFound when there is none of that name; InvalidArgument for a bad name.
  absl::StatusOr<ModelSource> Find(const std::string& name) const;

 private:
  std::string directory_;
  std::vector<NamedPath> models_;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_CONFIG_REPOSITORY_H_
