// Ranges are first_range * 2^k, so histograms of one tensor over different samples stay aligned; other ranges are aligned by moving each
// bin's count to the bin that holds its centre.
#include "engine/quant/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/kernels/multiversion.h"

namespace precis::quant {

// The narrowest range: its reciprocal times the number of bins is still a finite float, so that a tensor of zeros or subnormals finds its bin.
constexpr float kNarrowestRange = std::numeric_limits<float>::min() * static_cast<float>(Histogram::kBins);

void Histogram::Cover(float abs_max) {
  if (bins_.empty()) {
    bins_.assign(kBins, 0.0);
    range_ = std::max(abs_max, kNarrowestRange);
  }
  while (abs_max > range_) Double();
}

void Histogram::Double() {
  constexpr int kHalf = kBins / 2;
  std::vector<double> merged(kBins, 0.0);
  for (int i = 0; i < kBins; ++i) merged[static_cast<size_t>(kHalf / 2 + i / 2)] += bins_[static_cast<size_t>(i)];
  bins_ = std::move(merged);
  range_ = range_ > std::numeric_limits<float>::max() / 2 ? std::numeric_limits<float>::max() : range_ * 2;
}

namespace {

struct BinIndices {
  [[gnu::always_inline]] static void Run(const float* x, int64_t count, float scale, int32_t* index) {
    for (int64_t i = 0; i < count; ++i) {
      const float position = x[i] * scale + static_cast<float>(Histogram::kBins / 2);
      index[i] = static_cast<int32_t>(std::min(std::max(position, 0.0f), static_cast<float>(Histogram::kBins - 1)));
    }
  }
};

}  // namespace

void Histogram::Add(const float* x, int64_t count, double weight) {
  static const auto bin_indices = kernels::Best<BinIndices>(BinIndices::Run);
  const float scale = static_cast<float>(kBins / 2) / range_;
  constexpr int64_t kBlock = 256;
  int32_t index[kBlock];
  for (int64_t start = 0; start < count; start += kBlock) {
    const int64_t n = std::min(kBlock, count - start);
    bin_indices(x + start, n, scale, index);
    for (int64_t i = 0; i < n; ++i) bins_[static_cast<size_t>(index[i])] += weight;
  }
}

void Histogram::Merge(const Histogram& other) {
  if (other.empty()) return;
  Cover(other.range_);
  const double scale = kBins / 2 / static_cast<double>(range_);
  for (int i = 0; i < kBins; ++i) {
    const int target = static_cast<int>(std::floor(other.Center(i) * scale)) + kBins / 2;
    bins_[static_cast<size_t>(std::clamp(target, 0, kBins - 1))] += other.bins_[static_cast<size_t>(i)];
  }
}

}  // namespace precis::quant
