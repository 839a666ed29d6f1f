// A family of outputs is a matrix product, of which one side, the wider one where that fills the lanes, is summed kLanes rows or columns at a
// time: these are gathered side by side once for a block of the other side's, whose numbers are multiplied with all lanes. A thread works on a
// block by itself, with scratch of its own.
#include "engine/accumulate/layer_sums.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/accumulate/formats.h"
#include "engine/accumulate/terms.h"
#include "engine/ir/shape_rules.h"
#include "engine/kernels/multiversion.h"
#include "engine/kernels/nest.h"

namespace precis::accumulate {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kBlock = 64;  // of the side that is multiplied with all lanes

using LaneSums = std::array<double, kLanes>;

// sums[l] of `count` products x[j] * y[j * kLanes + l], beginning with zero.
template <typename Type>
struct SumProducts {
  [[gnu::always_inline]] static void Run(const float* x, const float* y, int64_t count, double* sums) {
    double s[kLanes] = {};
    for (int64_t j = 0; j < count; ++j, y += kLanes) {
      const auto factor = static_cast<double>(x[j]);
      for (int64_t l = 0; l < kLanes; ++l) s[l] = Type::Round(s[l] + Type::Round(factor * static_cast<double>(y[l])));
    }
    for (int64_t l = 0; l < kLanes; ++l) sums[l] = s[l];
  }
};

struct Operand {
  DataType dtype = DataType::kF32;  // f32, u8 or s8
  ir::QuantParams quant;            // of levels
};

// What a layer's kernel knows.
struct Layer {
  Terms terms;
  ir::Accumulation how;
  Operand src, weights;
  double alpha = 1;
  int64_t scale_chunk = 0;  // terms that share a weight scale; 0: all
  int64_t channels = 1;     // of the weights' scales
  bool has_zero_points = false;
  bool has_bias = false;
  kernels::Nest bias_nest;
  int64_t scale_step(int64_t k) const { return scale_chunk == 0 ? k : scale_chunk; }
  int64_t scale_chunks(int64_t k) const { return (k + scale_step(k) - 1) / scale_step(k); }
};

float NumberAt(const void* data, DataType dtype, int64_t element) {
  switch (dtype) {
    case DataType::kU8: return static_cast<const uint8_t*>(data)[element];
    case DataType::kS8: return static_cast<const int8_t*>(data)[element];
    default: return static_cast<const float*>(data)[element];
  }
}

int32_t ZeroPoint(const ir::QuantParams& quant, int64_t channel) {
  const auto& zeros = quant.zero_points;
  return zeros.empty() ? 0 : zeros[zeros.size() == 1 ? 0 : static_cast<size_t>(channel)];
}
double Scale(const ir::QuantParams& quant, size_t index) {
  return static_cast<double>(quant.scales[quant.scales.size() == 1 ? 0 : index]);
}
double RoundF32(double value) { return Float32::Round(value); }

// One side of a family: `index` is a row (of the source) or a column (of the weights).
template <typename Kind>
class Side {
 public:
  Side(const Kind& terms, const Operand& operand, bool is_source, const void* data)
      : terms_(terms),
        operand_(operand),
        is_source_(is_source),
        data_(data),
        padding_(static_cast<float>(ZeroPoint(operand.quant, 0))) {}
  int64_t count() const { return is_source_ ? terms_.rows() : terms_.columns(); }

  // Its k numbers, `stride` apart.
  void Gather(int64_t family, int64_t index, float* to, int64_t stride) const {
    const auto put = [&](int64_t j, int64_t element) {
      to[j * stride] = element < 0 ? padding_ : NumberAt(data_, operand_.dtype, element);
    };
    if (is_source_) {
      terms_.Source(family, index, put);
    } else {
      terms_.Weights(family, index, put);
    }
  }

 private:
  const Kind& terms_;
  const Operand& operand_;
  const bool is_source_;
  const void* data_;
  const float padding_;
};

// The kernel for an accumulator `Type` and the terms of an operator.
template <typename Type, typename Kind>
class Sums {
 public:
  Sums(const Layer& layer, const Kind& terms, const void* src, const void* weights)
      : layer_(layer),
        terms_(terms),
        source_(terms, layer.src, /*is_source=*/true, src),
        weights_(terms, layer.weights, /*is_source=*/false, weights),
        columns_in_lanes_(terms.columns() >= std::min(kLanes, terms.rows())),
        wide_(columns_in_lanes_ ? weights_ : source_),
        narrow_(columns_in_lanes_ ? source_ : weights_) {}

  // A thread's scratch, in doubles: the lanes' totals in each scale chunk, then the numbers of the lanes and of one of the other side's.
  static int64_t ScratchDoubles(const Layer& layer, const Kind& terms) {
    return layer.scale_chunks(terms.k()) * kLanes + (terms.k() * (kLanes + 1) + 1) / 2;
  }

