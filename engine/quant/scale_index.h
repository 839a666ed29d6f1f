#ifndef PRECIS_ENGINE_QUANT_SCALE_INDEX_H_
#define PRECIS_ENGINE_QUANT_SCALE_INDEX_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/quant/weights.h"

namespace precis::quant {

// Which scale each weight has: one for all, or one per channel of each chunk (chunk 0 only, where chunks share).
class ScaleIndex {
 public:
  // `axis`, 0 or 1, is that of the output channels; chunks run along the other of the two.
  ScaleIndex(const Shape& shape, int axis, Granularity granularity, const Chunks& chunks)
      : strides_(RowMajorStrides(shape)),
        axis_(axis),
        own_(static_cast<size_t>(axis)),
        other_(axis == 0 ? 1 : 0),
        channels_(shape[own_]),
        inputs_(shape.size() < 2 ? 1 : shape[other_]),
        cut_(chunks.size),
        chunk_(chunks.size > 0 && chunks.own_scales ? chunks.size : inputs_),
        per_tensor_(granularity == Granularity::kPerTensor) {}

  size_t count() const {
    return static_cast<size_t>(std::max<int64_t>(1, inputs_ == 0 ? 0 : (Chunk(inputs_ - 1) + 1) * Step()));
  }
  size_t operator()(size_t element) const {
    const auto at = static_cast<int64_t>(element);
    const int64_t input = strides_.size() < 2 ? 0 : at / strides_[other_] % inputs_;
    return At(Chunk(input), at / strides_[own_] % channels_);
  }

  // The parameters as a layer has them, in which each chunk names its scales. add(scale, params) appends those of one scale.
  template <typename Add>
  ir::QuantParams Params(Add&& add) const {
    ir::QuantParams params;
    if (per_tensor_ && cut_ == 0) {
      add(size_t{0}, params);
      return params;
    }
    params.axis = axis_;
    params.chunk = cut_;
    for (int64_t input = 0; input < inputs_; input += cut_ > 0 ? cut_ : inputs_) {
      for (int64_t c = 0; c < channels_; ++c) add(At(Chunk(input), c), params);
    }
    return params;
  }

 private:
  int64_t Step() const { return per_tensor_ ? 1 : channels_; }
  int64_t Chunk(int64_t input) const { return input / chunk_; }
  size_t At(int64_t chunk, int64_t channel) const {
    return static_cast<size_t>(chunk * Step() + (per_tensor_ ? 0 : channel));
  }

  const std::vector<int64_t> strides_;
  const int axis_;
  const size_t own_, other_;
  const int64_t channels_, inputs_, cut_, chunk_;
  const bool per_tensor_;
};

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_SCALE_INDEX_H_
