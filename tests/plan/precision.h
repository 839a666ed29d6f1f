#ifndef PRECIS_TESTS_PLAN_PRECISION_H_
#define PRECIS_TESTS_PLAN_PRECISION_H_

// Takes a small f32 graph to another precision in the way a quantizer would, together with the f32 graph that says what it must compute: the
// same operators on rounded weights, with every value rounded where the low-precision graph stores it.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/ir/graph.h"

namespace precis::testing {

enum class Precision { kF32, kBF16, kF16, kU8, kS8 };
std::string NameOf(Precision precision);
inline bool IsQuantized(Precision p) { return p == Precision::kU8 || p == Precision::kS8; }

struct Lowered {
  ir::Graph graph;     // f32 ports with Converts behind and before them, everything between at the precision
  ir::Graph expected;  // f32; its outputs are what `graph` may differ from by rounding alone
  // Per output: the distance of neighbouring numbers, `step` for quantized values, else a fraction of the value.
  std::vector<float> steps;
  float relative_step = 0.0f;
};

// `inputs` give the ranges of quantized values. Node inputs that are no real numbers (shapes, indices, masks) stay as they are; biases and
// operands of post-ops that are constants stay f32. kU8: activations u8 with zero points; kS8: symmetric s8; weights s8 per output channel.
absl::StatusOr<Lowered> ToPrecision(const ir::Graph& graph, Precision precision, const std::vector<Tensor>& inputs);

// Builds the plan and runs it once.
absl::StatusOr<std::vector<Tensor>> RunPlan(const ir::Graph& graph, const std::vector<Tensor>& inputs, int threads = 1);

}  // namespace precis::testing

#endif  // PRECIS_TESTS_PLAN_PRECISION_H_
