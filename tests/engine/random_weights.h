#ifndef PRECIS_TESTS_ENGINE_RANDOM_WEIGHTS_H_
#define PRECIS_TESTS_ENGINE_RANDOM_WEIGHTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "onnx/onnx_pb.h"

namespace precis::testing {

struct Weight {
  std::string name;
  std::vector<int64_t> dims;
};

// Gives the model an f32 initializer per entry, uniform in ±1/sqrt(fan-in), so that signals neither grow nor die; vectors stay near 1/10.
void AddRandomWeights(onnx::ModelProto& model, const std::vector<Weight>& weights, uint32_t seed = 1);

}  // namespace precis::testing

#endif  // PRECIS_TESTS_ENGINE_RANDOM_WEIGHTS_H_
