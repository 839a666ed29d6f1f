// Fake quantization (Jacob et al. 2018, arXiv:1712.05877, section 3): quantize-dequantize pairs around f32 layers.
#include "engine/quant/simulate.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"

namespace precis::quant {
namespace {

bool IsConvert(const ir::Graph& graph, ir::NodeId id) {
  return id != ir::kNoNode && std::holds_alternative<ir::Convert>(graph.node(id).op);
}

// The constant's readers get its real numbers.
void Widen(ir::Graph& graph, ir::ValueId v) {
  const ir::Value& levels = graph.value(v);
  Tensor real(DataType::kF32, levels.shape);
  const std::vector<float> values = ir::RealValues(*levels.constant, *levels.quant);
  std::copy(values.begin(), values.end(), real.As<float>().begin());
  graph.ReplaceUses(v, graph.AddConstant(absl::StrCat(levels.name, ":f32"), std::move(real)));
}

// producer -> f32 -> Convert -> levels -> Convert -> f32 -> readers.
void QuantizeAndDequantize(ir::Graph& graph, ir::ValueId v) {
  const std::string name = graph.value(v).name;
  const Shape shape = graph.value(v).shape;
  const std::vector<ir::NodeId> readers = graph.consumers(v);
  if (!readers.empty()) {
    const ir::ValueId real = graph.AddValue(absl::StrCat(name, ":real"), DataType::kF32, shape);
    for (ir::NodeId id : readers) {
      for (size_t slot = 0; slot < graph.node(id).inputs.size(); ++slot) {
        if (graph.Input(id, slot) == v) graph.SetInput(id, slot, real);
      }
    }
    graph.AddNode("", ir::Convert{}, {v}, {real});
  }
  const ir::NodeId producer = graph.producer(v);
  if (producer == ir::kNoNode || IsConvert(graph, producer)) return;
  const auto& outputs = graph.node(producer).outputs;
  const auto slot = static_cast<size_t>(std::find(outputs.begin(), outputs.end(), v) - outputs.begin());
  const ir::ValueId exact = graph.AddValue(absl::StrCat(name, ":exact"), DataType::kF32, shape);
  graph.SetOutput(producer, slot, exact);
  graph.AddNode("", ir::Convert{}, {exact}, {v});
}

}  // namespace

void Simulate(ir::Graph& graph) {
  const ir::ValueId values = graph.num_values();
  for (ir::ValueId v = 0; v < values; ++v) {
    if (!graph.value(v).quant || !IsInt8(graph.value(v).dtype)) continue;
    if (graph.IsConstant(v)) {
      Widen(graph, v);
    } else {
      QuantizeAndDequantize(graph, v);
    }
  }
}

}  // namespace precis::quant
