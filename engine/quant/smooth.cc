// Which values, by which factors, and where the factors go.
#include "engine/quant/smooth.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace precis::quant {
namespace {

// Alpha of equation 4: how much of the channels' differences moves into the weights. The paper's own; on MiniLM 0.75 was no better.
constexpr double kMigration = 0.5;

// Weights of fewer bits have no room for the activations' differences.
constexpr int kRoomyBits = 8;

// Of the channels' median: what a few samples saw of a narrow channel may be too little, and it must not saturate when it comes wider.
constexpr float kSmallestDivisor = 1.0f / 32;

// The nodes that read the value's levels.
std::vector<ir::NodeId> ProductsOf(const ir::Graph& graph, const Assignment& a, ir::ValueId value) {
  std::vector<ir::NodeId> products;
  for (ir::NodeId id : graph.consumers(value)) {
    const bool listed =
        std::find(products.begin(), products.end(), id) != products.end();  // it may be its own residual
    if (!listed && graph.node(id).inputs[0] == value && a.ReadsLevels(graph, id, 0)) products.push_back(id);
  }
  return products;
}

// Dimension of the constant matrix that the product sums over.
size_t InputAxis(const ir::Graph& graph, ir::NodeId id) { return OutputChannelAxis(graph, id) == 0 ? 1 : 0; }

// Calls visit(channel, index of the element) for every element of the product's matrix.
template <typename Visit>
void ForEachWeight(const ir::Graph& graph, ir::NodeId id, const Tensor& weights, Visit&& visit) {
  const auto rows = static_cast<size_t>(weights.shape()[0]), columns = static_cast<size_t>(weights.shape()[1]);
  const bool by_row = InputAxis(graph, id) == 0;
  for (size_t r = 0, i = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c, ++i) visit(by_row ? r : c, i);
  }
}

bool SharesLevels(const Assignment& a, ir::ValueId value) {
  const auto v = static_cast<size_t>(value);
  return a.group[v] != value || std::count(a.group.begin(), a.group.end(), value) > 1;
}

}  // namespace

bool IsSmoothable(const ir::Graph& graph, const Assignment& a, ir::ValueId value, const Policy& policy) {
  if (policy.calibration.method != CalibrationMethod::kDefault) return false;
  const bool copied = a.forms[static_cast<size_t>(value)] == Form::kConverted;
  if (!copied || SharesLevels(a, value) || ChannelAxis(graph, value) + 1 != graph.value(value).shape.size())
    return false;
  bool any = false;
  for (ir::NodeId id : graph.consumers(value)) {
    const ir::Node& n = graph.node(id);
    for (size_t slot = 0; slot < n.inputs.size(); ++slot) {
      if (n.inputs[slot] != value || !a.ReadsLevels(graph, id, slot)) continue;
      if (a.roles[static_cast<size_t>(id)] != Role::kProduct) return false;
      if (PolicyOfLayer(policy, n.name).weights.bits < kRoomyBits) return false;
      any = true;
    }
  }
  return any;
}

std::vector<float> SmoothingDivisors(const ir::Graph& graph, const Assignment& a, ir::ValueId value,
                                     const std::vector<float>& channel_max) {
  std::vector<float> weight_max(channel_max.size(), 0.0f);
  for (ir::NodeId id : ProductsOf(graph, a, value)) {
    const Tensor& weights = *graph.value(graph.node(id).inputs[1]).constant;
    const auto w = weights.As<float>();
    ForEachWeight(graph, id, weights, [&](size_t channel, size_t i) {
      weight_max[channel] = std::max(weight_max[channel], std::fabs(w[i]));
    });
  }
  std::vector<float> divisors(channel_max.size(), 1.0f);
  for (size_t j = 0; j < divisors.size(); ++j) {
    const double x = static_cast<double>(channel_max[j]), w = static_cast<double>(weight_max[j]);
    divisors[j] = static_cast<float>(std::pow(x, kMigration) / std::pow(w, 1 - kMigration));
  }
  // Channels that hold nothing, or that no weight reads, go with the others' middle.
  std::vector<float> good;
  for (float s : divisors) {
    if (std::isnormal(s)) good.push_back(s);
  }
  float middle = 1;
  if (!good.empty()) {
    std::nth_element(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(good.size() / 2), good.end());
    middle = good[good.size() / 2];
  }
  for (float& s : divisors) s = std::isnormal(s) ? std::max(s / middle, kSmallestDivisor) : 1;
  return divisors;
}

void SmoothWeights(ir::Graph& graph, const Assignment& a, ir::ValueId value, const std::vector<float>& divisors) {
  for (ir::NodeId id : ProductsOf(graph, a, value)) {
    const ir::ValueId old = graph.node(id).inputs[1];
    Tensor scaled = graph.value(old).constant->Clone();
    auto w = scaled.As<float>();
    ForEachWeight(graph, id, scaled, [&](size_t channel, size_t i) { w[i] *= divisors[channel]; });
    graph.SetInput(id, 1, graph.AddConstant(absl::StrCat(graph.value(old).name, ":smoothed"), std::move(scaled)));
  }
}

ir::ValueId AddReciprocals(ir::Graph& graph, ir::ValueId value, const std::vector<float>& divisors) {
  Tensor reciprocals(DataType::kF32, {static_cast<int64_t>(divisors.size())});
  std::transform(divisors.begin(), divisors.end(), reciprocals.As<float>().begin(), [](float s) { return 1 / s; });
  return graph.AddConstant(absl::StrCat(graph.value(value).name, ":smoothing"), std::move(reciprocals));
}

}  // namespace precis::quant
