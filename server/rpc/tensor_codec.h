#ifndef PRECIS_SERVER_RPC_TENSOR_CODEC_H_
#define PRECIS_SERVER_RPC_TENSOR_CODEC_H_

// Tensors between the wire and the engine. Every byte of a request is checked here: what comes out fits the signature.
//
// Raw contents are little-endian and row-major, as the engine holds them on every CPU it runs on, and are used in place. Typed
// contents are used in place where the field has the element's size, and narrowed otherwise.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/tensor/tensor.h"
#include "inference/grpc_service.pb.h"
#include "server/config/signature.h"

namespace precis::server {

struct DecodedInputs {
  std::vector<TensorView> views;  // in the engine's order and shapes; borrow from the request and from `narrowed`
  std::vector<Tensor> narrowed;
  int64_t batch_size = 1;  // dimension 0 when the model batches
};

// Errors: InvalidArgument naming the input, what was expected and what came.
absl::StatusOr<DecodedInputs> DecodeInputs(const inference::ModelInferRequest& request, const Signature& signature);

// Indices of the outputs that the request asks for, in its order; all of them when it names none.
// Errors: InvalidArgument for an unknown output or one asked for twice; Unimplemented for classification.
absl::StatusOr<std::vector<size_t>> RequestedOutputs(const inference::ModelInferRequest& request,
                                                     const Signature& signature);

// Appends the description (name, datatype, shape) of each output in `wanted` to `response`, without its bytes.
void DescribeOutputs(const std::vector<Tensor>& outputs, const std::vector<size_t>& wanted, const Signature& signature,
                     inference::ModelInferResponse* response);

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_TENSOR_CODEC_H_
