#ifndef PRECIS_ENGINE_QUANT_QUANTIZE_H_
#define PRECIS_ENGINE_QUANT_QUANTIZE_H_

// Turns an optimised f32 graph into one at the policy's precision: calibrates where the policy needs it, then sets dtypes and QuantParams
// of values, rewrites weights, corrects biases and inserts Convert nodes at precision borders. Every node left in f32 says why in
// Node::precision_note. One set of rules for every network; nothing looks at a model's name.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ir/graph.h"
#include "engine/quant/policy.h"

namespace precis::quant {

// Elements of a value during a calibration run: f32, dense in memory, in the dimension order that `strides` says (logical dims first
// to last; NCHW values usually come as NHWC memory).
struct Observation {
  ir::ValueId value;
  const float* data;
  const Shape& shape;
  const std::vector<int64_t>& strides;
};

// What quantization needs to run a network without knowing how networks run. model.h implements it over an f32 plan of the same graph.
class Runner {
 public:
  virtual ~Runner() = default;
  // Runs one calibration sample (batch of 1, or as the file has it) and calls `observe` for each value of `watched`, in execution order.
  virtual absl::Status Run(const std::vector<Tensor>& inputs, const std::vector<ir::ValueId>& watched,
                           absl::FunctionRef<void(const Observation&)> observe) = 0;
};

// Calibration samples: one vector of input tensors per sample, in graph-input order.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual int64_t size() const = 0;
  virtual absl::StatusOr<std::vector<Tensor>> Sample(int64_t index) const = 0;
};

// How many of the samples Calibrate looks at.
int64_t SampleCount(const Policy& policy, const SampleSource& samples);

// Per-value result of calibration, by value name (stable over input shapes), so that other shapes of the same model reuse it.
class CalibrationTable;

// The instruction set's limits that quantization must respect.
struct Target {
  bool has_vnni = true;  // false: s16 saturation, weights are kept in [-64, 63]
  bool has_bf16 = true;  // f32 arithmetic otherwise; informative
};

using Progress = std::function<void(const std::string& phase, double fraction)>;

// Calibration of a network by samples that come one at a time; what it holds does not grow with their number. Not thread-safe.
class Calibrator {
 public:
  // `graph` (optimised, f32), `policy` and `runner` must outlive it. Errors: those of the graph.
  static absl::StatusOr<std::unique_ptr<Calibrator>> Create(const ir::Graph& graph, const Policy& policy,
                                                            Runner& runner);
  ~Calibrator();

  // Errors: InvalidArgument when a tensor is not of the graph's type and shape or holds NaN or infinity (names the sample by its number
  // from 0, and the input): the sample is not counted, and others may follow. Those of the runner.
  absl::Status Add(const std::vector<Tensor>& sample);
  int64_t samples() const;
  // Ends it. FailedPrecondition when there were no samples; errors of the runner.
  absl::StatusOr<std::shared_ptr<const CalibrationTable>> Finish();

 private:
  class Impl;
  explicit Calibrator(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

// Errors: InvalidArgument names an override whose pattern matches no convolution or matrix product of `graph` (optimised, f32).
absl::Status CheckOverrides(const ir::Graph& graph, const Policy& policy);

// The same over samples that are all there. Errors: those of Calibrator and of the samples.
absl::StatusOr<std::shared_ptr<const CalibrationTable>> Calibrate(const ir::Graph& graph, const Policy& policy,
                                                                  Runner& runner, const SampleSource& samples,
                                                                  const Progress& progress);

// Rewrites `graph` in place to the policy's precisions: that of each convolution and matrix product by PolicyOfLayer, the operators
// between them as their readers take it. A layer of a mixed variant that no override names is f32. Sums that the policy wants emulated are
// marked in ir::Node::accumulation. `table` may be null unless NeedsCalibration.
absl::Status ApplyPolicy(ir::Graph& graph, const Policy& policy, const CalibrationTable* table, const Target& target);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_QUANTIZE_H_
