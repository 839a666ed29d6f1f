#ifndef PRECIS_SERVER_RPC_PLAN_DESCRIPTION_H_
#define PRECIS_SERVER_RPC_PLAN_DESCRIPTION_H_

#include "absl/status/status.h"
#include "precis/v1/precision_service.pb.h"
#include "server/models/model_store.h"

namespace precis::server {

// Answers DescribePlan. May compile for other shapes, and runs the plan `repetitions` times on zeros: not for a thread that
// serves the network. Errors: those of ModelStore::Pin; InvalidArgument for shapes that do not fit the model or too many
// repetitions; the engine's.
absl::Status DescribePlan(const ModelStore& store, const v1::DescribePlanRequest& request,
                          v1::DescribePlanResponse* response);

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_PLAN_DESCRIPTION_H_
