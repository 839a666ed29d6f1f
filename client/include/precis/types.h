#ifndef PRECIS_TYPES_H_
#define PRECIS_TYPES_H_

// Plain values that precis::Client takes and gives. Field by field they are the messages of the Open Inference Protocol
// (inference.GRPCInferenceService) and of precis.v1.PrecisionService, without Protobuf.
//
// A model is named `net` or, at one precision, `net@int8`. An empty version means the highest served one.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "precis/tensor.h"

namespace precis::client {

using Parameter = std::variant<bool, int64_t, double, std::string>;

struct InferRequest {
  std::string model;
  std::string version;
  std::string id;  // comes back in the response
  std::vector<Tensor> inputs;
  std::vector<std::string> outputs;  // names wanted; empty: all
  std::map<std::string, Parameter> parameters;
};

struct InferResponse {
  std::string model;
  std::string version;
  std::string id;
  std::vector<Tensor> outputs;
  std::map<std::string, Parameter> parameters;

  // The output of that name; null when there is none.
  const Tensor* Output(const std::string& name) const {
    for (const Tensor& output : outputs) {
      if (output.name == name) return &output;
    }
    return nullptr;
  }
};

struct ServerMetadata {
  std::string name, version;
  std::vector<std::string> extensions;
};

struct TensorMetadata {
  std::string name, datatype;
  std::vector<int64_t> shape;  // -1: any size
};

struct ModelMetadata {
  std::string name, platform;
  std::vector<std::string> versions;
  std::vector<TensorMetadata> inputs, outputs;
};

struct ModelIndexEntry {
  std::string name, version;
  std::string state;   // READY, LOADING, UNLOADING, UNAVAILABLE; empty: never loaded
  std::string reason;  // why it is not ready
};

// Calls and the time they took together.
struct CallTime {
  uint64_t count = 0;
  uint64_t total_ns = 0;
};

struct ModelStatistics {
  std::string name, version;
  uint64_t inference_count = 0;  // batch items
  uint64_t execution_count = 0;  // runs of the model
  CallTime success, fail, queue, compute_input, compute_infer, compute_output;
};

// How an image becomes a model's input: value = (pixel * scale - mean) / std, per channel.
struct Preprocessing {
  enum class Layout { kNchw, kNhwc };
  enum class Color { kUnspecified, kRgb, kBgr, kGray };  // kUnspecified: gray for one channel, else RGB
  std::string input;                                     // empty: the model's only input
  std::vector<float> mean;                               // per channel, or one for all; empty: 0
  std::vector<float> std;                                // the same; empty: 1
  double scale = 1.0 / 255;
  Layout layout = Layout::kNchw;
  Color color = Color::kUnspecified;
};

struct VariantStatus {
  std::string name;
  std::string state;                      // LOADING, READY, UNLOADING, FAILED, UNLOADED
  std::string reason;                     // why it is not READY
  std::string precision;                  // FP32, BF16, FP16, INT8, MIXED
  std::map<std::string, double> load_ms;  // by phase: parse, calibrate, search, quantize, compile, warm_up
  int64_t weight_bytes = 0;               // held in memory
  int64_t arena_bytes = 0;                // activations of one worker
  int64_t weight_bytes_per_run = 0, activation_bytes_per_run = 0;  // memory traffic of one run
  int threads = 0;                                                 // of one worker
  int workers = 0;
  uint64_t inference_count = 0;  // since load
  // Memory traffic since the server started: computed from the plan, and counted by the CPU where it can.
  uint64_t weight_bytes_moved = 0, activation_bytes_moved = 0;
  std::optional<uint64_t> measured_bytes_moved;
  uint64_t items_run = 0;      // by those runs
  double compute_seconds = 0;  // of the runs, summed over workers
  int emulated_layers = 0;     // whose sums are emulated: above 0, times are the emulation's, not those of any hardware
};

// How requests for the plain model name are spread over its variants. Empty: the default variant answers all.
struct Traffic {
  struct Share {
    std::string variant;
    double percent = 0;  // all of them sum to 100
  };
  struct Shadow {
    std::string variant;
    double rate = 0;  // of requests, in [0, 1]
  };
  std::vector<Share> split;
  std::string sticky_parameter;  // request parameter whose equal values go to the same variant; empty: none
  std::vector<Shadow> shadow;
};

// A measured value with its 95 % interval, where there is one.
struct DriftEstimate {
  double value = 0;
  std::optional<double> low, high;
};
struct DriftMeasures {
  DriftEstimate sqnr_db;         // infinite when nothing differs
  DriftEstimate cosine;          // mean over the samples
  DriftEstimate top1_agreement;  // share of equal predictions
  double max_abs_error = 0;
};
struct DriftOutput {
  std::string name;
  DriftMeasures measures;
};
// The input of a layer that computes in integers, held against calibration.
struct DriftLayer {
  std::string name;
  double clipped_ratio = 0;   // share of numbers beyond the levels
  std::optional<double> psi;  // population stability index
};
struct DriftWindow {
  double seconds = 0;  // how far it reaches back; 0: to the load
  int64_t samples = 0;
  DriftMeasures measures;            // all outputs together; without samples nothing
  std::vector<DriftOutput> outputs;  // each by itself
  int64_t layer_samples = 0;         // behind `layers`
  std::vector<DriftLayer> layers;
};
// How far a variant's answers to live requests are from the baseline's.
struct Drift {
  std::string variant, baseline;
  std::vector<DriftWindow> windows;  // 1 minute, 10 minutes, since the load
  int64_t dropped_samples = 0;       // requests that were sampled, and found no spare capacity
  bool alarm = false;
  std::string alarm_reason;
};

// One version of a model.
struct ModelVariants {
  std::string name, version;
  std::string default_variant;  // what the plain name means: that of the largest share; empty: nothing is loaded
  std::vector<VariantStatus> variants;
  std::vector<std::string> policies;           // variant names that LoadVariant knows for this model
  std::optional<Preprocessing> preprocessing;  // from the model's precision.textproto
  Traffic traffic;                             // of all versions
  double peak_bandwidth_bytes_per_second = 0;  // of the server's memory; 0: not known
};

struct LoadVariantRequest {
  std::string model, version, variant;
  std::string policy;  // precis.v1.PrecisionPolicy as textproto; empty: the policy that the variant's name stands for
  std::map<std::string, std::vector<int64_t>> warm_shapes;  // by input; empty: the server chooses
  bool recalibrate =
      false;  // with calibration.source LIVE_TRAFFIC: on new requests, whatever was learned from earlier ones
};

struct CalibrateRequest {
  std::string model, version, variant;
  std::string policy;  // as LoadVariantRequest's; its calibration source is the stream either way
};

struct Calibrated {
  int64_t samples = 0;    // that the variant was calibrated on: the policy's limit at most
  VariantStatus variant;  // as loaded
};

struct LoadProgress {
  std::string phase;      // QUEUED, PARSE, CALIBRATE, SEARCH, QUANTIZE, COMPILE, WARM_UP, DONE
  double fraction = 0;    // of this phase, 0 to 1
  double elapsed_ms = 0;  // since the load began
  std::string detail;     // what a phase that takes long is at: "37 of 100 live samples"
};

struct PlanLayer {
  std::string name, op, precision;
  std::string implementation;   // as oneDNN names it: "brgconv:avx512_core_amx"
  std::string note;             // why the layer is not in the precision asked for
  bool slow_reference = false;  // a reference implementation in a heavy layer
  int64_t weight_bytes = 0, activation_bytes = 0;
  double time_us = 0;                   // 0: not measured
  std::optional<double> error_sqnr_db;  // of the outputs, with this layer alone quantized; where it was measured
};

// How the precisions of a mixed variant were found; precis.v1.PrecisionSearch says what each number means.
struct PrecisionSearch {
  struct Option {
    std::string precision;  // FP32, BF16, FP16, INT8
    double time_us = 0;
    int64_t weight_bytes = 0;
  };
  struct Layer {
    std::string name, chosen;
    std::optional<double> sqnr_db, top1_disagreement;
    std::vector<Option> options;
  };
  struct Point {
    std::map<std::string, int> layers;  // how many at each precision
    std::optional<double> sqnr_db;      // none: outputs equal to fp32's
    std::optional<double> sqnr_db_low;  // lower end of its 95 % interval: what the budget is held against
    std::optional<double> top1_disagreement, expected_sqnr_db;
    double expected_us = 0, time_us = 0;
    int64_t weight_bytes = 0;
    bool meets_budget = false, pareto = false, chosen = false;
  };
  std::optional<double> min_sqnr_db, max_top1_disagreement;  // the budget
  std::string objective;                                     // LATENCY, MEMORY
  std::string coarsest;
  int64_t samples = 0, sensitivity_samples = 0;
  bool budget_met = false;
  std::string reason;
  std::vector<Layer> layers;
  std::vector<Point> points;  // by falling SQNR
};

struct Plan {
  std::string variant;
  std::vector<PlanLayer> layers;
  std::optional<PrecisionSearch> search;  // of a mixed variant
};

struct PlanRequest {
  std::string model, version, variant;
  std::map<std::string, std::vector<int64_t>> shapes;  // by input; empty: those compiled at load
  int repetitions = 0;  // above 0: each layer's median time over so many runs on zeros; at most 1000
};

}  // namespace precis::client

#endif  // PRECIS_TYPES_H_
