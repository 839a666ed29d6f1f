#ifndef PRECIS_ENGINE_CALIBRATION_H_
#define PRECIS_ENGINE_CALIBRATION_H_

// Where a load's calibration comes from: the samples of a folder, looked at now or remembered by the cache, or samples that came one by one,
// streamed by a client or as requests, and of which only the result is left.

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "engine/model.h"
#include "engine/pipeline.h"
#include "engine/quant/calibration_cache.h"
#include "engine/quant/calibration_table.h"
#include "engine/quant/quantize.h"

namespace precis {

struct Calibration {
  quant::CalibrationKey stream{};  // KeyOfStream
  quant::StreamNote note;
  std::shared_ptr<const quant::CalibrationTable> table;
  std::shared_ptr<const quant::SampleSource> samples;  // of a mixed policy; else null
};

// One load's. Not thread-safe.
class CalibrationSource {
 public:
  // Errors: FailedPrecondition when there are neither files nor streamed samples that the policy allows (says what to do); those of
  // quant::OpenSamples.
  static absl::StatusOr<std::unique_ptr<CalibrationSource>> Open(const ModelFile& file, const LoadOptions& options);
  virtual ~CalibrationSource() = default;

  // Shapes of a sample's inputs.
  const std::vector<Shape>& shapes() const { return shapes_; }
  // What calibration of `graph` (optimised for those shapes, f32) learned; `report` hears how much of it is done, 0 to 1. `info` gets what it
  // says of calibration. Errors: those of quant::Calibrate; FailedPrecondition when samples were streamed for another network.
  virtual absl::StatusOr<std::shared_ptr<const quant::CalibrationTable>> Table(const ir::Graph& graph,
                                                                               absl::FunctionRef<void(double)> report,
                                                                               VariantInfo* info) = 0;
  // The key of that table; with a cache, after Table.
  const quant::CalibrationKey& key() const { return key_; }
  // Samples to run networks on. FailedPrecondition when they were streamed and are gone.
  virtual absl::StatusOr<const quant::SampleSource*> Samples() const = 0;

 protected:
  std::vector<Shape> shapes_;
  quant::CalibrationKey key_{};
};

// See Model::StartCalibration.
absl::StatusOr<std::unique_ptr<CalibrationRun>> MakeCalibrationRun(std::shared_ptr<const ModelFile> file,
                                                                   const LoadOptions& options);

}  // namespace precis

#endif  // PRECIS_ENGINE_CALIBRATION_H_
