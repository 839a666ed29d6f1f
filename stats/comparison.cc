#include "stats/comparison.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace precis::stats {

Comparison::Comparison(std::vector<std::string> names, size_t reference)
    : names_(std::move(names)), reference_(reference), rows_(names_.size()) {}

absl::Status Comparison::Add(std::span<const SampleOutputs> outputs, std::optional<int64_t> label) {
  const SampleOutputs& expected = outputs[reference_];
  if (expected.values.empty()) return absl::InternalError(absl::StrCat(names_[reference_], " gave no outputs"));
  for (size_t v = 0; v < rows_.size(); ++v) {
    bool same = outputs[v].values.size() == expected.values.size();
    for (size_t i = 0; same && i < expected.values.size(); ++i) {
      same = outputs[v].values[i].size() == expected.values[i].size();
    }
    if (!same) {
      return absl::InternalError(
          absl::StrCat(names_[v], " and ", names_[reference_], " gave outputs of different shape for the same sample"));
    }
  }
  const std::vector<int64_t> wanted = Predictions(expected.values[0], expected.first_shape);
  for (size_t v = 0; v < rows_.size(); ++v) {
    SampleDifference difference;
    for (size_t i = 0; i < expected.values.size(); ++i) {
      difference.AddValues(expected.values[i], outputs[v].values[i]);
    }
    const std::vector<int64_t> predicted = Predictions(outputs[v].values[0], expected.first_shape);
    difference.AddPredictions(wanted, predicted);
    ComparisonRow& row = rows_[v];
    row.fidelity.Add(difference);
    row.latency_ms.push_back(outputs[v].latency_ms);
    if (label && predicted.size() == 1) {
      row.labelled += 1;
      row.correct += predicted[0] == *label ? 1 : 0;
      row.outcomes.Add(wanted[0] == *label, predicted[0] == *label);
    }
  }
  return absl::OkStatus();
}

}  // namespace precis::stats
