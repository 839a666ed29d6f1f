// The model's file says what the operators' attributes are; the graph's constants hold the weights wherever they came from, and its listing
// changes with the passes.
#include "engine/quant/calibration_cache.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/cache/bytes.h"
#include "engine/cache/cache_file.h"

namespace precis::quant {
namespace {

constexpr cache::Kind kNote = {"stream note", "PRECISSN", ".stream", 1};

constexpr uint64_t kMostInputs = 1024, kMostDims = 64;  // what a note may name

void Write(cache::Writer& w, const ValueStatistics& s) {
  w.Number(s.min);
  w.Number(s.max);
  w.Number(s.sum_of_mins);
  w.Number(s.sum_of_maxs);
  w.Number(s.samples);
  w.Number<uint8_t>(s.finite);
  w.Number(s.histogram.range());
  w.List(s.histogram.bins());
  w.List(s.channel_sums);
  w.Number(s.positions);
  w.List(s.channel_max);
  w.List(s.smoothing);
}

ValueStatistics ReadStatistics(cache::Reader& r) {
  ValueStatistics s;
  s.min = r.Number<float>();
  s.max = r.Number<float>();
  s.sum_of_mins = r.Number<double>();
  s.sum_of_maxs = r.Number<double>();
  s.samples = r.Number<int64_t>();
  s.finite = r.Number<uint8_t>() != 0;
  const auto range = r.Number<float>();
  s.histogram = Histogram(range, r.List<double>());
  s.channel_sums = r.List<double>();
  s.positions = r.Number<int64_t>();
  s.channel_max = r.List<float>();
  s.smoothing = r.List<float>();
  return s;
}

void Write(cache::Writer& w, const CalibrationKey& key) {
  w.Bytes({reinterpret_cast<const char*>(key.data()), key.size()});
}

CalibrationKey ReadKey(cache::Reader& r) {
  CalibrationKey key{};
  if (const std::string_view bytes = r.Bytes(key.size()); r.ok()) std::memcpy(key.data(), bytes.data(), key.size());
  return key;
}

// What of the policy decides which values are counted and how.
void HashPolicy(const Policy& policy, cache::Sha256& hash) {
  hash.Number(kCalibrationKind.version);
  hash.Number(static_cast<int32_t>(policy.calibration.method));
  hash.Number(static_cast<int32_t>(policy.weights.granularity));
  hash.Number(policy.weights.bits);
  for (const LayerOverride& o : policy.overrides) {
    hash.Text(o.pattern);
    hash.Number(o.weights ? o.weights->bits : 0);
    hash.Number(o.weights ? static_cast<int32_t>(o.weights->granularity) : -1);
  }
}

absl::Status Untrusted(const std::string& path, const absl::Status& why) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", std::string(why.message())));
}

absl::StatusOr<StreamNote> ParseNote(std::string_view bytes, const CalibrationKey& stream) {
  PRECIS_ASSIGN_OR_RETURN(const std::string_view body, cache::Parse(kNote, stream, bytes));
  cache::Reader content(body);
  StreamNote note;
  note.network = ReadKey(content);
  note.calibration = ReadKey(content);
  const auto inputs = content.Number<uint64_t>();
  for (uint64_t i = 0; i < std::min(inputs, kMostInputs) && content.ok(); ++i) {
    note.input_shapes.push_back(content.List<int64_t>());
    const Shape& shape = note.input_shapes.back();
    if (shape.size() > kMostDims || std::any_of(shape.begin(), shape.end(), [](int64_t d) { return d < 0; }))
      return absl::InvalidArgumentError("stream note of impossible shapes");
  }
  if (!content.AtEnd()) return absl::InvalidArgumentError("stream note holds something else than it says");
  return note;
}

}  // namespace

absl::StatusOr<CalibrationKey> KeyOfNetwork(const std::string& model_path, const ir::Graph& graph,
                                            const Policy& policy) {
  cache::Sha256 hash;
  PRECIS_RETURN_IF_ERROR(hash.File(model_path));
  HashPolicy(policy, hash);
  hash.Text(graph.ToString());
  for (ir::ValueId v = 0; v < graph.num_values(); ++v) {
    if (!graph.IsConstant(v)) continue;
    hash.Text(graph.value(v).name);
    hash.Content(graph.value(v).constant->view());
  }
  return hash.Finish();
}

