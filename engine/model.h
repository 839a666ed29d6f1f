#ifndef PRECIS_ENGINE_MODEL_H_
#define PRECIS_ENGINE_MODEL_H_

// The engine's facade: open an ONNX file, load precision variants of it, run them. No gRPC inside; thread-safe where it says so.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/quant/policy.h"
#include "engine/search/report.h"
#include "engine/tensor/tensor.h"

namespace precis {

// An input or output of a model. Unknown dimensions are kUnknownDim; dim_names has the symbol ("batch") or "" per dimension.
struct TensorSpec {
  std::string name;
  DataType dtype = DataType::kF32;
  Shape shape;
  std::vector<std::string> dim_names;
};

// One executed layer of a plan, as DescribePlan and precis_bench show it.
struct Layer {
  std::string name, op, precision, implementation, note;
  bool slow_reference = false;
  int64_t weight_bytes = 0, activation_bytes = 0;
  double time_us = 0;  // filled by Session::Profile
};

struct VariantInfo {
  std::string name;                              // "int8"
  quant::Policy policy;                          // of a mixed variant: with the overrides that the search found
  std::shared_ptr<const search::Report> search;  // of a mixed variant that was searched for; else null
  int threads = 1;
  std::vector<Shape> input_shapes;        // compiled at load
  std::map<std::string, double> load_ms;  // phase -> milliseconds: parse, calibrate, search, quantize, compile, warm_up
  int64_t weight_bytes = 0;               // prepacked weights held in memory
  int64_t arena_bytes = 0;                // activations of one session, for the shapes compiled at load
  int64_t weight_bytes_per_run = 0, activation_bytes_per_run = 0;  // memory traffic of one run at those shapes
  int emulated_layers = 0;                                         // whose sums no CPU computes so: times mean nothing
  bool calibration_recalled = false;                               // read from LoadOptions::cache instead of measured
  bool search_recalled = false;                                    // the same of `search`
  std::string cache_warning;  // what was wrong with that folder or its files; the load went on without it
};

// What calibration learned from samples that are no files: CalibrationRun makes it, LoadOptions takes it. Immutable.
struct Calibration;
// The same without the samples that a mixed policy keeps.
std::shared_ptr<const Calibration> WithoutSamples(const std::shared_ptr<const Calibration>& calibration);
// Writes it to the folder that LoadOptions::cache names, for loads by other processes. OK and nothing done when that is empty.
absl::Status Remember(const Calibration& calibration, const std::string& cache);

struct LoadOptions {
  std::string variant = "fp32";
  quant::Policy policy;
  int threads = 1;              // threads a run uses; sessions must be used from one thread at a time
  std::string calibration_dir;  // holds .npy / .npz files; int8 and mixed need them, or a stream of samples
  // Of samples that were streamed or came as requests, for a policy that does not say kFiles; null, or of another policy: what the cache has
  // of the last ones.
  std::shared_ptr<const Calibration> streamed;
  // Folder that keeps results of calibration and of searches for mixed precision, made where it is missing; a load of the same file, samples
  // and policy (and, for searches, on such a machine and threads) takes them from there. Empty: none. A file that cannot be trusted, or
  // written, costs the work again and a warning in VariantInfo, never the load.
  std::string cache;
  std::vector<Shape>
      warm_shapes;  // concrete shapes to compile at load; empty: unknown dims become those of the calibration data, else 1
  int max_cached_plans = 16;  // plans kept per variant, one per concrete input shape; least recently used goes first
  std::function<void(const std::string& phase, double fraction)> progress;  // may be null; called on the loading thread
};

class Variant;

// Calibration by samples that come one at a time. Its memory does not grow with their number, but for a mixed policy, whose search runs them
// again: of these it keeps the first 256 MiB. Not thread-safe.
class CalibrationRun {
 public:
  virtual ~CalibrationRun() = default;
  // `inputs` in the order of Model::inputs(); those of the first sample set the shapes. Errors: InvalidArgument names the sample by its number
  // from 0, the input, what was expected and what came, also for NaN and infinity; the sample is not counted then.
  virtual absl::Status Add(const std::vector<TensorView>& inputs) = 0;
  virtual int64_t samples() const = 0;
  // The policy's sample limit is reached.
  virtual bool full() const = 0;
  // Ends it. FailedPrecondition without samples.
  virtual absl::StatusOr<std::shared_ptr<const Calibration>> Finish() = 0;
};

// A parsed model file. Thread-safe: variants may be loaded concurrently.
class Model {
 public:
  virtual ~Model() = default;
  // Errors: as onnx_import::ImportFile.
  static absl::StatusOr<std::shared_ptr<const Model>> Open(const std::string& path);

  virtual const std::string& path() const = 0;
  virtual const std::vector<TensorSpec>& inputs() const = 0;
  virtual const std::vector<TensorSpec>& outputs() const = 0;

