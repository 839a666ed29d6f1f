#include "engine/quant/bias_correction.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace precis::quant {

std::vector<double> MeanShift(const Tensor& weights, const QuantizedWeights& quantized, bool transposed, int64_t groups,
                              const std::vector<double>& mean) {
  const Shape& shape = weights.shape();
  const int64_t outputs = shape[transposed ? 1 : 0], inputs = shape[transposed ? 0 : 1];
  const int64_t kernel = outputs * inputs == 0 ? 0 : weights.num_elements() / (outputs * inputs);
  const auto w = weights.As<float>();
  const std::vector<float> q = ir::RealValues(quantized.values, quantized.params);
  std::vector<double> shift(static_cast<size_t>(outputs), 0.0);
  const int64_t outputs_per_group = std::max<int64_t>(1, outputs / groups);
  const auto rounding = [&](size_t at) { return static_cast<double>(q[at] - w[at]); };
  size_t at = 0;
  if (transposed) {
    for (int64_t i = 0; i < inputs; ++i) {
      for (int64_t o = 0; o < outputs; ++o, ++at)
        shift[static_cast<size_t>(o)] += rounding(at) * mean[static_cast<size_t>(i)];
    }
    return shift;
  }
  for (int64_t o = 0; o < outputs; ++o) {
    for (int64_t i = 0; i < inputs; ++i) {
      double sum = 0;
      for (int64_t k = 0; k < kernel; ++k, ++at) sum += rounding(at);
      shift[static_cast<size_t>(o)] += sum * mean[static_cast<size_t>(o / outputs_per_group * inputs + i)];
    }
  }
  return shift;
}

bool SubtractFromBias(ir::Graph& graph, ir::NodeId id, const std::vector<double>& shift) {
  constexpr size_t kBiasSlot = 2;
  const ir::ValueId old = graph.Input(id, kBiasSlot);
  const auto channels = static_cast<int64_t>(shift.size());
  Tensor bias(DataType::kF32, {channels});
  auto values = bias.As<float>();
  if (old == ir::kNoValue) {
    std::fill(values.begin(), values.end(), 0.0f);
  } else {
    const Tensor* constant = graph.ConstantOrNull(old);
    if (constant == nullptr || constant->dtype() != DataType::kF32) return false;
    const auto from = constant->As<float>();
    const bool is_row = !constant->shape().empty() && constant->shape().back() == channels;
    if (from.size() == 1) {
      std::fill(values.begin(), values.end(), from[0]);
    } else if (is_row && from.size() == shift.size()) {
      std::copy(from.begin(), from.end(), values.begin());
    } else {
      return false;
    }
  }
  for (size_t o = 0; o < shift.size(); ++o) values[o] = static_cast<float>(static_cast<double>(values[o]) - shift[o]);
  graph.SetInput(id, kBiasSlot, graph.AddConstant(absl::StrCat(graph.node(id).name, ":bias"), std::move(bias)));
  return true;
}

}  // namespace precis::quant