  void Run(double* scratch, float* result) const {
    const int64_t wides = (wide_.count() + kLanes - 1) / kLanes, blocks = (narrow_.count() + kBlock - 1) / kBlock;
    const int64_t tasks = terms_.families() * wides * blocks;
#pragma omp parallel for schedule(dynamic)
    for (int64_t task = 0; task < tasks; ++task) {
      double* own = scratch + omp_get_thread_num() * ScratchDoubles(layer_, terms_);
      RunBlock(task / blocks / wides, task / blocks % wides * kLanes, task % blocks * kBlock, own, result);
    }
  }

 private:
  // Up to kLanes of the wide side from `first` on with up to kBlock of the narrow one.
  void RunBlock(int64_t family, int64_t first, int64_t first_narrow, double* scratch, float* result) const {
    const int64_t k = terms_.k(), lanes = std::min(kLanes, wide_.count() - first);
    double* totals = scratch;
    auto* y = reinterpret_cast<float*>(scratch + layer_.scale_chunks(k) * kLanes);
    float* x = y + k * kLanes;
    if (lanes < kLanes) std::fill_n(y, k * kLanes, 0.0f);
    for (int64_t l = 0; l < lanes; ++l) wide_.Gather(family, first + l, y + l, kLanes);
    if (layer_.has_zero_points) TotalLanes(y, totals);
    const int64_t last = std::min(first_narrow + kBlock, narrow_.count());
    for (int64_t n = first_narrow; n < last; ++n) {
      narrow_.Gather(family, n, x, 1);
      LaneSums sums;
      if constexpr (Type::kSaturates) {
        sums = SumLevels(family, first, lanes, n, x, y, totals);
      } else {
        sums = SumRange(x, y, 0, k);
        for (double& sum : sums) sum = RoundF32(layer_.alpha * sum);
      }
      for (int64_t l = 0; l < lanes; ++l) {
        const int64_t row = columns_in_lanes_ ? n : first + l, column = columns_in_lanes_ ? first + l : n;
        result[terms_.Output(family, row, column)] = static_cast<float>(sums[static_cast<size_t>(l)]);
      }
    }
  }

  // The sums over terms [begin, end), in chunks.
  LaneSums SumRange(const float* x, const float* y, int64_t begin, int64_t end) const {
    static const auto kSum = kernels::Best<SumProducts<Type>>(SumProducts<Type>::Run);
    const int64_t chunk = layer_.how.chunk == 0 ? end - begin : layer_.how.chunk;
    LaneSums outer = {}, inner;
    for (int64_t at = begin; at < end; at += chunk) {
      kSum(x + at, y + at * kLanes, std::min(chunk, end - at), inner.data());
      if (chunk >= end - begin) return inner;
      for (size_t l = 0; l < kLanes; ++l) {
        outer[l] = layer_.how.outer_same ? Type::Round(outer[l] + inner[l]) : RoundF32(outer[l] + inner[l]);
      }
    }
    return outer;
  }

  // Real numbers from sums of levels: chunk by chunk where these have scales of their own.
  LaneSums SumLevels(int64_t family, int64_t first, int64_t lanes, int64_t n, const float* x, const float* y,
                     const double* totals) const {
    const int64_t k = terms_.k(), step = layer_.scale_step(k);
    LaneSums real = {};
    for (int64_t at = 0; at < k; at += step) {
      const int64_t end = std::min(at + step, k), chunk = at / step;
      const LaneSums sums = SumRange(x, y, at, end);
      const double total = layer_.has_zero_points ? std::accumulate(x + at, x + end, 0.0) : 0;
      for (int64_t l = 0; l < lanes; ++l) {
        const int64_t channel = terms_.Channel(family, columns_in_lanes_ ? first + l : n);
        double exact = sums[static_cast<size_t>(l)];
        if (layer_.has_zero_points) exact -= OfZeroPoints(total, totals[chunk * kLanes + l], end - at, channel);
        const double scale = Scale(layer_.src.quant, 0) *
                             Scale(layer_.weights.quant, static_cast<size_t>(chunk * layer_.channels + channel));
        double& sum = real[static_cast<size_t>(l)];
        sum = RoundF32(sum + RoundF32(layer_.alpha * scale * exact));
      }
    }
    return real;
  }

  // What each lane's numbers come to in each scale chunk.
  void TotalLanes(const float* y, double* totals) const {
    const int64_t k = terms_.k(), step = layer_.scale_step(k);
    std::fill_n(totals, layer_.scale_chunks(k) * kLanes, 0.0);
    for (int64_t j = 0; j < k; ++j) {
      for (int64_t l = 0; l < kLanes; ++l) totals[j / step * kLanes + l] += static_cast<double>(y[j * kLanes + l]);
    }
  }

