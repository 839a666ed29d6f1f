#ifndef PRECIS_TESTS_QUANT_REFERENCE_RUNNER_H_
#define PRECIS_TESTS_QUANT_REFERENCE_RUNNER_H_

#include <vector>

#include "engine/quant/calibration_table.h"
#include "engine/quant/quantize.h"

namespace precis::quant {

// Runs calibration samples on the reference engine.
class ReferenceRunner : public Runner {
 public:
  explicit ReferenceRunner(const ir::Graph& graph) : graph_(graph) {}
  absl::Status Run(const std::vector<Tensor>& inputs, const std::vector<ir::ValueId>& watched,
                   absl::FunctionRef<void(const Observation&)> observe) override;

 private:
  const ir::Graph& graph_;
};

// Samples held in memory.
class MemorySamples : public SampleSource {
 public:
  std::vector<std::vector<Tensor>> samples;
  int64_t size() const override { return static_cast<int64_t>(samples.size()); }
  absl::StatusOr<std::vector<Tensor>> Sample(int64_t index) const override;
};

// `count` uniform random samples in [low, high) per graph input.
MemorySamples RandomSamples(const ir::Graph& graph, int count, float low = -1, float high = 1);

// Calibrates on random samples; aborts on an error.
std::shared_ptr<const CalibrationTable> CalibrateRandomly(const ir::Graph& graph, const Policy& policy, float low = -1,
                                                          float high = 1);

// Signal over noise, in dB, of the quantized graph's first output against `exact`'s, over random samples. The quantized graph is run
// on the reference engine with every s8/u8 value standing for the real number it means.
double SqnrDb(const ir::Graph& exact, const ir::Graph& quantized, float low = -1, float high = 1);

}  // namespace precis::quant

#endif  // PRECIS_TESTS_QUANT_REFERENCE_RUNNER_H_
