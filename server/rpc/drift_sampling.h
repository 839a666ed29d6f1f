#ifndef PRECIS_SERVER_RPC_DRIFT_SAMPLING_H_
#define PRECIS_SERVER_RPC_DRIFT_SAMPLING_H_

#include <vector>

#include "engine/tensor/tensor.h"
#include "inference/grpc_service.pb.h"
#include "server/config/signature.h"
#include "server/drift/drift_monitor.h"

namespace precis::server {

// What the drift monitor needs of a request that was answered with `outputs` (all of the model's). Takes raw contents out of `request`,
// which nobody needs any more, rather than copying them.
DriftSample TakeDriftSample(std::vector<ShadowRun> runs, const Signature& signature, const std::vector<Tensor>& outputs,
                            inference::ModelInferRequest* request);

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_DRIFT_SAMPLING_H_
