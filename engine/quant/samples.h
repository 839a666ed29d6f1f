#ifndef PRECIS_ENGINE_QUANT_SAMPLES_H_
#define PRECIS_ENGINE_QUANT_SAMPLES_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/quant/quantize.h"
#include "engine/tensor/tensor.h"

namespace precis::quant {

// An input that samples must feed; unknown dimensions are kUnknownDim.
struct SampleInput {
  std::string name;
  DataType dtype = DataType::kF32;
  Shape shape;
};

// Reads a model's calibration folder: .npy files for a model of one input, .npz files with arrays named like the inputs for any model. In
// each array the first dimension counts samples, and files follow each other in the order of their names. A sample is one index of that
// dimension, kept as a dimension of 1 (or of the model's own size, where the model fixes another batch: then that many rows make a sample).
// Float arrays of any width fit f32 inputs, integer arrays of any width integer inputs.
// Errors: FailedPrecondition when the folder is missing or holds no samples (says where to put them); InvalidArgument names the file, the
// input, and what was expected and what came.
absl::StatusOr<std::unique_ptr<SampleSource>> OpenSamples(const std::string& folder,
                                                          const std::vector<SampleInput>& inputs);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_SAMPLES_H_