  // By what `count` products of levels, of the narrow side's `total` and the lane's `lane_total`, exceed those of levels without their zero points.
  double OfZeroPoints(double total, double lane_total, int64_t count, int64_t channel) const {
    const double source = ZeroPoint(layer_.src.quant, 0), weight = ZeroPoint(layer_.weights.quant, channel);
    const double of_source = columns_in_lanes_ ? total : lane_total,
                 of_weights = columns_in_lanes_ ? lane_total : total;
    return source * of_weights + weight * of_source - static_cast<double>(count) * source * weight;
  }

  const Layer& layer_;
  const Kind& terms_;
  const Side<Kind> source_, weights_;
  const bool columns_in_lanes_;
  const Side<Kind>&wide_, &narrow_;
};

void AddBias(const Layer& layer, const float* bias, float* result) {
  kernels::Walk<2>(layer.bias_nest, 0, [&](const auto& at) { result[at[1]] += bias[at[0]]; });
}

absl::StatusOr<Operand> OperandOf(const ir::Value& value, bool levels) {
  if (levels && IsInt8(value.dtype) && value.quant) return Operand{value.dtype, *value.quant};
  if (!levels && IsFloat(value.dtype) && value.dtype != DataType::kF64) return Operand{};
  return absl::UnimplementedError(absl::StrCat("value \"", value.name, "\" is ", Name(value.dtype)));
}

// Terms of the weights' sums that share a scale.
int64_t ScaleChunk(const ir::Value& weights, int64_t k) {
  if (!weights.quant || weights.quant->chunk == 0) return 0;
  const int64_t inputs = weights.shape[weights.quant->axis == 0 ? 1 : 0];
  return weights.quant->chunk * (k / inputs);
}

}  // namespace

absl::StatusOr<LayerSums> MakeLayerSums(const ir::Graph& graph, ir::NodeId id, int threads) {
  const ir::Node& node = graph.node(id);
  const std::string what = absl::StrCat("node \"", node.name, "\": emulated sums of ", ir::OpName(node.op));
  std::optional<Terms> terms = TermsOf(graph, id);
  if (!terms || !node.accumulation) return absl::UnimplementedError(what);
  const bool levels = node.accumulation->accumulator == ir::Accumulator::kS16;
  const ir::Value &src = graph.value(node.inputs[0]), &weights = graph.value(node.inputs[1]);
  auto a = OperandOf(src, levels), b = OperandOf(weights, levels);
  for (const auto& operand : {a, b}) {
    if (!operand.ok()) return absl::UnimplementedError(absl::StrCat(what, ": ", operand.status().message()));
  }
  const Shape& dst = graph.value(node.outputs[0]).shape;
  const ir::ValueId bias = graph.Input(id, 2);
  Shape bias_shape = bias == ir::kNoValue ? Shape{} : graph.value(bias).shape;
  const auto* product = std::get_if<ir::MatMul>(&node.op);
  if (product == nullptr && bias != ir::kNoValue) {  // one number per channel
    bias_shape.resize(dst.size() - 1, 1);
  }
  const bool has_zero_points = !a->quant.zero_points.empty() || !b->quant.zero_points.empty();
  const auto layer = std::make_shared<const Layer>(
      Layer{.terms = *terms,
            .how = *node.accumulation,
            .src = *std::move(a),
            .weights = *std::move(b),
            .alpha = product == nullptr ? 1.0 : static_cast<double>(product->alpha),
            .scale_chunk = ScaleChunk(weights, std::visit([](const auto& t) { return t.k(); }, *terms)),
            .channels =
                weights.quant && weights.quant->axis >= 0 ? weights.shape[static_cast<size_t>(weights.quant->axis)] : 1,
            .has_zero_points = has_zero_points,
            .has_bias = bias != ir::kNoValue,
            .bias_nest = kernels::Nest(dst, {ir::BroadcastStrides(bias_shape, dst), RowMajorStrides(dst)})});
  LayerSums sums;
  Visit(layer->how.accumulator, [&](auto type) {
    std::visit(
        [&](const auto& kind) {
          using Kernel = Sums<decltype(type), std::decay_t<decltype(kind)>>;
          sums.scratch_bytes = threads * Kernel::ScratchDoubles(*layer, kind) * static_cast<int64_t>(sizeof(double));
          sums.kernel = [layer](std::span<const TensorView> in, std::span<const kernels::MutableTensorView> out) {
            auto* result = static_cast<float*>(out[0].data);
            const auto& own = std::get<std::decay_t<decltype(kind)>>(layer->terms);
            Kernel(*layer, own, in[0].data, in[1].data).Run(static_cast<double*>(out[1].data), result);
            if (layer->has_bias) AddBias(*layer, static_cast<const float*>(in[2].data), result);
          };
        },
        layer->terms);
  });
  return sums;
}

}  // namespace precis::accumulate
