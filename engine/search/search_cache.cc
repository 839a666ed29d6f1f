// A search changes the overrides of its policy and fills in its budget's defaults; a file holds these two and the report. One function a
// type goes both ways, so that reading cannot forget what writing knows.
#include "engine/search/search_cache.h"

#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/cache/bytes.h"
#include "engine/cache/cache_file.h"

namespace precis::search {
namespace {

// Writes values through a cache::Writer.
class Saver {
 public:
  template <typename T>
  void operator()(const T& x) {
    if constexpr (std::is_same_v<T, std::string>) {
      writer_.Text(x);
    } else if constexpr (std::is_enum_v<T>) {
      writer_.Number(static_cast<int32_t>(x));
    } else if constexpr (std::is_same_v<T, bool>) {
      writer_.Number<uint8_t>(x);
    } else if constexpr (std::is_arithmetic_v<T>) {
      writer_.Number(x);
    } else {
      Fields(*this, x);
    }
  }
  template <typename T>
  void operator()(const std::optional<T>& x) {
    (*this)(x.has_value());
    if (x) (*this)(*x);
  }
  template <typename T>
  void operator()(const std::vector<T>& list) {
    writer_.Number<uint64_t>(list.size());
    for (const T& x : list) (*this)(x);
  }
  template <typename K, typename V>
  void operator()(const std::map<K, V>& map) {
    (*this)(std::vector<std::pair<K, V>>(map.begin(), map.end()));
  }
  template <typename A, typename B>
  void operator()(const std::pair<A, B>& pair) {
    (*this)(pair.first);
    (*this)(pair.second);
  }
  std::string Take() { return writer_.Take(); }

 private:
  cache::Writer writer_;
};

// Reads what Saver wrote; holds for any bytes, as cache::Reader.
class Loader {
 public:
  explicit Loader(std::string_view bytes) : reader_(bytes) {}

  template <typename T>
  void operator()(T& x) {
    if constexpr (std::is_same_v<T, std::string>) {
      x = std::string(reader_.Text());
    } else if constexpr (std::is_enum_v<T>) {
      x = static_cast<T>(reader_.Number<int32_t>());
    } else if constexpr (std::is_same_v<T, bool>) {
      x = reader_.Number<uint8_t>() != 0;
    } else if constexpr (std::is_arithmetic_v<T>) {
      x = reader_.Number<T>();
    } else {
      Fields(*this, x);
    }
  }
  template <typename T>
  void operator()(std::optional<T>& x) {
    bool has = false;
    (*this)(has);
    if (has) (*this)(x.emplace());
  }
  template <typename T>
  void operator()(std::vector<T>& list) {
    list.clear();
    for (auto count = reader_.Number<uint64_t>(); count > 0 && reader_.ok(); --count) (*this)(list.emplace_back());
  }
  template <typename K, typename V>
  void operator()(std::map<K, V>& map) {
    std::vector<std::pair<K, V>> entries;
    (*this)(entries);
    map = std::map<K, V>(entries.begin(), entries.end());
  }
  template <typename A, typename B>
  void operator()(std::pair<A, B>& pair) {
    (*this)(pair.first);
    (*this)(pair.second);
  }
  bool AtEnd() const { return reader_.AtEnd(); }

