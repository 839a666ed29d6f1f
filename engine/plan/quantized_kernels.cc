// Blocks of 8-bit elements are widened to real numbers in a small buffer, combined, and narrowed again. Each of the three loops is a function of
// its own that the compiler vectorises per instruction set (function multiversioning).
#include "engine/plan/quantized_kernels.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/plan/per_isa.h"

namespace precis::plan {
namespace {

PRECIS_PER_ISA void WidenU8(const uint8_t* q, float* x, int64_t count, float scale, float zero) {
  for (int64_t i = 0; i < count; ++i) x[i] = scale * (static_cast<float>(q[i]) - zero);
}
PRECIS_PER_ISA void WidenS8(const int8_t* q, float* x, int64_t count, float scale, float zero) {
  for (int64_t i = 0; i < count; ++i) x[i] = scale * (static_cast<float>(q[i]) - zero);
}
PRECIS_PER_ISA void NarrowU8(const float* x, uint8_t* q, int64_t count, float inverse, float zero) {
  for (int64_t i = 0; i < count; ++i) {
    q[i] =
        static_cast<uint8_t>(static_cast<int32_t>(std::rint(std::min(std::max(x[i] * inverse + zero, 0.0f), 255.0f))));
  }
}
PRECIS_PER_ISA void NarrowS8(const float* x, int8_t* q, int64_t count, float inverse, float zero) {
  for (int64_t i = 0; i < count; ++i) {
    q[i] = static_cast<int8_t>(
        static_cast<int32_t>(std::rint(std::min(std::max(x[i] * inverse + zero, -128.0f), 127.0f))));
  }
}
PRECIS_PER_ISA void AddTo(float* a, const float* b, int64_t count) {
  for (int64_t i = 0; i < count; ++i) a[i] += b[i];
}
PRECIS_PER_ISA void SubtractFrom(float* a, const float* b, int64_t count) {
  for (int64_t i = 0; i < count; ++i) a[i] -= b[i];
}
PRECIS_PER_ISA void MultiplyBy(float* a, const float* b, int64_t count) {
  for (int64_t i = 0; i < count; ++i) a[i] *= b[i];
}
PRECIS_PER_ISA void AccumulateU8(const uint8_t* q, int32_t* sum, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sum[i] += q[i];
}
PRECIS_PER_ISA void AccumulateS8(const int8_t* q, int32_t* sum, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sum[i] += q[i];
}

#undef PRECIS_PER_ISA

void Widen(const QuantizedOperand& o, const void* q, int64_t offset, float* x, int64_t count) {
  const auto zero = static_cast<float>(o.params.zero_point());
  if (o.dtype == DataType::kU8) {
    WidenU8(static_cast<const uint8_t*>(q) + offset, x, count, o.params.scale(), zero);
  } else {
    WidenS8(static_cast<const int8_t*>(q) + offset, x, count, o.params.scale(), zero);
  }
}

void Narrow(const QuantizedOperand& o, const float* x, void* q, int64_t offset, int64_t count) {
  if (o.dtype == DataType::kF32) {
    std::copy_n(x, count, static_cast<float*>(q) + offset);
    return;
  }
  const float inverse = 1.0f / o.params.scale();
  const auto zero = static_cast<float>(o.params.zero_point());
  if (o.dtype == DataType::kU8) {
    NarrowU8(x, static_cast<uint8_t*>(q) + offset, count, inverse, zero);
  } else {
    NarrowS8(x, static_cast<int8_t*>(q) + offset, count, inverse, zero);
  }
}

constexpr int64_t kBlock = 1024;     // two buffers of it fit in the first-level cache
constexpr int64_t kRepeated = 4096;  // the longest second operand that is widened ahead and repeated

}  // namespace

kernels::Kernel QuantizedBinary(ir::BinaryKind kind, const QuantizedOperand& a, const QuantizedOperand& b,
                                const QuantizedOperand& y, int64_t count, int64_t period) {
  const auto combine = kind == ir::BinaryKind::kAdd ? AddTo : kind == ir::BinaryKind::kSub ? SubtractFrom : MultiplyBy;
  // A short operand is widened once and repeated until it fills a block.
  const bool repeats = period < count && period <= kRepeated;
  const int64_t length = repeats ? period * std::max<int64_t>(1, kBlock / period) : period;
  const int64_t pieces_per_length = (length + kBlock - 1) / kBlock;
  const int64_t pieces = (count + length - 1) / length * pieces_per_length;
  return [=](std::span<const TensorView> in, std::span<const kernels::MutableTensorView> out) {
    float repeated[kRepeated];
    if (repeats) {
      Widen(b, in[1].data, 0, repeated, period);
      for (int64_t i = period; i < length; ++i) repeated[i] = repeated[i - period];
    }
#pragma omp parallel for if (pieces > 16) schedule(static)
    for (int64_t piece = 0; piece < pieces; ++piece) {
      float left[kBlock], right[kBlock];
      const int64_t base = piece / pieces_per_length * length, begin = piece % pieces_per_length * kBlock;
      const int64_t n = std::min({kBlock, length - begin, count - base - begin});
      if (n <= 0) continue;
      Widen(a, in[0].data, base + begin, left, n);
      if (!repeats) Widen(b, in[1].data, begin, right, n);
      combine(left, repeats ? repeated + begin : right, n);
      Narrow(y, left, out[0].data, base + begin, n);
    }
  };
}

kernels::Kernel QuantizedGlobalAverage(const QuantizedOperand& x, const QuantizedOperand& y, int64_t batch,
                                       int64_t spatial, int64_t channels) {
  return [=](std::span<const TensorView> in, std::span<const kernels::MutableTensorView> out) {
    std::vector<int32_t> sum(static_cast<size_t>(channels));
    std::vector<float> mean(static_cast<size_t>(channels));
    for (int64_t n = 0; n < batch; ++n) {
      std::fill(sum.begin(), sum.end(), 0);
      for (int64_t s = 0; s < spatial; ++s) {
        const int64_t row = (n * spatial + s) * channels;
        if (x.dtype == DataType::kU8) {
          AccumulateU8(static_cast<const uint8_t*>(in[0].data) + row, sum.data(), channels);
        } else {
          AccumulateS8(static_cast<const int8_t*>(in[0].data) + row, sum.data(), channels);
        }
      }
      const auto zero = static_cast<float>(x.params.zero_point());
      const float per_position = 1.0f / static_cast<float>(spatial);
      for (size_t c = 0; c < sum.size(); ++c)
        mean[c] = x.params.scale() * (static_cast<float>(sum[c]) * per_position - zero);
      Narrow(y, mean.data(), out[0].data, n * channels, channels);
    }
  };
}

}  // namespace precis::plan
