#ifndef PRECIS_ENGINE_SEARCH_MEASURE_H_
#define PRECIS_ENGINE_SEARCH_MEASURE_H_

// Accuracy and time of compiled networks against the network in f32, on the same samples and in the same minutes.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/ir/graph.h"
#include "engine/quant/quantize.h"
#include "engine/search/compiler.h"
#include "engine/search/cost_model.h"

namespace precis::search {

// Outputs of one network against f32's.
struct Score {
  double noise = 0;       // energy of the error over that of the signal, of the worst output; at most kMostNoise
  double noise_high = 0;  // upper end of its 95 % interval
  std::optional<double> disagreement;  // share of predictions that differ; none where no output holds class scores
};

inline constexpr double kMostNoise = 1e6;  // stands for outputs that are not finite

// Not thread-safe.
class Measure {
 public:
  // Compiles the f32 network and runs it over the samples: as many as take a bounded time and memory, spread over all of them
  // (`sample_limit` of them, where above 0). `graph` must outlive it. Errors: FailedPrecondition without samples; those of the compiler.
  static absl::StatusOr<std::unique_ptr<Measure>> Create(const ir::Graph& graph, Compiler& compiler,
                                                         const quant::SampleSource& source, int64_t sample_limit);

  int64_t samples() const { return static_cast<int64_t>(samples_.size()); }
  // Time of one run of the f32 network.
  double reference_us() const { return reference_us_; }
  CompiledNetwork& reference() const { return *reference_; }

  // Index of the first output that holds class scores ([batch, classes], f32); -1: none does.
  static int ClassOutput(const ir::Graph& graph);

  // Runs `network` over `count` of the samples, spread over all. `profile`, where wanted, gets each layer's least time.
  absl::StatusOr<Score> ScoreOf(CompiledNetwork& network, int64_t count, Profile* profile = nullptr) const;

  // Median time of a run in microseconds: reference_us times the ratio in runs that alternate with the f32 network's, as a busy machine slows
  // both alike.
  absl::StatusOr<double> TimeOf(CompiledNetwork& network) const;

  // Least time of each layer over runs in which the networks alternate.
  absl::StatusOr<std::vector<Profile>> ProfileAll(const std::vector<CompiledNetwork*>& networks) const;

 private:
  explicit Measure(const ir::Graph& graph) : graph_(graph), class_output_(ClassOutput(graph)) {}
  absl::Status Prepare(Compiler& compiler, const quant::SampleSource& source, int64_t sample_limit);
  int Timings() const;

  const ir::Graph& graph_;
  const int class_output_;
  std::unique_ptr<CompiledNetwork> reference_;
  double reference_us_ = 0;
  std::vector<std::vector<Tensor>> samples_;
  std::vector<std::vector<std::vector<float>>> wanted_;  // f32's outputs per sample; empty for outputs of other types
};

}  // namespace precis::search

#endif  // PRECIS_ENGINE_SEARCH_MEASURE_H_
