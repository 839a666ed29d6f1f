#ifndef PRECIS_SERVER_CONFIG_WEIGHT_POLICY_H_
#define PRECIS_SERVER_CONFIG_WEIGHT_POLICY_H_

// precis.v1.WeightPolicy to and from the engine's form of it.

#include "absl/status/status.h"
#include "engine/model.h"
#include "precis/v1/policy.pb.h"

namespace precis::server {

// Checks every field, of a variant computed by `execution`, and sets `weights`. Errors: those of PolicyFromProto.
absl::Status ApplyWeights(const v1::WeightPolicy& proto, quant::Execution execution, quant::WeightPolicy* weights);

// With every field filled in.
v1::WeightPolicy WeightsToProto(const quant::WeightPolicy& weights);

}  // namespace precis::server

#endif  // PRECIS_SERVER_CONFIG_WEIGHT_POLICY_H_
