// Every search runs over prefix sums of the histogram, so that a candidate costs a few additions instead of a pass over the bins.
#include "engine/quant/thresholds.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace precis::quant {
namespace {

// Between neighbouring levels of `bits` bits.
double StepsOf(int bits) { return (1 << bits) - 1; }

// Sums over the bins below an edge of weight, weight * x and weight * x^2, by which the squared error of any range is known at once: noise
// of step^2 / 12 inside, x^2 where |x| < step / 2 (those numbers become exactly zero), the squared distance to the edge outside.
class SquaredError {
 public:
  SquaredError(const Histogram& h, int bits) : h_(h), steps_(StepsOf(bits)), sums_(Histogram::kBins + 1) {
    for (int i = 0; i < Histogram::kBins; ++i) {
      const double w = h.bins()[static_cast<size_t>(i)], x = h.Center(i);
      const auto& [s0, s1, s2] = sums_[static_cast<size_t>(i)];
      sums_[static_cast<size_t>(i) + 1] = {s0 + w, s1 + w * x, s2 + w * x * x};
    }
  }

  double Energy() const { return sums_.back()[2]; }

  double Of(double low, double high) const {
    const double step = (high - low) / steps_;
    const Sums below = At(low), above = At(high), zero_low = At(std::max(low, -step / 2)),
               zero_high = At(std::min(high, step / 2));
    const Sums& all = sums_.back();
    const double clipped_low = below[2] - 2 * low * below[1] + low * low * below[0];
    const double clipped_high =
        (all[2] - above[2]) - 2 * high * (all[1] - above[1]) + high * high * (all[0] - above[0]);
    const double near_zero = zero_high[2] - zero_low[2];
    const double rounded = (above[0] - below[0]) - (zero_high[0] - zero_low[0]);
    return clipped_low + clipped_high + near_zero + rounded * step * step / 12;
  }

 private:
  using Sums = std::array<double, 3>;

  // The sums below `x`, linear within a bin.
  Sums At(double x) const {
    const double position = std::clamp((x + h_.range()) / h_.bin_width(), 0.0, static_cast<double>(Histogram::kBins));
    const auto i = std::min(static_cast<size_t>(position), static_cast<size_t>(Histogram::kBins - 1));
    const double part = position - static_cast<double>(i);
    Sums s;
    for (size_t k = 0; k < 3; ++k) s[k] = sums_[i][k] + part * (sums_[i + 1][k] - sums_[i][k]);
    return s;
  }

  const Histogram& h_;
  const double steps_;
  std::vector<Sums> sums_;
};

Range WithZero(double low, double high) {
  return {static_cast<float>(std::min(low, 0.0)), static_cast<float>(std::max(high, 0.0))};
}

// |x| in `count` equal bins over [0, limit].
std::vector<double> Magnitudes(const Histogram& h, double limit, int count) {
  std::vector<double> bins(static_cast<size_t>(count), 0.0);
  for (int i = 0; i < Histogram::kBins; ++i) {
    const double position = std::abs(h.Center(i)) / limit * count;
    bins[static_cast<size_t>(std::min(position, count - 1.0))] += h.bins()[static_cast<size_t>(i)];
  }
  return bins;
}

Range ClipAt(const ValueStatistics& s, double t) {
  return WithZero(std::max<double>(s.min, -t), std::min<double>(s.max, t));
}

}  // namespace

Range MinMaxRange(const ValueStatistics& s) { return WithZero(s.min, s.max); }

Range MovingAverageRange(const ValueStatistics& s) { return WithZero(s.mean_min(), s.mean_max()); }

Range PercentileRange(const ValueStatistics& s, double percentile) {
  const Histogram& h = s.histogram;
  double total = 0, below = 0;
  for (double w : h.bins()) total += w;
  for (int i = 0; i < Histogram::kBins / 2; ++i) {  // bins outwards from zero, both sides at once
    below += h.bins()[static_cast<size_t>(Histogram::kBins / 2 + i)] +
             h.bins()[static_cast<size_t>(Histogram::kBins / 2 - 1 - i)];
    if (below >= total * percentile / 100) return ClipAt(s, (i + 1) * h.bin_width());
  }
  return MinMaxRange(s);
}

