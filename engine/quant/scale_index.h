#ifndef PRECIS_ENGINE_QUANT_SCALE_INDEX_H_
#define PRECIS_ENGINE_QUANT_SCALE_INDEX_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/quant/weights.h"

namespace precis::quant {

// Which scale each weight has: one for all, or one per channel of each chunk (chunk 0 only, where chunks share).
class ScaleIndex {
 public:
  // `axis`, 0 or 1, is that of the output channels; chunks run along the other of the two.
  ScaleIndex(const Shape& shape, int axis, Granularity granularity, const Chunks& chunks)
      : axis_(axis),
        rows_(shape[0]),
        columns_(shape.size() < 2 ? 1 : shape[1]),
        inner_(shape.size() < 2 ? 1 : RowMajorStrides(shape)[1]),
        channels_(axis == 0 ? rows_ : columns_),
        inputs_(axis == 0 ? columns_ : rows_),
        cut_(chunks.size),
        chunk_(chunks.size > 0 && chunks.own_scales ? chunks.size : inputs_),
        per_tensor_(granularity == Granularity::kPerTensor) {}

  size_t count() const {
    return static_cast<size_t>(std::max<int64_t>(1, inputs_ == 0 ? 0 : (Chunk(inputs_ - 1) + 1) * Step()));
  }

  // visit(element, its scale) for every weight, as they lie in memory.
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    size_t element = 0;
    for (int64_t row = 0; row < rows_; ++row) {
      for (int64_t column = 0; column < columns_; ++column) {
        const size_t scale = axis_ == 0 ? At(Chunk(column), row) : At(Chunk(row), column);
        for (int64_t i = 0; i < inner_; ++i) visit(element++, scale);
      }
    }
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
  int64_t Chunk(int64_t input) const { return chunk_ == inputs_ ? 0 : input / chunk_; }
  size_t At(int64_t chunk, int64_t channel) const {
    return static_cast<size_t>(chunk * Step() + (per_tensor_ ? 0 : channel));
  }

  const int axis_;
  const int64_t rows_, columns_, inner_, channels_, inputs_, cut_, chunk_;
  const bool per_tensor_;
};

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_SCALE_INDEX_H_
