#include "engine/ir/accumulation.h"

namespace precis::ir {

std::string Name(Accumulator accumulator) {
  switch (accumulator) {
    case Accumulator::kF16: return "f16";
    case Accumulator::kBF16: return "bf16";
    case Accumulator::kFp16_169: return "fp16_169";
    case Accumulator::kS16: return "s16";
    case Accumulator::kF32: break;
  }
  return "f32";
}

std::string ToString(const Accumulation& accumulation) {
  std::string text = Name(accumulation.accumulator);
  if (accumulation.chunk > 0) text += " chunk " + std::to_string(accumulation.chunk);
  if (accumulation.chunk > 0 && accumulation.outer_same) text += " outer same";
  return text;
}

}  // namespace precis::ir
