#ifndef PRECIS_SERVER_DRIFT_DRIFT_SUMS_H_
#define PRECIS_SERVER_DRIFT_DRIFT_SUMS_H_

// What was seen of a variant's drift over some time, in constant memory.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/model.h"
#include "engine/tensor/tensor.h"
#include "stats/fidelity.h"

namespace precis::server {

struct DriftSums {
  stats::Fidelity all;                   // the outputs of a sample together; predictions of the first
  std::vector<stats::Fidelity> outputs;  // each by itself; empty before the first sample
  int64_t layer_samples = 0;
  std::vector<LayerInputCounts> layers;  // in the probe's order; empty before the first of layer_samples

  void Merge(const DriftSums& other);
  double ClippedRatio(size_t layer) const;
};

// The differences of one request's answers. `answers` are those of the variant, `references` the baseline's, output by output; when
// every output's first dimension is `batch_size`, each item of the batch is a sample of its own. Errors: InvalidArgument when
// number or
// shapes of the outputs differ.
absl::StatusOr<DriftSums> CompareAnswers(const std::vector<Tensor>& answers, const std::vector<Tensor>& references,
                                         int64_t batch_size);

}  // namespace precis::server

#endif  // PRECIS_SERVER_DRIFT_DRIFT_SUMS_H_
