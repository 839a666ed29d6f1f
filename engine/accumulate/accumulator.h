#ifndef PRECIS_ENGINE_ACCUMULATE_ACCUMULATOR_H_
#define PRECIS_ENGINE_ACCUMULATE_ACCUMULATOR_H_

// Dot products summed in a narrow accumulator, term by term: an emulation of hardware that this CPU does not have, to measure
// what its sums would lose. A long sum grows until its unit in the last place exceeds the addends, and further ones are
// swamped: they leave it unchanged. Chunk-based accumulation bounds the length of each sum: K is cut into chunks, each summed
// on its own, and the chunks' sums are summed in turn (N. Wang, J. Choi, D. Brand, C.-Y. Chen, K. Gopalakrishnan, "Training
// Deep Neural Networks with 8-bit Floating Point Numbers", NeurIPS 2018, section 2.3). Pure functions.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/ir/accumulation.h"

namespace precis::accumulate {

using ir::Accumulation;
using ir::Accumulator;
using ir::Name;

// The narrow ones.
inline constexpr Accumulator kAccumulators[] = {Accumulator::kF16, Accumulator::kBF16, Accumulator::kFp16_169,
                                                Accumulator::kS16};
std::optional<Accumulator> AccumulatorFromName(std::string_view name);  // of these

// Nearest number to `value` that the accumulator can hold; NaN stays NaN. s16: `value` is an integer.
double Round(Accumulator accumulator, double value);

// `count` dot products of k terms: row i is the sum over j of a[i * k + j] * b[i * k + j]. Without b, the sums of a's rows.
struct Dots {
  int64_t count = 0, k = 0;
  std::vector<float> a, b;
};

// What the sums came to, against the same ones in f64.
struct Report {
  int64_t sums = 0;
  int64_t additions = 0;    // of addends other than zero, those across chunks included
  int64_t swamped = 0;      // of these: the sum was the same before and after
  int64_t overflows = 0;    // additions that made a finite sum infinite
  int64_t saturations = 0;  // s16: additions that met a bound
  double sum_ratio = 0;     // least-squares slope of the accumulated sums over the exact ones: 1 when nothing is lost
  // sqrt(sum of (accumulated - exact)^2 / sum of exact^2); infinite after an overflow. Of n random dot products behind a ReLU its standard
  // error is about 1.1 / sqrt(n) of it (measured at K = 4608, f16 and bf16).
  double relative_rms_error = 0;

  double swamped_ratio() const {
    return additions == 0 ? 0 : static_cast<double>(swamped) / static_cast<double>(additions);
  }
  double SqnrDb() const;  // -20 log10(relative_rms_error)
};

// s16 sums 8-bit levels instead of the numbers themselves, exact sums included: each operand divided by one scale, so that its
// largest magnitude becomes 255 where none of it is negative (u8), else 127 (s8), and rounded. Requires chunk >= 0 and finite
// numbers.
Report Measure(const Dots& dots, const Accumulation& accumulation);

}  // namespace precis::accumulate

#endif  // PRECIS_ENGINE_ACCUMULATE_ACCUMULATOR_H_
