#include "tests/quant/reference_runner.h"

#include <cmath>
#include <random>

#include "absl/log/check.h"
#include "engine/base/affine.h"
#include "engine/base/float16.h"
#include "tests/reference/reference.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

// Rounds `x` to what the value can hold.
float Representable(float x, const ir::Value& v, size_t channel) {
  if (v.dtype == DataType::kF16) return F16ToF32(F32ToF16(x));
  if (v.dtype == DataType::kBF16) return BF16ToF32(F32ToBF16(x));
  if (!v.quant) return x;
  const bool is_signed = v.dtype == DataType::kS8;
  const float scale = v.quant->scales[v.quant->scales.size() == 1 ? 0 : channel];
  const int32_t zero = v.quant->zero_point();
  return DequantizeAffine(QuantizeAffine(x, scale, zero, is_signed ? -128 : 0, is_signed ? 127 : 255), scale, zero);
}

// The graph in f32: constants dequantized or widened, and the values to be rounded after they are computed.
ir::Graph AsFloat(const ir::Graph& quantized) {
  ir::Graph g = quantized;
  for (ir::ValueId id = 0; id < g.num_values(); ++id) {
    ir::Value& v = g.value(id);
    const bool narrow = v.dtype == DataType::kF16 || v.dtype == DataType::kBF16;
    if (v.constant != nullptr && (narrow || v.quant)) {
      const Tensor& from = *v.constant;
      Tensor to(DataType::kF32, from.shape());
      const std::vector<float> values = v.quant ? ir::RealValues(from, *v.quant) : ToFloat(from.view());
      std::copy(values.begin(), values.end(), to.As<float>().begin());
      v.constant = std::make_shared<const Tensor>(std::move(to));
    }
    if (narrow || v.quant) v.dtype = DataType::kF32;
    v.quant.reset();
  }
  for (ir::NodeId id = 0; id < g.num_node_slots(); ++id) {
    if (g.alive(id) && std::holds_alternative<ir::Convert>(g.node(id).op)) g.node(id).op = ir::Identity{};
  }
  return g;
}

// Node by node, rounding each result. A node leaves the graph once its results are constants: what follows reads those.
Tensor RunQuantized(const ir::Graph& quantized, const std::vector<Tensor>& inputs) {
  ir::Graph g = AsFloat(quantized);
  const auto order = g.TopologicalOrder();
  CHECK_OK(order.status());
  for (ir::NodeId id : *order) {
    std::vector<ir::ValueId> outputs = g.node(id).outputs;
    std::erase(outputs, ir::kNoValue);
    auto results = reference::RunTo(g, inputs, outputs);
    CHECK_OK(results.status());
    g.RemoveNode(id);
    for (size_t i = 0; i < outputs.size(); ++i) {
      Tensor& t = (*results)[i];
      if (t.dtype() == DataType::kF32) {
        for (float& x : t.As<float>()) x = Representable(x, quantized.value(outputs[i]), 0);
      }
      g.MakeConstant(outputs[i], std::move(t));
    }
  }
  return g.value(g.outputs[0].value).constant->Clone();
}

}  // namespace

absl::Status ReferenceRunner::Run(const std::vector<Tensor>& inputs, const std::vector<ir::ValueId>& watched,
                                  absl::FunctionRef<void(const Observation&)> observe) {
  auto values = reference::RunTo(graph_, inputs, watched);
  if (!values.ok()) return values.status();
  for (size_t i = 0; i < watched.size(); ++i) {
    const Tensor& t = (*values)[i];
    const std::vector<int64_t> strides = RowMajorStrides(t.shape());
    observe({watched[i], t.As<float>().data(), t.shape(), strides});
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Tensor>> MemorySamples::Sample(int64_t index) const {
  std::vector<Tensor> copy;
  for (const Tensor& t : samples[static_cast<size_t>(index)]) copy.push_back(t.Clone());
  return copy;
}

MemorySamples RandomSamples(const ir::Graph& graph, int count, float low, float high) {
  std::mt19937 random(42);
  MemorySamples samples;
  for (int i = 0; i < count; ++i) samples.samples.push_back(testing::RandomInputs(graph, random, low, high));
  return samples;
}

std::shared_ptr<const CalibrationTable> CalibrateRandomly(const ir::Graph& graph, const Policy& policy, float low,
                                                          float high) {
  ReferenceRunner runner(graph);
  auto table = Calibrate(graph, policy, runner, RandomSamples(graph, 20, low, high), nullptr);
  CHECK_OK(table.status());
  return *table;
}

double SqnrDb(const ir::Graph& exact, const ir::Graph& quantized, float low, float high) {
  double signal = 0, noise = 0;
  for (const auto& inputs : RandomSamples(exact, 10, low, high).samples) {
    const auto want = reference::Run(exact, inputs);
    CHECK_OK(want.status());
    const Tensor got = RunQuantized(quantized, inputs);
    const auto a = want->front().As<float>(), b = got.As<float>();
    CHECK_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      signal += static_cast<double>(a[i]) * static_cast<double>(a[i]);
      noise += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    }
  }
  return 10 * std::log10(signal / std::max(noise, 1e-300));
}

}  // namespace precis::quant
