#ifndef PRECIS_ENGINE_EXEC_CONTEXT_H_
#define PRECIS_ENGINE_EXEC_CONTEXT_H_

// What changes per run of a plan: arena, oneDNN stream, memory objects with their argument lists. Made once per worker and plan; a run
// allocates nothing. Not thread-safe: one thread at a time.

#include <memory>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/plan/plan.h"

namespace precis::exec {

// A value seen during a calibration run: f32, dense under `strides` (elements, per logical dimension).
struct ObservedValue {
  ir::ValueId value;
  const float* data;
  const Shape& shape;
  const std::vector<int64_t>& strides;
};

class Context {
 public:
  explicit Context(std::shared_ptr<const plan::Plan> plan);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  const plan::Plan& plan() const { return *plan_; }

  // `inputs` and `outputs` are row-major tensors of the plan's ports, in order, with the plan's shapes and dtypes (the caller checks); they must
  // not overlap. Internal when oneDNN fails.
  absl::Status Run(std::span<const void* const> inputs, std::span<void* const> outputs);

  // The same, calling `between_steps` before each step: a run of low importance can wait there while others need the processor,
  // or end by returning false (Cancelled).
  absl::Status RunPaced(std::span<const void* const> inputs, std::span<void* const> outputs,
                        absl::FunctionRef<bool()> between_steps);

  // The same, showing every observed value as soon as it is computed.
  absl::Status RunObserved(std::span<const void* const> inputs, std::span<void* const> outputs,
                           absl::FunctionRef<void(const ObservedValue&)> observe);

  // The same, adding each step's duration to `step_us` (one entry per step of the plan).
  absl::Status RunTimed(std::span<const void* const> inputs, std::span<void* const> outputs,
                        std::vector<double>& step_us);

  // Median duration in microseconds of step `index` alone, over `repetitions` back-to-back executions on the buffers of the last run.
  absl::StatusOr<double> TimeStepAlone(size_t index, int repetitions);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::shared_ptr<const plan::Plan> plan_;
};

}  // namespace precis::exec

#endif  // PRECIS_ENGINE_EXEC_CONTEXT_H_
