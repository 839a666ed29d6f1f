#include "server/rpc/load_call.h"

#include <utility>

#include "server/rpc/grpc_status.h"

namespace precis::server {

LoadCall::LoadCall(ModelStore* store, LoadRequest request) : store_(store) {
  request.caller_gone = gone_;
  store_->Load(std::move(request), nullptr, [this](const absl::Status& status) { Finish(ToGrpcStatus(status)); });
}

void LoadCall::OnCancel() {
  gone_->store(true);
  store_->live_samples().EndAbandoned();
}

}  // namespace precis::server