Range EntropyRange(const ValueStatistics& s, int bits) {
  constexpr int kMagnitudeBins = 2048;
  constexpr double kSmoothing = 1e-4;  // share of a level that Q lacks: a finite price for what P has there
  const int levels = s.min >= 0 ? 1 << bits : 1 << (bits - 1);
  const double limit = std::max(std::abs(s.min), std::abs(s.max));
  std::vector<double> bins = Magnitudes(s.histogram, limit, kMagnitudeBins);
  bins[0] = bins[1];  // zeros are exact whatever the range; their spike after a ReLU says nothing
  // Prefix sums of counts, of non-empty bins, and of p log p.
  std::vector<double> mass(bins.size() + 1), full(bins.size() + 1), plogp(bins.size() + 1);
  const auto xlogx = [](double x) { return x > 0 ? x * std::log(x) : 0.0; };
  for (size_t i = 0; i < bins.size(); ++i) {
    mass[i + 1] = mass[i] + bins[i];
    full[i + 1] = full[i] + (bins[i] > 0 ? 1 : 0);
    plogp[i + 1] = plogp[i] + xlogx(bins[i]);
  }
  const double total = mass.back();
  if (total <= 0) return MinMaxRange(s);
  double best = std::numeric_limits<double>::infinity();
  int best_bins = kMagnitudeBins;
  for (int n = levels; n <= kMagnitudeBins; ++n) {
    const auto end = static_cast<size_t>(n);
    const double outliers = total - mass[end], inside = mass[end];
    if (inside <= 0) continue;
    const double last = bins[end - 1] + outliers;  // P's last bin holds all that is clipped
    // KL(P||Q) = sum p log p - sum p log q, with p normalised by `total`, q by `inside`; q is flat over a level's non-empty bins.
    double divergence = (plogp[end - 1] + xlogx(last)) / total - std::log(total);
    for (int k = 0; k < levels; ++k) {
      const auto from = static_cast<size_t>(int64_t{k} * n / levels),
                 to = static_cast<size_t>(int64_t{k + 1} * n / levels);
      const bool is_last = to == end;
      const double p = mass[to] - mass[from] + (is_last ? outliers : 0);
      if (p <= 0) continue;
      const double filled = full[to] - full[from] + (is_last && bins[end - 1] <= 0 ? 1 : 0);
      const double q = std::max((mass[to] - mass[from]) / inside, kSmoothing / levels) / filled;
      divergence -= p / total * std::log(q);
    }
    if (divergence < best) {
      best = divergence;
      best_bins = n;
    }
  }
  return ClipAt(s, limit * best_bins / kMagnitudeBins);
}

Range LeastSquaresRange(const ValueStatistics& s, int bits) {
  constexpr int kCandidates = 128;  // per side: finer changes the error by less than 0.1 %
  const SquaredError error(s.histogram, bits);
  const Range widest = MinMaxRange(s);
  double best = std::numeric_limits<double>::infinity();
  Range chosen = widest;
  const int lows = widest.low < 0 ? kCandidates : 1, highs = widest.high > 0 ? kCandidates : 1;
  for (int i = lows; i >= 1; --i) {
    for (int j = highs; j >= 1; --j) {
      const double low = static_cast<double>(widest.low) * i / lows,
                   high = static_cast<double>(widest.high) * j / highs;
      const double e = error.Of(low, high);
      if (e < best) {
        best = e;
        chosen = WithZero(low, high);
      }
    }
  }
  return chosen;
}

Range ChooseRange(const ValueStatistics& s, const CalibrationPolicy& policy, int bits) {
  switch (policy.method) {
    case CalibrationMethod::kMinMax: return MinMaxRange(s);
    case CalibrationMethod::kMovingAverage: return MovingAverageRange(s);
    case CalibrationMethod::kPercentile: return PercentileRange(s, policy.percentile);
    case CalibrationMethod::kEntropy: return EntropyRange(s, bits);
    case CalibrationMethod::kMse:
    case CalibrationMethod::kDefault: break;
  }
  return LeastSquaresRange(s, bits);
}

Weighting WeightingOf(CalibrationMethod method) {
  return method == CalibrationMethod::kDefault ? Weighting::kRelative : Weighting::kCount;
}

double ExpectedSqnr(const Histogram& histogram, const Range& range) {
  const SquaredError error(histogram, 8);
  const double noise = error.Of(range.low, range.high);
  if (noise <= 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(error.Energy() / noise);
}

}  // namespace precis::quant
