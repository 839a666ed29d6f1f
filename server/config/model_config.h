#ifndef PRECIS_SERVER_CONFIG_MODEL_CONFIG_H_
#define PRECIS_SERVER_CONFIG_MODEL_CONFIG_H_

// Triton's config.pbtxt: what of it is read, and how it and the ONNX file's signature become one signature on the wire.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/model.h"
#include "inference/model_config.pb.h"
#include "server/config/signature.h"

namespace precis::server {

// The fields of `config` that mean nothing here, each a sentence for the log. Errors: InvalidArgument when the name is not
// `model`, and those of MakeScheduling; Unimplemented for what would change answers (ensembles, sequence batching, decoupled replies).
absl::StatusOr<std::vector<std::string>> CheckModelConfig(const inference::ModelConfig& config,
                                                          const std::string& model);

// Errors: InvalidArgument when `config` names tensors that the file has not, misses an input, or disagrees in type or shape.
absl::StatusOr<Signature> MakeSignature(const inference::ModelConfig& config, const std::vector<TensorSpec>& inputs,
                                        const std::vector<TensorSpec>& outputs);

// `config` with name, platform, backend, inputs and outputs filled in from the signature.
inference::ModelConfig CompleteModelConfig(const inference::ModelConfig& config, const std::string& model,
                                           const Signature& signature);

// Concrete shapes of the engine's inputs to compile at load: free dimensions are 1. Empty when the configuration fixes no
// dimension that the file (`specs`) leaves free, so that the engine's own choice stands.
std::vector<Shape> WarmShapes(const Signature& signature, const std::vector<TensorSpec>& specs);

}  // namespace precis::server

#endif  // PRECIS_SERVER_CONFIG_MODEL_CONFIG_H_
