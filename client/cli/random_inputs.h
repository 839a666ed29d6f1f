#ifndef PRECIS_CLIENT_CLI_RANDOM_INPUTS_H_
#define PRECIS_CLIENT_CLI_RANDOM_INPUTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "precis/types.h"

namespace precis::cli {

using ShapesByName = std::map<std::string, std::vector<int64_t>>;

// "name=1,3,224,224" flags by name. UsageError when one is malformed.
absl::StatusOr<ShapesByName> ParseShapes(const std::vector<std::string>& flags);

// One request's inputs for a model: floats uniform in [0, 1), integers and bools 0 or 1. An input has the shape that `shapes`
// gives it, else the model's with 1 for each size that the model leaves open. UNIMPLEMENTED: an input of a type that is not
// dense numbers (BYTES); UsageError: `shapes` names no input of the model, or a shape is too big.
absl::StatusOr<std::vector<client::Tensor>> RandomInputs(const client::ModelMetadata& metadata,
                                                         const ShapesByName& shapes, uint32_t seed);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_RANDOM_INPUTS_H_