 private:
  cache::Reader reader_;
};

// The fields of each type in order, by structured bindings: a new field does not compile until it is here.
template <typename T, typename U>
concept Is = std::is_same_v<std::remove_const_t<T>, U>;

template <typename Visit>
void Each(Visit& visit, auto&... fields) {
  (visit(fields), ...);
}

template <typename Visit>
void Fields(Visit& visit, Is<quant::WeightPolicy> auto& x) {
  auto& [scheme, bits, granularity, group_size, symmetric] = x;
  Each(visit, scheme, bits, granularity, group_size, symmetric);
}
template <typename Visit>
void Fields(Visit& visit, Is<quant::CalibrationPolicy> auto& x) {
  auto& [method, percentile, sample_limit, source] = x;
  Each(visit, method, percentile, sample_limit, source);
}
template <typename Visit>
void Fields(Visit& visit, Is<quant::AccumulationPolicy> auto& x) {
  auto& [chunk_size, per_chunk_scales, emulated, outer_same] = x;
  Each(visit, chunk_size, per_chunk_scales, emulated, outer_same);
}
template <typename Visit>
void Fields(Visit& visit, Is<quant::MixedPolicy> auto& x) {
  auto& [candidates, min_sqnr_db, max_top1_disagreement, objective] = x;
  Each(visit, candidates, min_sqnr_db, max_top1_disagreement, objective);
}
template <typename Visit>
void Fields(Visit& visit, Is<quant::LayerOverride> auto& x) {
  auto& [pattern, precision, weights, accumulation] = x;
  Each(visit, pattern, precision, weights, accumulation);
}
template <typename Visit>
void Fields(Visit& visit, Is<quant::Policy> auto& x) {
  auto& [precision, weights, activation_bits, symmetric_activations, calibration, bias_correction, execution,
         accumulation, mixed, overrides] = x;
  Each(visit, precision, weights, activation_bits, symmetric_activations, calibration, bias_correction, execution,
       accumulation, mixed, overrides);
}
template <typename Visit>
void Fields(Visit& visit, Is<LayerOption> auto& x) {
  auto& [precision, time_us, weight_bytes] = x;
  Each(visit, precision, time_us, weight_bytes);
}
template <typename Visit>
void Fields(Visit& visit, Is<LayerFinding> auto& x) {
  auto& [name, chosen, sqnr_db, top1_disagreement, options] = x;
  Each(visit, name, chosen, sqnr_db, top1_disagreement, options);
}
template <typename Visit>
void Fields(Visit& visit, Is<Point> auto& x) {
  auto& [layers, sqnr_db, sqnr_low_db, top1_disagreement, expected_sqnr_db, expected_us, time_us, weight_bytes,
         meets_budget, is_pareto, chosen] = x;
  Each(visit, layers, sqnr_db, sqnr_low_db, top1_disagreement, expected_sqnr_db, expected_us, time_us, weight_bytes,
       meets_budget, is_pareto, chosen);
}
template <typename Visit>
void Fields(Visit& visit, Is<Report> auto& x) {
  auto& [budget, coarsest, samples, sensitivity_samples, budget_met, reason, layers, points] = x;
  Each(visit, budget, coarsest, samples, sensitivity_samples, budget_met, reason, layers, points);
}

}  // namespace

cache::Digest KeyOfSearch(const cache::Digest& calibration, const quant::Policy& policy, const std::string& machine,
                          int threads) {
  quant::Policy searched = policy;
  searched.calibration.source = {};  // the samples themselves are in `calibration`
  Saver parts;
  parts(searched);
  parts(machine);
  parts(threads);
  cache::Sha256 hash;
  hash.Number(kSearchKind.version);
  hash.Bytes(calibration.data(), calibration.size());
  hash.Text(parts.Take());
  return hash.Finish();
}

std::string FormatSearch(const cache::Digest& key, const Found& found) {
  Saver content;
  content(found.policy.overrides);
  content(found.report);
  return cache::Format(kSearchKind, key, content.Take());
}

absl::StatusOr<Found> ParseSearch(std::string_view bytes, const cache::Digest& key, const quant::Policy& policy) {
  PRECIS_ASSIGN_OR_RETURN(const std::string_view content, cache::Parse(kSearchKind, key, bytes));
  Loader load(content);
  Found found;
  found.policy = policy;
  load(found.policy.overrides);
  load(found.report);
  found.policy.mixed = found.report.budget;
  if (!load.AtEnd()) return absl::InvalidArgumentError("search file holds something else than it says");
  return found;
}

absl::StatusOr<Found> ReadSearch(const std::string& folder, const cache::Digest& key, const quant::Policy& policy) {
  PRECIS_ASSIGN_OR_RETURN(const std::string bytes, cache::Read(kSearchKind, folder, key));
  auto found = ParseSearch(bytes, key, policy);
  if (found.ok()) return found;
  return absl::InvalidArgumentError(
      absl::StrCat(cache::PathOf(kSearchKind, folder, key), ": ", std::string(found.status().message())));
}

absl::Status WriteSearch(const std::string& folder, const cache::Digest& key, const Found& found) {
  return cache::Write(kSearchKind, folder, key, FormatSearch(key, found));
}

}  // namespace precis::search
