#ifndef PRECIS_ENGINE_PIPELINE_H_
#define PRECIS_ENGINE_PIPELINE_H_

// The way of a network through the stages, for one set of concrete input shapes:
// import -> specialise -> passes -> (calibrate) -> quantize -> plan. Used by Model at load and by Variant for shapes met later.

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "engine/model.h"
#include "engine/plan/plan.h"
#include "engine/quant/quantize.h"

namespace precis {

// The model file behind all its variants. Weights are in memory only while something is being compiled: between loads the file is the
// store, and its size and modification time tell that it is still the same one. Thread-safe.
class ModelFile {
 public:
  static absl::StatusOr<std::shared_ptr<const ModelFile>> Open(const std::string& path);

  const std::string& path() const { return path_; }
  const std::vector<TensorSpec>& inputs() const { return inputs_; }
  const std::vector<TensorSpec>& outputs() const { return outputs_; }

  // The imported, symbolic graph. FailedPrecondition when the file has changed since Open.
  absl::StatusOr<ir::Graph> Graph() const;

 private:
  explicit ModelFile(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  std::string fingerprint_;
  std::vector<TensorSpec> inputs_, outputs_;
  mutable absl::Mutex mutex_;
  mutable std::unique_ptr<ir::Graph> first_ ABSL_GUARDED_BY(mutex_);  // Open's own import, given to the first taker
};

// Specialised and optimised for `shapes`; f32.
absl::StatusOr<ir::Graph> Optimise(const ModelFile& file, const std::vector<Shape>& shapes);

// InvalidArgument names the first tensor of `inputs` that is not what `specs` says, what was expected and what came.
absl::Status CheckInputs(const std::vector<TensorSpec>& specs, const std::vector<TensorView>& inputs);

// Concrete shapes for a plan that nobody has asked for yet: 1 for every unknown dimension.
std::vector<Shape> DefaultShapes(const std::vector<TensorSpec>& inputs);

// Runs calibration samples over an f32 plan of `graph`, which must outlive it.
std::unique_ptr<quant::Runner> MakeCalibrationRunner(const ir::Graph& graph, int threads);

// Gives `outputs` the dtypes and shapes of the plan's outputs, keeping those that fit, and `addresses` where they lie.
void BindOutputs(const plan::Plan& plan, std::vector<Tensor>* outputs, std::vector<void*>* addresses);

// Limits of this CPU that quantization respects.
quant::Target CpuTarget();

}  // namespace precis

#endif  // PRECIS_ENGINE_PIPELINE_H_
