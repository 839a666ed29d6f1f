// A Pad of zeros over spatial dimensions is what the windows of convolutions and pools do themselves.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::kNoValue;
using ir::NodeId;
using ir::UnaryKind;
using ir::ValueId;

struct Padding {
  ir::Ints begin, end;  // per spatial dimension
  double value = 0;
};

std::optional<Padding> MatchPad(const Graph& graph, NodeId id) {
  const auto* pad = OpIf<ir::Pad>(graph, id);
  if (pad == nullptr || pad->mode != ir::PadMode::kConstant || !IsReal(graph, graph.node(id).outputs[0]))
    return std::nullopt;
  const size_t rank = graph.value(graph.node(id).inputs[0]).shape.size();
  const Tensor* pads = graph.ConstantOrNull(graph.Input(id, 1));
  if (pads == nullptr || rank < 3) return std::nullopt;
  const ir::Ints numbers = ToInt64(pads->view());
  ir::Ints axes;
  if (const ValueId given = graph.Input(id, 3); given != kNoValue) {
    if (!graph.IsConstant(given)) return std::nullopt;
    axes = ToInt64(graph.ConstantOrNull(given)->view());
  } else {
    for (size_t i = 0; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  }
  Padding padding{ir::Ints(rank - 2, 0), ir::Ints(rank - 2, 0)};
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = axes[i] < 0 ? axes[i] + static_cast<int64_t>(rank) : axes[i];
    const int64_t begin = numbers[i], end = numbers[axes.size() + i];
    if (begin < 0 || end < 0 || (axis < 2 && begin + end > 0)) return std::nullopt;
    if (axis < 2) continue;
    padding.begin[static_cast<size_t>(axis - 2)] = begin;
    padding.end[static_cast<size_t>(axis - 2)] = end;
  }
  if (const ValueId given = graph.Input(id, 2); given != kNoValue) {
    const auto number = UniformConstant(graph, given);
    if (!number) return std::nullopt;
    padding.value = *number;
  }
  return padding;
}

bool IsNonNegative(const Graph& graph, ValueId value) {
  const NodeId id = graph.producer(value);
  if (id == ir::kNoNode || !graph.node(id).post_ops.empty()) return false;
  const auto* unary = OpIf<ir::Unary>(graph, id);
  return unary != nullptr &&
         (unary->kind == UnaryKind::kRelu || unary->kind == UnaryKind::kSigmoid || unary->kind == UnaryKind::kExp ||
          (unary->kind == UnaryKind::kClip && unary->alpha >= 0.0f));
}

bool IsUnpadded(const ir::Window& window) {
  const auto zero = [](int64_t pad) { return pad == 0; };
  return std::all_of(window.pads_begin.begin(), window.pads_begin.end(), zero) &&
         std::all_of(window.pads_end.begin(), window.pads_end.end(), zero);
}

// Whether a pool sees the same numbers when the padding is its own. An average must count the padding; a maximum skips its own
// padding, so the explicit one must never win, and each window must reach a real element.
bool PoolCanPad(const Graph& graph, const ir::Pool& pool, const Padding& padding, ValueId source) {
  if (pool.ceil_mode) return false;
  if (pool.kind == ir::PoolKind::kAverageIncludePad) return padding.value == 0.0;
  if (pool.kind == ir::PoolKind::kAverage) return padding.value == 0.0 && IsUnpadded(pool.window);
  for (size_t i = 0; i < padding.begin.size(); ++i) {
    const int64_t begin = pool.window.pads_begin[i] + padding.begin[i], end = pool.window.pads_end[i] + padding.end[i];
    if (std::max(begin, end) >= pool.window.kernel[i] || pool.window.dilations[i] != 1) return false;
  }
  return padding.value <= std::numeric_limits<float>::lowest() ||
         (padding.value == 0.0 && IsNonNegative(graph, source));
}

// Moves the padding into the reader's window, where that may take it.
bool Take(Graph& graph, NodeId reader, const Padding& padding, ValueId source) {
  auto* conv = OpIf<ir::Conv>(graph, reader);
  auto* pool = OpIf<ir::Pool>(graph, reader);
  const bool can = conv != nullptr ? padding.value == 0.0
                                   : pool != nullptr && graph.node(reader).outputs.size() == 1 &&
                                         PoolCanPad(graph, *pool, padding, source);
  if (!can) return false;
  ir::Window& window = conv != nullptr ? conv->window : pool->window;
  if (window.auto_pad != ir::AutoPad::kExplicit) return false;
  for (size_t i = 0; i < padding.begin.size(); ++i) {
    window.pads_begin[i] += padding.begin[i];
    window.pads_end[i] += padding.end[i];
  }
  if (pool != nullptr && pool->kind == ir::PoolKind::kAverage) pool->kind = ir::PoolKind::kAverageIncludePad;
  graph.SetInput(reader, 0, source);
  return true;
}

}  // namespace

int FoldPad(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    const auto padding = MatchPad(graph, id);
    if (!padding) continue;
    const ValueId source = graph.node(id).inputs[0], padded = graph.node(id).outputs[0];
    const std::vector<NodeId> readers = graph.consumers(padded);
    for (const NodeId reader : readers) {
      if (graph.Input(reader, 0) == padded) fired += Take(graph, reader, *padding, source) ? 1 : 0;
    }
  }
  graph.RemoveDeadNodes();
  return fired;
}

}  // namespace precis::passes
