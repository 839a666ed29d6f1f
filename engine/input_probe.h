#ifndef PRECIS_ENGINE_INPUT_PROBE_H_
#define PRECIS_ENGINE_INPUT_PROBE_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/model.h"
#include "engine/pipeline.h"

namespace precis {

// The InputProbe of a variant under `policy`, calibrated as `table`, for inputs of `shapes` (rows aside); null when no layer computes
// in integers. Errors: as for compiling the variant.
absl::StatusOr<std::unique_ptr<InputProbe>> MakeInputProbe(const ModelFile& file, const quant::Policy& policy,
                                                           const quant::CalibrationTable& table,
                                                           const std::vector<Shape>& shapes);

}  // namespace precis

#endif  // PRECIS_ENGINE_INPUT_PROBE_H_
