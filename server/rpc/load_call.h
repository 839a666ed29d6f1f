#ifndef PRECIS_SERVER_RPC_LOAD_CALL_H_
#define PRECIS_SERVER_RPC_LOAD_CALL_H_

#include <atomic>
#include <memory>

#include "grpcpp/grpcpp.h"
#include "server/models/model_store.h"

namespace precis::server {

// The reactor of RepositoryModelLoad: answers when the load is done. Deletes itself.
class LoadCall final : public grpc::ServerUnaryReactor {
 public:
  // `store` outlives the call.
  LoadCall(ModelStore* store, LoadRequest request);

  void OnCancel() override;
  void OnDone() override { delete this; }

 private:
  ModelStore* const store_;
  const std::shared_ptr<std::atomic<bool>> gone_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_LOAD_CALL_H_
