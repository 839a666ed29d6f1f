// Everything is compared in f32, which holds what any precision answers.

#include "server/drift/drift_sums.h"

#include <algorithm>
#include <span>

#include "absl/strings/str_cat.h"

namespace precis::server {
namespace {

template <typename T, typename Join>
void MergeEach(std::vector<T>& into, const std::vector<T>& from, Join join) {
  into.resize(std::max(into.size(), from.size()));
  for (size_t i = 0; i < from.size(); ++i) join(into[i], from[i]);
}

bool SplitsByBatch(const std::vector<Tensor>& outputs, int64_t batch_size) {
  return batch_size > 1 && std::all_of(outputs.begin(), outputs.end(), [&](const Tensor& output) {
           return !output.shape().empty() && output.shape()[0] == batch_size;
         });
}

}  // namespace

void DriftSums::Merge(const DriftSums& other) {
  all.Merge(other.all);
  MergeEach(outputs, other.outputs, [](stats::Fidelity& a, const stats::Fidelity& b) { a.Merge(b); });
  layer_samples += other.layer_samples;
  MergeEach(layers, other.layers, [](LayerInputCounts& a, const LayerInputCounts& b) {
    a.elements += b.elements;
    a.clipped += b.clipped;
    MergeEach(a.shares, b.shares, [](double& x, double y) { x += y; });
  });
}

double DriftSums::ClippedRatio(size_t layer) const {
  const LayerInputCounts& counts = layers[layer];
  return counts.elements > 0 ? counts.clipped / counts.elements : 0;
}

absl::StatusOr<DriftSums> CompareAnswers(const std::vector<Tensor>& answers, const std::vector<Tensor>& references,
                                         int64_t batch_size) {
  bool same = answers.size() == references.size();
  for (size_t i = 0; same && i < answers.size(); ++i) same = answers[i].shape() == references[i].shape();
  if (!same) return absl::InvalidArgumentError("the outputs of the two variants differ in number or shape");
  DriftSums sums;
  sums.outputs.resize(answers.size());
  const int64_t items = SplitsByBatch(answers, batch_size) ? batch_size : 1;
  std::vector<std::vector<float>> a, b;
  for (size_t i = 0; i < answers.size(); ++i) {
    a.push_back(ToFloat(answers[i].view()));
    b.push_back(ToFloat(references[i].view()));
  }
  for (int64_t item = 0; item < items; ++item) {
    stats::SampleDifference all;
    for (size_t i = 0; i < answers.size(); ++i) {
      const size_t count = a[i].size() / static_cast<size_t>(items), first = static_cast<size_t>(item) * count;
      const std::span<const float> values = std::span(a[i]).subspan(first, count);
      const std::span<const float> reference = std::span(b[i]).subspan(first, count);
      Shape shape = answers[i].shape();
      if (items > 1) shape[0] = 1;
      const auto predictions = stats::Predictions(values, shape), expected = stats::Predictions(reference, shape);
      stats::SampleDifference one;
      one.AddValues(reference, values);
      one.AddPredictions(expected, predictions);
      sums.outputs[i].Add(one);
      all.AddValues(reference, values);
      if (i == 0) all.AddPredictions(expected, predictions);
    }
    sums.all.Add(all);
  }
  return sums;
}

}  // namespace precis::server
