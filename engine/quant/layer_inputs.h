#ifndef PRECIS_ENGINE_QUANT_LAYER_INPUTS_H_
#define PRECIS_ENGINE_QUANT_LAYER_INPUTS_H_

// Whether the activations that a quantized network meets are still those that it was calibrated on: per layer, the share of numbers
// beyond what its levels cover, and the distribution over intervals that calibration found equally full.

#include <string>
#include <vector>

#include "engine/ir/graph.h"
#include "engine/quant/calibration_table.h"
#include "engine/quant/policy.h"

namespace precis::quant {

// The input of an integer convolution or product, as the f32 network has it.
struct LayerInput {
  std::string layer;
  ir::ValueId value = ir::kNoValue;  // in the f32 graph
  // What the levels cover, with the half step beyond the outermost ones that still rounds to them.
  float low = 0, high = 0;
  std::vector<float>
      channel_high;  // instead of `high` for an equalized input, whose channels have levels of their own; else empty
  ValueStatistics::Wanted wanted;  // how calibration gathered its histogram
  std::vector<double> edges;       // ascending; interval i ends where i + 1 begins, the outer two are open
  std::vector<double>
      expected;  // share of calibration's numbers in each interval: one more than edges; empty: not known
};

// What one run shows of a layer's input. Sums add up.
struct LayerInputCounts {
  double elements = 0, clipped = 0;
  std::vector<double> shares;  // of this run's numbers per interval, as `expected`; empty when that is
};

// Every layer input of `quantized` (ApplyPolicy's result on `f32`) whose levels `table` fixed, each value once, under the first layer
// that reads it.
std::vector<LayerInput> LayerInputs(const ir::Graph& f32, const ir::Graph& quantized, const CalibrationTable& table,
                                    const Policy& policy);

LayerInputCounts CountLayerInput(const LayerInput& input, const Observation& observation);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_LAYER_INPUTS_H_
