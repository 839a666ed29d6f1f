#ifndef PRECIS_SERVER_RPC_DRIFT_DESCRIPTION_H_
#define PRECIS_SERVER_RPC_DRIFT_DESCRIPTION_H_

#include "absl/status/status.h"
#include "precis/v1/precision_service.pb.h"
#include "server/models/model_store.h"

namespace precis::server {

// What the monitor has found of one variant. Errors: those of ModelStore::Pin; InvalidArgument for the baseline itself.
absl::Status DescribeDrift(const ModelStore& store, const v1::GetDriftRequest& request, v1::GetDriftResponse* response);

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_DRIFT_DESCRIPTION_H_
