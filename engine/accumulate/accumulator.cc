// Rows are summed eight at a time, side by side.
#include "engine/accumulate/accumulator.h"

#include <algorithm>
#include <cmath>

#include "engine/accumulate/formats.h"
#include "engine/kernels/multiversion.h"

namespace precis::accumulate {
namespace {

constexpr size_t kLanes = 8;  // rows summed side by side

struct Lanes {
  double sums[kLanes] = {};
  int64_t additions[kLanes] = {}, swamped[kLanes] = {}, overflows[kLanes] = {}, saturations[kLanes] = {};
};

// Adds `count` terms of each row; terms[i * kLanes + l] is row l's i-th.
template <typename Type>
struct AddTerms {
  [[gnu::always_inline]] static void Run(const double* terms, int64_t count, Lanes* lanes) {
    for (int64_t i = 0; i < count; ++i, terms += kLanes) {
      for (size_t l = 0; l < kLanes; ++l) {
        const double term = terms[l], sum = lanes->sums[l], exact = sum + term, next = Type::Round(exact);
        lanes->additions[l] += term != 0 ? 1 : 0;
        lanes->swamped[l] += (term != 0) & (next == sum) ? 1 : 0;
        if constexpr (Type::kSaturates) {
          lanes->saturations[l] += next != exact ? 1 : 0;
        } else {
          lanes->overflows[l] += (std::abs(next) == kInfinity) & (std::abs(sum) < kInfinity) ? 1 : 0;
        }
        lanes->sums[l] = next;
      }
    }
  }
  static void Call(const double* terms, int64_t count, Lanes* lanes) {
    static const auto kBest = kernels::Best<AddTerms>(Run);
    kBest(terms, count, lanes);
  }
};

// Sums of the rows, chunk by chunk; adds to the counts of `report`.
template <typename Type>
void SumRows(const std::vector<double>& terms, int64_t k, const Accumulation& how, double* sums, Report& report) {
  const int64_t chunk = how.chunk == 0 ? k : std::min(how.chunk, k);
  Lanes inner, outer;
  for (int64_t first = 0; first < k; first += chunk) {
    std::fill_n(inner.sums, kLanes, 0.0);
    AddTerms<Type>::Call(&terms[static_cast<size_t>(first) * kLanes], std::min(chunk, k - first), &inner);
    if (chunk == k) {
      std::copy_n(inner.sums, kLanes, outer.sums);
    } else if (how.outer_same) {
      AddTerms<Type>::Call(inner.sums, 1, &outer);
    } else {
      AddTerms<Float32>::Call(inner.sums, 1, &outer);
    }
  }
  std::copy_n(outer.sums, kLanes, sums);
  for (size_t l = 0; l < kLanes; ++l) {
    report.additions += inner.additions[l] + outer.additions[l];
    report.swamped += inner.swamped[l] + outer.swamped[l];
    report.overflows += inner.overflows[l] + outer.overflows[l];
    report.saturations += inner.saturations[l] + outer.saturations[l];
  }
}

// Whole 8-bit levels.
std::vector<float> Levels(const std::vector<float>& values) {
  float low = 0, high = 0;
  for (const float value : values) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const float largest = std::max(high, -low), levels = low < 0 ? 127.0f : 255.0f;
  std::vector<float> whole(values.size());
  if (largest == 0) return whole;
  std::transform(values.begin(), values.end(), whole.begin(),
                 [&](float value) { return std::nearbyint(value / largest * levels); });
  return whole;
}

template <typename Type>
Report MeasureIn(const Dots& dots, const Accumulation& how) {
  Report report;
  report.sums = dots.count;
  double exact_squared = 0, error_squared = 0, product = 0;
  std::vector<double> terms(static_cast<size_t>(dots.k) * kLanes);
  for (int64_t first = 0; first < dots.count; first += kLanes) {
    std::fill(terms.begin(), terms.end(), 0.0);  // lanes past the last row sum zeros, which count for nothing
    double exact[kLanes] = {}, sums[kLanes];
    const auto rows = static_cast<size_t>(std::min<int64_t>(kLanes, dots.count - first));
    for (size_t l = 0; l < rows; ++l) {
      const size_t row = (static_cast<size_t>(first) + l) * static_cast<size_t>(dots.k);
      for (size_t j = 0; j < static_cast<size_t>(dots.k); ++j) {
        const double term = static_cast<double>(dots.a[row + j]) * (dots.b.empty() ? 1.0 : dots.b[row + j]);
        exact[l] += term;
        terms[j * kLanes + l] = Type::Round(term);
      }
    }
    SumRows<Type>(terms, dots.k, how, sums, report);
    for (size_t l = 0; l < rows; ++l) {
      exact_squared += exact[l] * exact[l];
      product += exact[l] * sums[l];
      error_squared += (sums[l] - exact[l]) * (sums[l] - exact[l]);
    }
  }
  report.sum_ratio = exact_squared == 0 ? 1 : product / exact_squared;
  report.relative_rms_error = error_squared == 0 ? 0 : std::sqrt(error_squared / exact_squared);
  return report;
}

}  // namespace

std::optional<Accumulator> AccumulatorFromName(std::string_view name) {
  for (const Accumulator accumulator : kAccumulators) {
    if (Name(accumulator) == name) return accumulator;
  }
  return std::nullopt;
}

double Round(Accumulator accumulator, double value) {
  return Visit(accumulator, [value](auto type) { return type.Round(value); });
}

double Report::SqnrDb() const { return -20 * std::log10(relative_rms_error); }

Report Measure(const Dots& dots, const Accumulation& accumulation) {
  if (accumulation.accumulator == Accumulator::kS16) {
    const Dots levels{dots.count, dots.k, Levels(dots.a), Levels(dots.b)};
    return MeasureIn<Saturating16>(levels, accumulation);
  }
  return Visit(accumulation.accumulator, [&](auto type) { return MeasureIn<decltype(type)>(dots, accumulation); });
}

}  // namespace precis::accumulate
