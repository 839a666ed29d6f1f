#ifndef PRECIS_ENGINE_QUANT_CALIBRATION_CACHE_H_
#define PRECIS_ENGINE_QUANT_CALIBRATION_CACHE_H_

// Calibration results on disk (engine/cache), so that a second load of the same network on the same data skips the runs.
//
// Two kinds of file: a table, whose key is a hash over the model's file, the optimised network with its weights, the policy's fields that
// calibration reads, and the samples; and, for samples that came as a stream and are gone, a note of which table was the
// last, whose key leaves the samples out.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/cache/cache_file.h"
#include "engine/cache/sha256.h"
#include "engine/ir/graph.h"
#include "engine/quant/calibration_table.h"
#include "engine/quant/policy.h"
#include "engine/quant/quantize.h"

namespace precis::quant {

using CalibrationKey = cache::Digest;

// Of all that a result depends on but the samples: `graph` (optimised, f32) was made from the file at `model_path`. Errors: NotFound when the
// file cannot be read.
absl::StatusOr<CalibrationKey> KeyOfNetwork(const std::string& model_path, const ir::Graph& graph,
                                            const Policy& policy);

// Samples in their order, hashed one by one.
class SamplesHash {
 public:
  void Add(const std::vector<Tensor>& sample);
  // The key of what calibration of this network learned from them. Ends it.
  CalibrationKey KeyWith(const CalibrationKey& network);

 private:
  cache::Sha256 hash_;
  int64_t samples_ = 0;
};

// The same in one call, of the samples that Calibrate(graph, policy, …, samples) looks at. Errors: those of KeyOfNetwork and of the samples.
absl::StatusOr<CalibrationKey> KeyOfCalibration(const std::string& model_path, const ir::Graph& graph,
                                                const Policy& policy, const SampleSource& samples);

// The version is also that of what calibration counts.
inline constexpr cache::Kind kCalibrationKind = {"calibration", "PRECISCT", ".calibration", 2};
// A table's file and back, as cache::Parse.
std::string FormatCalibration(const CalibrationKey& key, const CalibrationTable& table);
absl::StatusOr<std::shared_ptr<const CalibrationTable>> ParseCalibration(std::string_view bytes,
                                                                         const CalibrationKey& key);

// Path of the key's file.
std::string CalibrationPath(const std::string& folder, const CalibrationKey& key);

// NotFound when there is no such file; InvalidArgument, naming it, when it is not to be trusted.
absl::StatusOr<std::shared_ptr<const CalibrationTable>> ReadCalibration(const std::string& folder,
                                                                        const CalibrationKey& key);
// Unavailable when it cannot write.
absl::Status WriteCalibration(const std::string& folder, const CalibrationKey& key, const CalibrationTable& table);

// What was last streamed for one model and policy.
struct StreamNote {
  CalibrationKey network{};         // KeyOfNetwork at the samples' shapes
  CalibrationKey calibration{};     // of the table
  std::vector<Shape> input_shapes;  // of the samples
  bool operator==(const StreamNote&) const = default;
};
// Of the model's file and the policy's fields that calibration reads; live traffic is kept apart from what clients stream, and by how much of
// it was asked for. Errors: NotFound when the file cannot be read.
absl::StatusOr<CalibrationKey> KeyOfStream(const std::string& model_path, const Policy& policy);
// Errors as of ReadCalibration and WriteCalibration.
absl::StatusOr<StreamNote> ReadStreamNote(const std::string& folder, const CalibrationKey& stream);
absl::Status WriteStreamNote(const std::string& folder, const CalibrationKey& stream, const StreamNote& note);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_CALIBRATION_CACHE_H_
