#include "stats/fidelity.h"

#include <algorithm>
#include <cmath>

namespace precis::stats {

std::vector<int64_t> Predictions(std::span<const float> values, std::span<const int64_t> shape) {
  const auto last = std::find_if(shape.rbegin(), shape.rend(), [](int64_t dimension) { return dimension > 1; });
  const size_t inner = last == shape.rend() ? 1 : static_cast<size_t>(*last);
  std::vector<int64_t> places;
  for (size_t start = 0; start + inner <= values.size(); start += inner) {
    int64_t place = -1;
    for (size_t i = 0; i < inner; ++i) {
      const float value = values[start + i];
      if (std::isnan(value)) continue;
      if (place < 0 || value > values[start + static_cast<size_t>(place)]) place = static_cast<int64_t>(i);
    }
    places.push_back(place);
  }
  return places;
}

void SampleDifference::AddValues(std::span<const float> reference, std::span<const float> values) {
  for (size_t i = 0; i < reference.size(); ++i) {
    const double want = reference[i], got = values[i];
    if (!std::isfinite(want) || !std::isfinite(got)) {
      finite &= want == got || (std::isnan(want) && std::isnan(got));
      continue;
    }
    const double error = want - got;
    signal += want * want;
    noise += error * error;
    energy += got * got;
    dot += want * got;
    max_abs_error = std::max(max_abs_error, std::abs(error));
  }
}

void SampleDifference::AddPredictions(std::span<const int64_t> reference, std::span<const int64_t> values) {
  predictions += static_cast<int64_t>(reference.size());
  for (size_t i = 0; i < reference.size(); ++i) agreeing += reference[i] == values[i] ? 1 : 0;
}

double SampleDifference::Cosine() const {
  if (signal == 0 && energy == 0) return 1;
  if (signal == 0 || energy == 0) return 0;
  return dot / (std::sqrt(signal) * std::sqrt(energy));
}

void Fidelity::Add(const SampleDifference& sample) {
  ++samples_;
  predictions_ += sample.predictions;
  agreeing_ += sample.agreeing;
  if (!sample.finite) {
    ++nonfinite_samples_;
    return;
  }
  signal_noise_.Add(sample.signal, sample.noise);
  cosine_.Add(sample.Cosine());
  max_abs_error_ = std::max(max_abs_error_, sample.max_abs_error);
}

void Fidelity::Merge(const Fidelity& other) {
  samples_ += other.samples_;
  nonfinite_samples_ += other.nonfinite_samples_;
  predictions_ += other.predictions_;
  agreeing_ += other.agreeing_;
  signal_noise_.Merge(other.signal_noise_);
  cosine_.Merge(other.cosine_);
  max_abs_error_ = std::max(max_abs_error_, other.max_abs_error_);
}

Estimate Fidelity::Cosine() const {
  Estimate estimate = cosine_.estimate();
  if (estimate.interval) {
    estimate.interval->low = std::max(estimate.interval->low, -1.0);
    estimate.interval->high = std::min(estimate.interval->high, 1.0);
  }
  return estimate;
}

Estimate Fidelity::Agreement() const {
  if (predictions_ == 0) return {};
  const double ratio = static_cast<double>(agreeing_) / static_cast<double>(predictions_);
  return {ratio, WilsonInterval(ratio, samples_)};
}

}  // namespace precis::stats