void SamplesHash::Add(const std::vector<Tensor>& sample) {
  for (const Tensor& t : sample) hash_.Content(t.view());
  ++samples_;
}

CalibrationKey SamplesHash::KeyWith(const CalibrationKey& network) {
  hash_.Number(samples_);
  hash_.Bytes(network.data(), network.size());
  return hash_.Finish();
}

absl::StatusOr<CalibrationKey> KeyOfCalibration(const std::string& model_path, const ir::Graph& graph,
                                                const Policy& policy, const SampleSource& samples) {
  PRECIS_ASSIGN_OR_RETURN(const CalibrationKey network, KeyOfNetwork(model_path, graph, policy));
  SamplesHash hash;
  const int64_t count = SampleCount(policy, samples);
  for (int64_t i = 0; i < count; ++i) {
    PRECIS_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, samples.Sample(i));
    hash.Add(sample);
  }
  return hash.KeyWith(network);
}

std::string FormatCalibration(const CalibrationKey& key, const CalibrationTable& table) {
  std::vector<std::string> names;
  for (const auto& [name, unused] : table.values()) names.push_back(name);
  std::sort(names.begin(), names.end());
  cache::Writer content;
  content.Number<uint64_t>(names.size());
  for (const std::string& name : names) {
    content.Text(name);
    Write(content, *table.Find(name));
  }
  return cache::Format(kCalibrationKind, key, content.Take());
}

absl::StatusOr<std::shared_ptr<const CalibrationTable>> ParseCalibration(std::string_view bytes,
                                                                         const CalibrationKey& key) {
  PRECIS_ASSIGN_OR_RETURN(const std::string_view body, cache::Parse(kCalibrationKind, key, bytes));
  cache::Reader content(body);
  auto table = std::make_shared<CalibrationTable>();
  const auto values = content.Number<uint64_t>();
  for (uint64_t i = 0; i < values && content.ok(); ++i) {
    const std::string name(content.Text());
    ValueStatistics s = ReadStatistics(content);
    const size_t bins = s.histogram.bins().size();
    if (bins != 0 && bins != static_cast<size_t>(Histogram::kBins))
      return absl::InvalidArgumentError("histogram of another size");
    (*table)[name] = std::move(s);
  }
  if (!content.AtEnd()) return absl::InvalidArgumentError("calibration file holds something else than it says");
  return table;
}

std::string CalibrationPath(const std::string& folder, const CalibrationKey& key) {
  return cache::PathOf(kCalibrationKind, folder, key);
}

absl::StatusOr<std::shared_ptr<const CalibrationTable>> ReadCalibration(const std::string& folder,
                                                                        const CalibrationKey& key) {
  PRECIS_ASSIGN_OR_RETURN(const std::string bytes, cache::Read(kCalibrationKind, folder, key));
  auto table = ParseCalibration(bytes, key);
  if (!table.ok()) return Untrusted(CalibrationPath(folder, key), table.status());
  return table;
}

absl::Status WriteCalibration(const std::string& folder, const CalibrationKey& key, const CalibrationTable& table) {
  return cache::Write(kCalibrationKind, folder, key, FormatCalibration(key, table));
}

absl::StatusOr<CalibrationKey> KeyOfStream(const std::string& model_path, const Policy& policy) {
  cache::Sha256 hash;
  PRECIS_RETURN_IF_ERROR(hash.File(model_path));
  HashPolicy(policy, hash);
  if (policy.calibration.source == CalibrationSource::kLive) {
    hash.Text("live");
    hash.Number(policy.calibration.sample_limit);
  }
  return hash.Finish();
}

absl::StatusOr<StreamNote> ReadStreamNote(const std::string& folder, const CalibrationKey& stream) {
  PRECIS_ASSIGN_OR_RETURN(const std::string bytes, cache::Read(kNote, folder, stream));
  auto note = ParseNote(bytes, stream);
  if (!note.ok()) return Untrusted(cache::PathOf(kNote, folder, stream), note.status());
  return note;
}

absl::Status WriteStreamNote(const std::string& folder, const CalibrationKey& stream, const StreamNote& note) {
  cache::Writer content;
  Write(content, note.network);
  Write(content, note.calibration);
  content.Number<uint64_t>(note.input_shapes.size());
  for (const Shape& shape : note.input_shapes) content.List(shape);
  return cache::Write(kNote, folder, stream, cache::Format(kNote, stream, content.Take()));
}

}  // namespace precis::quant
