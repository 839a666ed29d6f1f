#include "client/cli/comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/tensor/tensor.h"

namespace precis::cli {
namespace {

absl::StatusOr<std::vector<float>> Values(const client::Tensor& tensor) {
  const std::optional<DataType> type = DataTypeFromKServeName(tensor.datatype);
  if (!type || tensor.data.size() != static_cast<size_t>(tensor.NumElements()) * SizeOf(*type)) {
    return absl::InternalError(absl::StrCat("output \"", tensor.name, "\" of type ", tensor.datatype, " and shape ",
                                            ShapeToString(tensor.shape), " has ", tensor.data.size(), " bytes"));
  }
  return ToFloat({*type, tensor.shape, tensor.data.data()});
}

absl::StatusOr<std::vector<std::vector<float>>> AllValues(const client::InferResponse& response) {
  std::vector<std::vector<float>> all;
  for (const client::Tensor& output : response.outputs) {
    PRECIS_ASSIGN_OR_RETURN(std::vector<float> values, Values(output));
    all.push_back(std::move(values));
  }
  if (all.empty()) return absl::InternalError(absl::StrCat("model \"", response.model, "\" gave no outputs"));
  return all;
}

}  // namespace

std::vector<int64_t> Predictions(const std::vector<float>& values, const std::vector<int64_t>& shape) {
  const auto last = std::find_if(shape.rbegin(), shape.rend(), [](int64_t dimension) { return dimension > 1; });
  const int64_t inner = shape.rend() - last > 0 ? *last : 1;
  std::vector<int64_t> places;
  for (size_t start = 0; start + inner <= values.size(); start += inner) {
    const auto begin = values.begin() + static_cast<int64_t>(start);
    places.push_back(std::max_element(begin, begin + inner) - begin);
  }
  return places;
}

double Percentile(std::vector<double> values, double percent) {
  const double rank = std::ceil(percent / 100 * static_cast<double>(values.size()));
  const size_t index = static_cast<size_t>(std::max(rank, 1.0)) - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(index), values.end());
  return values[index];
}

absl::Status Comparison::Add(const std::vector<client::InferResponse>& responses, const std::vector<double>& latency_ms,
                             std::optional<int64_t> label) {
  PRECIS_ASSIGN_OR_RETURN(const auto baseline, AllValues(responses[0]));
  const std::vector<int64_t> expected = Predictions(baseline[0], responses[0].outputs[0].shape);
  for (size_t v = 0; v < rows_.size(); ++v) {
    PRECIS_ASSIGN_OR_RETURN(const auto outputs, AllValues(responses[v]));
    Sums& sums = rows_[v];
    double signal = 0, noise = 0, own = 0, dot = 0;
    for (size_t i = 0; i < baseline.size(); ++i) {
      if (outputs.size() != baseline.size() || outputs[i].size() != baseline[i].size()) {
        return absl::InternalError(absl::StrCat(responses[v].model, " and ", responses[0].model,
                                                " gave outputs of different shape for the same sample"));
      }
      for (size_t j = 0; j < baseline[i].size(); ++j) {
        const double want = baseline[i][j], got = outputs[i][j];
        signal += want * want;
        own += got * got;
        dot += want * got;
        noise += (want - got) * (want - got);
      }
    }
    const std::vector<int64_t> predicted = Predictions(outputs[0], responses[v].outputs[0].shape);
    sums.samples += 1;
    sums.signal += signal;
    sums.noise += noise;
    sums.cosine += signal == 0 && own == 0 ? 1 : dot / std::sqrt(signal * own);
    sums.predictions += static_cast<int64_t>(predicted.size());
    for (size_t i = 0; i < predicted.size(); ++i) sums.agreeing += predicted[i] == expected[i] ? 1 : 0;
    if (label && predicted.size() == 1) {
      sums.labelled += 1;
      sums.correct += predicted[0] == *label ? 1 : 0;
    }
    sums.latency_ms.push_back(latency_ms[v]);
  }
  return absl::OkStatus();
}

std::vector<ComparisonRow> Comparison::Rows() const {
  std::vector<ComparisonRow> rows;
  const auto percent = [](int64_t part, int64_t whole) {
    return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  };
  for (const Sums& sums : rows_) {
    ComparisonRow row;
    if (sums.labelled > 0) row.top1 = percent(sums.correct, sums.labelled);
    row.agreement = percent(sums.agreeing, sums.predictions);
    row.sqnr_db = sums.noise == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(sums.signal / sums.noise);
    row.cosine = sums.cosine / static_cast<double>(sums.samples);
    row.latency_ms_p50 = Percentile(sums.latency_ms, 50);
    row.latency_ms_p99 = Percentile(sums.latency_ms, 99);
    row.samples = sums.samples;
    rows.push_back(row);
  }
  return rows;
}

}  // namespace precis::cli
