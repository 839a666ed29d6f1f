// Calibration reads every activation of every sample once: the passes over whole tensors are vector loops at the speed of memory, the
// rest looks at a fixed stride of positions.
#include "engine/quant/calibration_table.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/kernels/multiversion.h"

namespace precis::quant {
namespace {

struct MinMax {
  // `bad` becomes NaN when a number is NaN or infinite: x - x is 0 for the others.
  [[gnu::always_inline]] static void Run(const float* x, int64_t count, float* low, float* high, float* bad) {
    constexpr int kLanes = 32;
    float lows[kLanes], highs[kLanes], sums[kLanes];
    for (int k = 0; k < kLanes; ++k) {
      lows[k] = *low;
      highs[k] = *high;
      sums[k] = 0;
    }
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      for (int k = 0; k < kLanes; ++k) {
        const float v = x[i + k];
        lows[k] = v < lows[k] ? v : lows[k];
        highs[k] = v > highs[k] ? v : highs[k];
        sums[k] += v - v;
      }
    }
    for (; i < count; ++i) {
      lows[0] = std::min(lows[0], x[i]);
      highs[0] = std::max(highs[0], x[i]);
      sums[0] += x[i] - x[i];
    }
    for (int k = 0; k < kLanes; ++k) {
      *low = std::min(*low, lows[k]);
      *high = std::max(*high, highs[k]);
      *bad += sums[k];
    }
  }
};

struct AbsMaxInto {
  [[gnu::always_inline]] static void Run(const float* x, int64_t count, float* most) {
    for (int64_t i = 0; i < count; ++i) {
      const float v = std::fabs(x[i]);
      most[i] = v > most[i] ? v : most[i];
    }
  }
};

// A dense tensor as memory sees it: [outer][channels][inner], every other dimension in one of the two.
struct Channels {
  int64_t outer = 1, channels = 1, inner = 1;
  int64_t positions() const { return outer * inner; }
};

Channels ChannelsOf(const Observation& o, size_t axis) {
  Channels c;
  const int64_t total = NumElements(o.shape);
  if (axis < o.shape.size() && o.shape[axis] > 1) {
    c.channels = o.shape[axis];
    c.inner = o.strides[axis];
  }
  c.outer = total / (c.channels * c.inner);
  return c;
}

// Copies the vector at position `p` (outer-major) to `row`; returns where it lies.
const float* Row(const float* data, const Channels& c, int64_t p, std::vector<float>& row) {
  if (c.inner == 1) return data + p * c.channels;
  const float* first = data + (p / c.inner) * c.channels * c.inner + p % c.inner;
  for (int64_t k = 0; k < c.channels; ++k) row[static_cast<size_t>(k)] = first[k * c.inner];
  return row.data();
}

double MeanSquare(const float* x, int64_t count) {
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += x[i] * x[i];
  return static_cast<double>(sum) / static_cast<double>(count);
}

// Every `step`-th position; the step is odd, so that it does not keep to one column of an image.
int64_t PositionStep(const Channels& c) {
  const int64_t wanted = std::max<int64_t>(1, kHistogramElements / c.channels);
  const int64_t step = c.positions() / wanted;
  return step <= 1 ? 1 : step | 1;
}

void AddChannelMax(const float* data, const Channels& c, std::vector<float>& most) {
  static const auto abs_max_into = kernels::Best<AbsMaxInto>(AbsMaxInto::Run);
  static const auto min_max = kernels::Best<MinMax>(MinMax::Run);
  most.resize(static_cast<size_t>(c.channels), 0.0f);
  for (int64_t o = 0; o < c.outer; ++o) {
    const float* block = data + o * c.channels * c.inner;
    if (c.inner == 1) {
      abs_max_into(block, c.channels, most.data());
      continue;
    }
    for (int64_t k = 0; k < c.channels; ++k) {
      float low = 0, high = 0, bad = 0;
      min_max(block + k * c.inner, c.inner, &low, &high, &bad);
      float& m = most[static_cast<size_t>(k)];
      m = std::max({m, -low, high});
    }
  }
}

}  // namespace

void ValueStatistics::Add(const Observation& o, const Wanted& wanted) {
  static const auto min_max = kernels::Best<MinMax>(MinMax::Run);
  const int64_t total = NumElements(o.shape);
  if (total == 0) return;
  float low = std::numeric_limits<float>::infinity(), high = -low, bad = 0;
  min_max(o.data, total, &low, &high, &bad);
  if (std::isnan(bad)) {
    finite = false;
    return;
  }
  min = samples == 0 ? low : std::min(min, low);
  max = samples == 0 ? high : std::max(max, high);
  sum_of_mins += low;
  sum_of_maxs += high;
  ++samples;

  const Channels c = ChannelsOf(o, wanted.channel_axis);
  if (wanted.channel_max) AddChannelMax(o.data, c, channel_max);
  if (!wanted.histogram && !wanted.channel_sums) return;
  const int64_t step = PositionStep(c);
  std::vector<float> row(static_cast<size_t>(c.channels));
  double mean_square = 0;
  if (wanted.histogram) {
    histogram.Cover(std::max(-low, high));
    if (wanted.weighting == Weighting::kRelative) {
      int64_t seen = 0;
      for (int64_t p = 0; p < c.positions(); p += step, ++seen)
        mean_square += MeanSquare(Row(o.data, c, p, row), c.channels);
      mean_square /= static_cast<double>(seen);
    }
  }
  if (wanted.channel_sums) channel_sums.resize(static_cast<size_t>(c.channels), 0.0);
  for (int64_t p = 0; p < c.positions(); p += step) {
    const float* x = Row(o.data, c, p, row);
    if (wanted.histogram) {
      double weight = 1;
      if (wanted.weighting == Weighting::kRelative) {
        const double energy = MeanSquare(x, c.channels) + mean_square;
        weight = energy > 0 ? 1 / energy : 0;
      }
      histogram.Add(x, c.channels, weight);
    }
    if (wanted.channel_sums) {
      for (int64_t k = 0; k < c.channels; ++k) channel_sums[static_cast<size_t>(k)] += static_cast<double>(x[k]);
      ++positions;
    }
  }
}

void ValueStatistics::Merge(const ValueStatistics& other) {
  if (other.samples > 0) {
    min = samples == 0 ? other.min : std::min(min, other.min);
    max = samples == 0 ? other.max : std::max(max, other.max);
    sum_of_mins = samples == 0 ? other.mean_min() : std::min(mean_min(), other.mean_min());
    sum_of_maxs = samples == 0 ? other.mean_max() : std::max(mean_max(), other.mean_max());
    samples = 1;
  }
  finite = finite && other.finite;
  histogram.Merge(other.histogram);
}

const ValueStatistics* CalibrationTable::Find(const std::string& value) const {
  const auto it = values_.find(value);
  return it == values_.end() ? nullptr : &it->second;
}

}  // namespace precis::quant
