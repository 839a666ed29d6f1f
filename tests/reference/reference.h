#ifndef PRECIS_TESTS_REFERENCE_REFERENCE_H_
#define PRECIS_TESTS_REFERENCE_REFERENCE_H_

// The engine that every other engine must match: executes a specialised graph node by node, in the most obvious way. Arithmetic is done
// in double and stored in the type of the value; pure data movement runs on the plain kernels. Slow on purpose; linked only into tests.

#include <vector>

#include "absl/status/statusor.h"
#include "engine/ir/graph.h"
#include "engine/tensor/tensor.h"

namespace precis::reference {

// Outputs of `graph` (specialised, f32 or integer values without QuantParams; post_ops are applied) for `inputs`, one per graph input, in
// order. Errors: InvalidArgument when an input does not fit its value; Unimplemented names the node that has no reference kernel.
absl::StatusOr<std::vector<Tensor>> Run(const ir::Graph& graph, const std::vector<Tensor>& inputs);

// The same, returning the values listed in `wanted` (any computed values, constants or inputs).
absl::StatusOr<std::vector<Tensor>> RunTo(const ir::Graph& graph, const std::vector<Tensor>& inputs,
                                          const std::vector<ir::ValueId>& wanted);

}  // namespace precis::reference

#endif  // PRECIS_TESTS_REFERENCE_REFERENCE_H_
