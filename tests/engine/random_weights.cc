#include "tests/engine/random_weights.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace precis::testing {

void AddRandomWeights(onnx::ModelProto& model, const std::vector<Weight>& weights, uint32_t seed) {
  std::mt19937 random(seed);
  for (const Weight& w : weights) {
    onnx::TensorProto* t = model.mutable_graph()->add_initializer();
    t->set_name(w.name);
    t->set_data_type(onnx::TensorProto::FLOAT);
    int64_t count = 1;
    for (int64_t d : w.dims) {
      t->add_dims(d);
      count *= d;
    }
    // Convolutions [O,I,k…]: everything but O. Products [K,N]: K.
    const int64_t fan_in = w.dims.size() < 2 ? 100 : w.dims.size() == 2 ? w.dims[0] : count / w.dims[0];
    const float limit = 1.0f / std::sqrt(static_cast<float>(std::max<int64_t>(1, fan_in)));
    std::uniform_real_distribution<float> value(-limit, limit);
    for (int64_t i = 0; i < count; ++i) t->add_float_data(value(random));
  }
}

}  // namespace precis::testing
