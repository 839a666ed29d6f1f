#ifndef PRECIS_SERVER_RPC_PLAN_DESCRIPTION_H_
#define PRECIS_SERVER_RPC_PLAN_DESCRIPTION_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/tensor/tensor.h"
#include "precis/v1/precision_service.pb.h"
#include "server/models/model_store.h"

namespace precis::server {

// A DescribePlan whose request is checked: holds its variant loaded until it is destroyed. Movable.
class PlanTask {
 public:
  // Errors: those of ModelStore::Pin; InvalidArgument for shapes that do not fit the model or too many repetitions.
  static absl::StatusOr<PlanTask> Create(const ModelStore& store, const v1::DescribePlanRequest& request);

  // May compile, and run the plan `repetitions` times on zeros. Errors: the engine's.
  absl::Status Run(v1::DescribePlanResponse* response) const;

 private:
  VariantPin pin_;
  std::vector<Shape> shapes_;  // by the engine's inputs; empty: those compiled at load
  int repetitions_ = 0;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_RPC_PLAN_DESCRIPTION_H_