  // Quantizes and compiles. Errors: FailedPrecondition when int8 or mixed is asked for and there is no calibration data (says where to put it);
  // InvalidArgument / Unimplemented name nodes; ResourceExhausted when memory does not suffice.
  virtual absl::StatusOr<std::shared_ptr<const Variant>> LoadVariant(const LoadOptions& options) const = 0;

  // Whether LoadVariant needs no more samples than it was given: it finds what it needs in `streamed` or in the cache, for a mixed policy
  // also what the search found. Only for policies whose calibration is a stream's or live traffic's.
  virtual bool RecallsCalibration(const LoadOptions& options) const = 0;
  // Calibration for a later LoadVariant under the same policy, of which `options` has policy and threads. The run may
  // outlive the model. Errors: InvalidArgument when nothing in the policy needs calibration, or an override names no layer.
  virtual absl::StatusOr<std::unique_ptr<CalibrationRun>> StartCalibration(const LoadOptions& options) const = 0;
};

// One worker's execution state of a variant: arena, stream, scratchpad per plan. Not thread-safe: one thread at a time.
class Session {
 public:
  virtual ~Session() = default;
  // `inputs` in the order of Variant::inputs(), dense row-major; outputs in the order of Variant::outputs(). The output tensors are reused
  // when their dtype and shape fit. A new combination of input shapes compiles a plan first (cached).
  // Errors: InvalidArgument names the input, what was expected and what came.
  virtual absl::Status Run(const std::vector<TensorView>& inputs, std::vector<Tensor>* outputs) = 0;
  // The same for work of low importance: calls `between_layers` before each layer, where it may wait while others run, or
  // return false to end the run (Cancelled).
  virtual absl::Status RunPaced(const std::vector<TensorView>& inputs, std::vector<Tensor>* outputs,
                                absl::FunctionRef<bool()> between_layers) = 0;
  // Runs once with per-layer times, after `warm_up` runs; median of `repetitions`.
  virtual absl::StatusOr<std::vector<Layer>> Profile(const std::vector<TensorView>& inputs, int warm_up,
                                                     int repetitions) = 0;
  // Sum over the plan's oneDNN primitives of each one's median time alone on warm buffers, milliseconds: the floor of this plan.
  virtual absl::StatusOr<double> FloorMilliseconds(const std::vector<TensorView>& inputs) = 0;
};

// An integer layer's input, as calibration saw it.
struct LayerInput {
  std::string layer;
  std::vector<double> expected;  // share of calibration's numbers in each of a few intervals; empty: not known
};
// The same input on other data. Sums add up.
struct LayerInputCounts {
  double elements = 0, clipped = 0;  // clipped: beyond what the layer's levels cover
  std::vector<double> shares;        // of this data's numbers, in the same intervals
};

// Shows whether the numbers inside a quantized variant are still those that it was calibrated on, by running the f32 network and
// looking at them before they are rounded. Not thread-safe.
class InputProbe {
 public:
  virtual ~InputProbe() = default;
  virtual const std::vector<LayerInput>& layers() const = 0;
  // One run on `inputs`, of whose first dimensions only as many rows are read as the variant was compiled for at load; one entry per
  // layer. `between_layers` is called between layers; a run that it would end goes on to its own. Errors: InvalidArgument for
  // inputs of other shapes than those.
  virtual absl::StatusOr<std::vector<LayerInputCounts>> Run(const std::vector<TensorView>& inputs,
                                                            absl::FunctionRef<bool()> between_layers) = 0;
};

// A model at one precision, compiled. Immutable and thread-safe.
class Variant {
 public:
  virtual ~Variant() = default;
  virtual const VariantInfo& info() const = 0;
  virtual const std::vector<TensorSpec>& inputs() const = 0;
  virtual const std::vector<TensorSpec>& outputs() const = 0;
  virtual absl::StatusOr<std::unique_ptr<Session>> NewSession() const = 0;
  // A session whose runs use one thread, whatever the variant was compiled for. Shapes that the variant has no such plan for are compiled for
  // sessions of this kind alone, with weights of their own: requests never wait for that.
  virtual absl::StatusOr<std::unique_ptr<Session>> NewBackgroundSession() const = 0;
  // Null when calibration decided nothing in this variant. Compiles an f32 plan of one thread, with f32 weights of its own.
  virtual absl::StatusOr<std::unique_ptr<InputProbe>> NewInputProbe() const = 0;
  // Layers of the plan for the given shapes (empty: those compiled at load), without times.
  virtual absl::StatusOr<std::vector<Layer>> DescribePlan(const std::vector<Shape>& input_shapes) const = 0;
  // Forgets the plan for these shapes, if there is one; what runs it keeps it. A later run compiles it again.
  virtual void DropPlan(const std::vector<Shape>& input_shapes) const = 0;
};

// CPU facts for build_info and logs.
std::string CpuIsaName();     // oneDNN's effective ISA: "AVX512_CORE_BF16"…
std::string OneDnnVersion();  // "3.7.2"

}  // namespace precis

#endif  // PRECIS_ENGINE_MODEL_H_
