#ifndef PRECIS_SERVER_RPC_INFER_REPLY_H_
#define PRECIS_SERVER_RPC_INFER_REPLY_H_

#include <cstddef>
#include <string>
#include <vector>

#include "engine/tensor/tensor.h"
#include "grpcpp/support/byte_buffer.h"
#include "inference/grpc_service.pb.h"

namespace precis::server {

// What goes on the wire for an inference: a ModelInferResponse, or a ModelStreamInferResponse around it.
enum class ReplyKind { kUnary, kStream };

// The reply made of `header` (which has no raw contents) and the bytes of outputs[wanted[0]], outputs[wanted[1]]…, which the
// returned buffer takes over: large ones are not copied.
grpc::ByteBuffer MakeReply(const inference::ModelInferResponse& header, std::vector<Tensor> outputs,
                           const std::vector<size_t>& wanted, ReplyKind kind);

// A stream's answer to a request that failed; `header` has the request's id.
grpc::ByteBuffer MakeStreamError(const inference::ModelInferResponse& header, const std::string& message);

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_INFER_REPLY_H_
