// The quantized graph says which inputs have levels and which real numbers they stand for; the f32 graph has the same values by the
// same ids, and shows their numbers before they are rounded.

#include "engine/quant/layer_inputs.h"

#include <algorithm>
#include <limits>

#include "absl/container/flat_hash_set.h"
#include "engine/quant/assign.h"
#include "engine/quant/equalize.h"
#include "engine/quant/operators.h"
#include "engine/quant/thresholds.h"

namespace precis::quant {
namespace {

// Deciles: ten intervals are what the limits in common use (0.1 small, 0.25 large) were found for.
constexpr int kIntervals = 10;

struct RealRange {
  float low, high;
};

RealRange RangeOf(const ir::Value& value, int bits) {
  const bool is_signed = value.dtype == DataType::kS8;
  const auto half = static_cast<float>(1 << (bits - 1));
  const float lowest = !is_signed ? 0 : bits == 8 ? -half : 1 - half;  // 8 bits saturate, fewer are clipped evenly
  const float highest = is_signed ? half - 1 : 2 * half - 1;
  const float scale = value.quant->scale(), zero = static_cast<float>(value.quant->zero_point());
  return {(lowest - zero - 0.5f) * scale, (highest - zero + 0.5f) * scale};
}

bool HasLevels(const ir::Value& value) {
  return (value.dtype == DataType::kU8 || value.dtype == DataType::kS8) && value.quant.has_value() &&
         value.quant->per_tensor() && value.constant == nullptr;
}

// The value of the f32 graph whose numbers the quantized value stands for; kNoValue when there is none.
ir::ValueId OriginalOf(const ir::Graph& f32, const ir::Graph& quantized, ir::ValueId value) {
  // Copies: made by a Convert, and clipped where their levels have fewer than 8 bits.
  while (value >= f32.num_values()) {
    const ir::NodeId producer = quantized.producer(value);
    if (producer == ir::kNoNode || quantized.node(producer).inputs.size() != 1) return ir::kNoValue;
    value = quantized.node(producer).inputs[0];
  }
  if (value >= f32.num_values() || f32.value(value).dtype != DataType::kF32) return ir::kNoValue;
  return SourceOf(f32, value);
}

// Ends of intervals that hold about as much each. A bin that alone holds more than its part, as zero does after a ReLU, is an
// interval of its own.
void CutIntoIntervals(const Histogram& histogram, LayerInput* input) {
  double total = 0;
  for (const double count : histogram.bins()) total += count;
  if (total <= 0) return;
  double sum = 0, share = 0;
  for (int i = 0; i < Histogram::kBins; ++i) {
    const double bin = histogram.bins()[static_cast<size_t>(i)] / total;
    if (bin >= 1.0 / kIntervals && share > 0) {  // close what came before
      input->edges.push_back(histogram.Center(i) - histogram.bin_width() / 2);
      input->expected.push_back(share);
      share = 0;
    }
    share += bin;
    sum += bin;
    if (share >= 1.0 / kIntervals && sum < 1 - 1e-9) {
      input->edges.push_back(histogram.Center(i) + histogram.bin_width() / 2);
      input->expected.push_back(share);
      share = 0;
    }
  }
  input->expected.push_back(share);
}

}  // namespace

std::vector<LayerInput> LayerInputs(const ir::Graph& f32, const ir::Graph& quantized, const CalibrationTable& table,
                                    const Policy& policy) {
  std::vector<LayerInput> inputs;
  absl::flat_hash_set<ir::ValueId> seen;
  const auto order = quantized.TopologicalOrder();
  for (ir::NodeId id : order.ok() ? *order : std::vector<ir::NodeId>()) {
    const ir::Node& node = quantized.node(id);
    const bool product = std::holds_alternative<ir::MatMul>(node.op);
    if (!product && !std::holds_alternative<ir::Conv>(node.op)) continue;
    for (size_t slot = 0; slot < (product ? 2u : 1u); ++slot) {
      const ir::ValueId levels = quantized.Input(id, slot);
      if (levels == ir::kNoValue || !HasLevels(quantized.value(levels))) continue;
      LayerInput input;
      input.value = OriginalOf(f32, quantized, levels);
      if (input.value == ir::kNoValue || !seen.insert(input.value).second) continue;
      input.layer = node.name;
      const RealRange range = RangeOf(quantized.value(levels), policy.activation_bits);
      input.low = range.low;
      input.high = range.high;
      const ValueStatistics* statistics = table.Find(f32.value(input.value).name);
      if (statistics != nullptr && IsEqualized(*statistics, quantized.value(levels), policy.activation_bits)) {
        for (const float most : EqualizedMaxima(f32, input.value, *statistics)) {
          input.channel_high.push_back(range.high * most);
        }
      }
      input.wanted.histogram = true;
      input.wanted.channel_axis = ChannelAxis(f32, input.value);
      input.wanted.weighting = WeightingOf(policy.calibration.method);
      if (statistics != nullptr && !statistics->histogram.empty()) CutIntoIntervals(statistics->histogram, &input);
      inputs.push_back(std::move(input));
    }
  }
  return inputs;
}

namespace {

// Elements outside [low, high], or above their channel's high.
int64_t CountClipped(const LayerInput& input, const Observation& o) {
  const int64_t total = NumElements(o.shape);
  int64_t clipped = 0;
  if (input.channel_high.empty()) {
    for (int64_t i = 0; i < total; ++i) clipped += (o.data[i] < input.low) | (o.data[i] > input.high);
    return clipped;
  }
  // Dense memory is [outer][channels][inner] around the channel axis.
  const int64_t channels = static_cast<int64_t>(input.channel_high.size());
  const int64_t inner = o.strides[input.wanted.channel_axis];
  for (int64_t i = 0; i < total; ++i) {
    clipped += o.data[i] > input.channel_high[static_cast<size_t>(i / inner % channels)];
  }
  return clipped;
}

}  // namespace

LayerInputCounts CountLayerInput(const LayerInput& input, const Observation& o) {
  LayerInputCounts counts;
  counts.elements = static_cast<double>(NumElements(o.shape));
  counts.clipped = static_cast<double>(CountClipped(input, o));
  if (input.expected.empty()) return counts;
  ValueStatistics statistics;
  statistics.Add(o, input.wanted);
  counts.shares.assign(input.expected.size(), 0.0);
  if (statistics.histogram.empty()) return counts;
  double total = 0;
  for (int i = 0; i < Histogram::kBins; ++i) {
    const double count = statistics.histogram.bins()[static_cast<size_t>(i)];
    if (count == 0) continue;
    const auto end = std::upper_bound(input.edges.begin(), input.edges.end(), statistics.histogram.Center(i));
    counts.shares[static_cast<size_t>(end - input.edges.begin())] += count;
    total += count;
  }
  for (double& share : counts.shares) share = total > 0 ? share / total : 0;
  return counts;
}

}  // namespace precis::quant
