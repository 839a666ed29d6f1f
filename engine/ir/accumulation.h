#ifndef PRECIS_ENGINE_IR_ACCUMULATION_H_
#define PRECIS_ENGINE_IR_ACCUMULATION_H_

// How sums of products are rounded on hardware that this CPU is not. Computed by engine/accumulate, step by step.

#include <cstdint>
#include <string>

namespace precis::ir {

// Floats round each product and each sum to nearest, ties to even; past their largest finite number they become infinite.
enum class Accumulator {
  kF16,       // IEEE 754 binary16: sign, 5 exponent bits, 10 mantissa bits
  kBF16,      // bfloat16 (1,8,7)
  kFp16_169,  // (1,6,9), of Wang et al. 2018; with IEEE 754's subnormals and infinities
  kS16,       // 16-bit integers that saturate; products of 8-bit levels
  kF32,       // IEEE 754 binary32, in this order and without fused multiply-add
};
std::string Name(Accumulator accumulator);  // "f16", "bf16", "fp16_169", "s16", "f32"

// A sum of K products, in the order that the weights have in memory: input channels, then window cells.
struct Accumulation {
  Accumulator accumulator = Accumulator::kF16;
  int64_t chunk = 0;        // terms of a chunk, each chunk a sum of its own; 0, or no less than K: all in one
  bool outer_same = false;  // the chunks' sums are added in the same accumulator; otherwise in f32
  bool operator==(const Accumulation&) const = default;
};

// "f16", "f16 chunk 64" or "f16 chunk 64 outer same".
std::string ToString(const Accumulation& accumulation);

}  // namespace precis::ir

#endif  // PRECIS_ENGINE_IR_ACCUMULATION_H_
