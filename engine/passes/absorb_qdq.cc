// A quantized network in ONNX is a float network with Convert nodes (f32 -> u8 -> f32) around its layers. Here the layers between them become
// integer layers, so that the network runs as it was described:
//   Convert(Convert(q))                            -> q, or one Convert that requantizes
//   move(Convert(q))                               -> Convert(move(q)): reshapes, transposes, slices, maxima do not care what integers stand for
//   layer(Convert(q), Convert(weights)) [-> q']    -> layer(q, weights) -> q' or f32
// Everything else (softmax, normalisation, a pool of unequal parameters) stays f32 between its Convert nodes.
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/kernels/kernel.h"
#include "engine/passes/heavy.h"
#include "engine/passes/match.h"
#include "engine/passes/rewrites.h"

namespace precis::passes {
namespace {

using ir::Graph;
using ir::kNoNode;
using ir::kNoValue;
using ir::NodeId;
using ir::QuantParams;
using ir::ValueId;

// The quantized value that f32 `value` is converted from; kNoValue where it is not.
ValueId QuantizedSource(const Graph& graph, ValueId value) {
  const NodeId id = value == kNoValue ? kNoNode : graph.producer(value);
  if (!OpIf<ir::Convert>(graph, id) || graph.value(value).dtype != DataType::kF32) return kNoValue;
  const ValueId source = graph.node(id).inputs[0];
  return graph.value(source).quant ? source : kNoValue;
}

// The same for values computed at run time, quantized per tensor.
ValueId QuantizedActivation(const Graph& graph, ValueId value) {
  const ValueId source = QuantizedSource(graph, value);
  return source != kNoValue && !graph.IsConstant(source) && graph.value(source).quant->per_tensor() ? source : kNoValue;
}

// The Convert to integers that is all that reads f32 `value`; kNoNode where it is not.
NodeId OnlyQuantizer(const Graph& graph, ValueId value) {
  const NodeId reader = OnlyReader(graph, value);
  return OpIf<ir::Convert>(graph, reader) && graph.value(graph.node(reader).outputs[0]).quant ? reader : kNoNode;
}

bool SameQuantization(const Graph& graph, ValueId a, ValueId b) {
  return graph.value(a).dtype == graph.value(b).dtype && graph.value(a).quant == graph.value(b).quant;
}

// A new value of `like`'s shape in `quantized`'s representation.
ValueId AddQuantizedLike(Graph& graph, ValueId like, ValueId quantized) {
  const ValueId id = graph.AddValue(absl::StrCat(graph.value(like).name, "/quantized"), graph.value(quantized).dtype,
                                    graph.value(like).shape);
  graph.value(id).quant = graph.value(quantized).quant;
  return id;
}

// --- Convert(Convert(q)) ---

bool MergeConverts(Graph& graph, NodeId id) {
  const ValueId source = OpIf<ir::Convert>(graph, id) ? QuantizedSource(graph, graph.node(id).inputs[0]) : kNoValue;
  const ValueId out = graph.node(id).outputs[0];
  if (source == kNoValue || !graph.value(out).quant) return false;
  if (SameQuantization(graph, source, out) && Bypass(graph, id, source)) return true;
  graph.SetInput(id, 0, source);
  return true;
}

// --- move(Convert(q)) ---

// Output elements are input elements of input 0, whatever they stand for.
bool MovesElements(const Graph& graph, NodeId id) {
  if (!graph.node(id).post_ops.empty()) return false;
  if (const auto* pool = OpIf<ir::Pool>(graph, id))
    return pool->kind == ir::PoolKind::kMax && graph.node(id).outputs.size() == 1;
  if (const auto* pool = OpIf<ir::GlobalPool>(graph, id)) return pool->kind == ir::PoolKind::kMax;
  if (const auto* resize = OpIf<ir::Resize>(graph, id)) {
    return resize->mode == ir::ResizeMode::kNearest && resize->coordinates != ir::ResizeCoordinates::kTfCropAndResize;
  }
  return OpIf<ir::Identity>(graph, id) || OpIf<ir::Reshape>(graph, id) || OpIf<ir::Flatten>(graph, id) ||
         OpIf<ir::Squeeze>(graph, id) || OpIf<ir::Unsqueeze>(graph, id) || OpIf<ir::Transpose>(graph, id) ||
         OpIf<ir::Slice>(graph, id) || OpIf<ir::Split>(graph, id) || OpIf<ir::Gather>(graph, id) ||
         OpIf<ir::Expand>(graph, id) || OpIf<ir::Tile>(graph, id) || OpIf<ir::DepthToSpace>(graph, id) ||
         OpIf<ir::SpaceToDepth>(graph, id);
}

// The node's outputs are computed as integers of `source`'s representation and converted behind it.
void ConvertBehind(Graph& graph, NodeId id, ValueId source) {
  for (size_t slot = 0; slot < graph.node(id).outputs.size(); ++slot) {
    const ValueId out = graph.node(id).outputs[slot];
    if (out == kNoValue) continue;
    const ValueId quantized = AddQuantizedLike(graph, out, source);
    graph.SetOutput(id, slot, quantized);
    graph.AddNode(absl::StrCat(graph.value(out).name, "/dequantize"), ir::Convert{}, {quantized}, {out});
  }
}

bool SinkBelowMove(Graph& graph, NodeId id) {
  if (!MovesElements(graph, id)) return false;
  const ValueId source = QuantizedActivation(graph, graph.Input(id, 0));
  if (source == kNoValue) return false;
  graph.SetInput(id, 0, source);
  ConvertBehind(graph, id, source);
  return true;
}

// Inputs that share one representation are joined in it; others are brought to that of the result.
bool AbsorbConcat(Graph& graph, NodeId id) {
  if (!OpIf<ir::Concat>(graph, id)) return false;
  std::vector<ValueId> sources;
  bool same = true;
  for (const ValueId input : graph.node(id).inputs) {
    sources.push_back(QuantizedActivation(graph, input));
    if (sources.back() == kNoValue) return false;
    same = same && SameQuantization(graph, sources[0], sources.back());
  }
  const NodeId quantizer = OnlyQuantizer(graph, graph.node(id).outputs[0]);
  if (!same && quantizer == kNoNode) return false;
  if (same) {
    graph.SetInputs(id, sources);
    ConvertBehind(graph, id, sources[0]);
    return true;
  }
  const ValueId out = graph.node(quantizer).outputs[0];
  for (ValueId& source : sources) {
    if (SameQuantization(graph, source, out)) continue;
    const ValueId requantized = AddQuantizedLike(graph, source, out);
    graph.AddNode(absl::StrCat(graph.value(requantized).name, "/convert"), ir::Convert{}, {source}, {requantized});
    source = requantized;
  }
  graph.SetInputs(id, sources);
  AbsorbReader(graph, id, quantizer);
  return true;
}

// --- layers ---

// Whether clamping to [low, high] before quantization to value `q` changes nothing, because the integers end there anyway.
bool IsClampedAnyway(const ir::Value& q, double low, double high) {
  const double least = q.dtype == DataType::kU8 ? 0 : -128, most = q.dtype == DataType::kU8 ? 255 : 127;
  const double scale = q.quant->scale(), zero = q.quant->zero_point();
  return std::nearbyint(low / scale) + zero <= least && std::nearbyint(high / scale) + zero >= most;
}

bool IsRedundantClamp(const ir::Unary& unary, const ir::Value& q) {
  if (unary.kind == ir::UnaryKind::kRelu) return IsClampedAnyway(q, 0.0, HUGE_VAL);
  return unary.kind == ir::UnaryKind::kClip && IsClampedAnyway(q, unary.alpha, unary.beta);
}

// A Relu or Clip of its own in front of a quantization that clamps as much.
bool DropClamp(Graph& graph, NodeId id) {
  const auto* unary = OpIf<ir::Unary>(graph, id);
  if (unary == nullptr || !graph.node(id).post_ops.empty()) return false;
  const NodeId quantizer = OnlyQuantizer(graph, graph.node(id).outputs[0]);
  if (quantizer == kNoNode || !IsRedundantClamp(*unary, graph.value(graph.node(quantizer).outputs[0]))) return false;
  return Bypass(graph, id, graph.node(id).inputs[0]);
}

// The layer writes the integers that its only reader would have made of its result.
void AbsorbQuantizer(Graph& graph, NodeId id, NodeId quantizer) {
  AbsorbReader(graph, id, quantizer);
  auto& post_ops = graph.node(id).post_ops;
  const ir::Value& out = graph.value(graph.node(id).outputs[0]);
  while (!post_ops.empty() && post_ops.back().kind == ir::PostOp::Kind::kUnary &&
         IsRedundantClamp(post_ops.back().unary, out)) {
    post_ops.pop_back();
  }
}

// Symmetric s8 weights whose parameters run along the output channels, as integer layers take them.
bool FitsAsWeights(const Graph& graph, NodeId id, const QuantParams& quant, size_t rank) {
  if (!quant.zero_points.empty()) return false;
  if (quant.per_tensor()) return true;
  if (OpIf<ir::Conv>(graph, id)) return quant.axis == 0;
  if (const auto* transposed = OpIf<ir::ConvTranspose>(graph, id)) return quant.axis == 1 && transposed->groups == 1;
  const int columns = static_cast<int>(rank) - (std::get<ir::MatMul>(graph.node(id).op).transpose_b ? 2 : 1);
  return rank == 2 && quant.axis == columns;
}

// q with u8 integers around 128 stands for the same numbers as q - 128 in s8.
QuantParams ShiftedToSigned(const QuantParams& quant) {
  QuantParams shifted = quant;
  shifted.zero_points.resize(quant.scales.size(), 0);
  bool symmetric = true;
  for (int32_t& zero : shifted.zero_points) symmetric = (zero -= 128) == 0 && symmetric;
  if (symmetric) shifted.zero_points.clear();
  return shifted;
}

// Constant weights as s8, ready for an integer layer; kNoValue where they do not fit one.
ValueId IntegerWeights(Graph& graph, NodeId id, ValueId source) {
  const ir::Value weights = graph.value(source);
  const QuantParams quant = weights.dtype == DataType::kU8 ? ShiftedToSigned(*weights.quant) : *weights.quant;
  if (!FitsAsWeights(graph, id, quant, weights.shape.size())) return kNoValue;
  if (weights.dtype == DataType::kS8) return source;
  Tensor tensor(DataType::kS8, weights.shape);
  const auto from = weights.constant->As<uint8_t>();
  for (size_t i = 0; i < from.size(); ++i) tensor.As<int8_t>()[i] = static_cast<int8_t>(from[i] - 128);
  const ValueId result = graph.AddConstant(absl::StrCat(weights.name, "/s8"), std::move(tensor));
  graph.value(result).quant = quant;
  return result;
}

// The second operand of a MatMul of two activations as s8, which integer products want there.
ValueId SignedActivation(Graph& graph, ValueId source) {
  if (graph.value(source).dtype == DataType::kS8) return source;
  const ValueId result =
      graph.AddValue(absl::StrCat(graph.value(source).name, "/s8"), DataType::kS8, graph.value(source).shape);
  graph.value(result).quant = ShiftedToSigned(*graph.value(source).quant);
  graph.AddNode(absl::StrCat(graph.value(result).name, "/convert"), ir::Convert{}, {source}, {result});
  return result;
}

bool AbsorbHeavy(Graph& graph, NodeId id) {
  if (!IsHeavy(graph, id)) return false;
  const ValueId src = QuantizedActivation(graph, graph.node(id).inputs[0]);
  const ValueId source = QuantizedSource(graph, graph.node(id).inputs[1]);
  if (src == kNoValue || source == kNoValue) return false;
  const bool two_activations = !graph.IsConstant(source);
  if (two_activations && (!OpIf<ir::MatMul>(graph, id) || !graph.value(source).quant->per_tensor())) return false;
  const ValueId weights = two_activations ? SignedActivation(graph, source) : IntegerWeights(graph, id, source);
  if (weights == kNoValue) return false;
  graph.SetInput(id, 0, src);
  graph.SetInput(id, 1, weights);
  for (const ir::PostOp& post_op : graph.node(id).post_ops) {
    if (post_op.kind != ir::PostOp::Kind::kBinary) continue;
    const size_t slot = static_cast<size_t>(post_op.input);
    const ValueId operand = QuantizedActivation(graph, graph.node(id).inputs[slot]);
    if (operand != kNoValue) graph.SetInput(id, slot, operand);
  }
  if (const NodeId quantizer = OnlyQuantizer(graph, graph.node(id).outputs[0]); quantizer != kNoNode)
    AbsorbQuantizer(graph, id, quantizer);
  return true;
}

// DQ(a) + DQ(b) -> Q of equal shapes, with nothing but clamps that Q does anyway in between.
bool AbsorbAdd(Graph& graph, NodeId id) {
  const auto* binary = OpIf<ir::Binary>(graph, id);
  if (binary == nullptr || binary->kind != ir::BinaryKind::kAdd) return false;
  const ValueId a = QuantizedActivation(graph, graph.node(id).inputs[0]),
                b = QuantizedActivation(graph, graph.node(id).inputs[1]);
  const NodeId quantizer = OnlyQuantizer(graph, graph.node(id).outputs[0]);
  if (a == kNoValue || b == kNoValue || quantizer == kNoNode || graph.value(a).shape != graph.value(b).shape)
    return false;
  for (const ir::PostOp& p : graph.node(id).post_ops) {
    if (p.kind != ir::PostOp::Kind::kUnary || !IsRedundantClamp(p.unary, graph.value(graph.node(quantizer).outputs[0])))
      return false;
  }
  graph.SetInput(id, 0, a);
  graph.SetInput(id, 1, b);
  AbsorbQuantizer(graph, id, quantizer);
  return true;
}

// Whether the windowed average of integers `src` is the integer of the average as `out` has it: the same parameters on both sides, and no
// counted padding, a real zero, where that is not the integer 0.
bool AveragesIntegers(const Graph& graph, const ir::Pool& pool, ValueId src, ValueId out) {
  return SameQuantization(graph, src, out) &&
         (pool.kind == ir::PoolKind::kAverage || graph.value(src).quant->zero_point() == 0);
}

// Averages over a whole image sum integers whatever comes out.
bool AbsorbAverage(Graph& graph, NodeId id) {
  const auto* pool = OpIf<ir::Pool>(graph, id);
  if ((pool == nullptr && !OpIf<ir::GlobalPool>(graph, id)) || !graph.node(id).post_ops.empty()) return false;
  const ValueId src = QuantizedActivation(graph, graph.node(id).inputs[0]);
  if (src == kNoValue) return false;
  const NodeId quantizer = OnlyQuantizer(graph, graph.node(id).outputs[0]);
  if (pool != nullptr &&
      (quantizer == kNoNode || !AveragesIntegers(graph, *pool, src, graph.node(quantizer).outputs[0]))) {
    return false;
  }
  graph.SetInput(id, 0, src);
  if (quantizer != kNoNode) AbsorbReader(graph, id, quantizer);
  return true;
}

// Weights that nothing took as integers become f32 constants.
bool FoldConstantConvert(Graph& graph, NodeId id) {
  if (!OpIf<ir::Convert>(graph, id) || !graph.IsConstant(graph.node(id).inputs[0])) return false;
  auto outputs = kernels::Evaluate(graph, id);
  if (!outputs.ok()) return false;
  const ValueId out = graph.node(id).outputs[0];
  graph.RemoveNode(id);
  graph.MakeConstant(out, std::move((*outputs)[0]));
  return true;
}

}  // namespace

int AbsorbQdq(Graph& graph) {
  int fired = 0;
  for (const NodeId id : Order(graph)) {
    if (!graph.alive(id)) continue;
    const bool changed = MergeConverts(graph, id) || SinkBelowMove(graph, id) || AbsorbConcat(graph, id) ||
                         DropClamp(graph, id) || AbsorbHeavy(graph, id) || AbsorbAdd(graph, id) ||
                         AbsorbAverage(graph, id);
    fired += changed ? 1 : 0;
  }
  graph.RemoveDeadNodes();
  for (const NodeId id : Order(graph)) fired += FoldConstantConvert(graph, id) ? 1 : 0;
  return fired;
}

}  // namespace precis::passes
