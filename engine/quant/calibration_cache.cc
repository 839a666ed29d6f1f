// The model's file says what the operators' attributes are; the graph's constants hold the weights wherever they came from, and its listing
// changes with the passes.
#include "engine/quant/calibration_cache.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <type_traits>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/tensor/npy.h"
#include "openssl/evp.h"

namespace precis::quant {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they are in memory");

constexpr std::string_view kMagic = "PRECISCT";
// Of the layout, and of what calibration counts: raised when either changes.
constexpr uint32_t kVersion = 1;
constexpr char kExtension[] = ".calibration";
constexpr char kDraftExtension[] = ".part";
// A draft that has not been touched for so long has lost its process.
constexpr std::chrono::hours kDraftLifetime{1};

using Digest = std::array<uint8_t, 32>;

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256() { EVP_MD_CTX_free(context_); }

  void Bytes(const void* data, size_t size) { EVP_DigestUpdate(context_, data, size); }
  template <typename T>
  void Number(T x) {
    static_assert(std::is_arithmetic_v<T>);
    Bytes(&x, sizeof x);
  }
  // With its length, so that neighbours cannot trade bytes.
  void Text(std::string_view text) {
    Number<uint64_t>(text.size());
    Bytes(text.data(), text.size());
  }
  void Content(const Tensor& t) {
    Number(static_cast<int32_t>(t.dtype()));
    Number<uint64_t>(t.shape().size());
    for (int64_t d : t.shape()) Number(d);
    Bytes(t.data(), t.size_bytes());
  }
  Digest Finish() {
    Digest digest{};
    EVP_DigestFinal_ex(context_, digest.data(), nullptr);
    return digest;
  }

 private:
  EVP_MD_CTX* context_;
};

Digest DigestOf(std::string_view bytes) {
  Sha256 hash;
  hash.Bytes(bytes.data(), bytes.size());
  return hash.Finish();
}

class Writer {
 public:
  template <typename T>
  void Number(T x) {
    static_assert(std::is_arithmetic_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&x), sizeof x);
  }
  void Text(std::string_view text) {
    Number<uint64_t>(text.size());
    bytes_.append(text);
  }
  template <typename T>
  void List(const std::vector<T>& list) {
    Number<uint64_t>(list.size());
    bytes_.append(reinterpret_cast<const char*>(list.data()), list.size() * sizeof(T));
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads what Writer wrote; once something does not fit in what is left, ok() is false and everything else reads as zero.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  T Number() {
    T x{};
    if (const std::string_view part = Part(sizeof x); ok_) std::memcpy(&x, part.data(), sizeof x);
    return x;
  }
  std::string_view Part(uint64_t size) {
    ok_ = ok_ && size <= bytes_.size();
    if (!ok_) return {};
    const std::string_view part = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return part;
  }
  std::string_view Text() { return Part(Number<uint64_t>()); }
  template <typename T>
  std::vector<T> List() {
    const auto count = Number<uint64_t>();
    ok_ = ok_ && count <= bytes_.size() / sizeof(T);
    if (!ok_) return {};
    std::vector<T> list(count);
    const std::string_view part = Part(count * sizeof(T));
    if (count > 0) std::memcpy(list.data(), part.data(), part.size());
    return list;
  }
  bool ok() const { return ok_; }
  bool AtEnd() const { return ok_ && bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

void Write(Writer& w, const ValueStatistics& s) {
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

ValueStatistics ReadStatistics(Reader& r) {
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

absl::Status HashFile(const std::string& path, Sha256& hash) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> block(1 << 20);
  uint64_t size = 0;
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0) {
    hash.Bytes(block.data(), static_cast<size_t>(file.gcount()));
    size += static_cast<uint64_t>(file.gcount());
  }
  if (!file.eof()) return absl::NotFoundError(absl::StrCat(path, ": cannot read"));
  hash.Number(size);
  return absl::OkStatus();
}

absl::Status Untrusted(absl::string_view why) { return absl::InvalidArgumentError(why); }

void RemoveAbandonedDrafts(const std::string& folder) {
  const auto now = std::filesystem::file_time_type::clock::now();
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const auto written = it->last_write_time(ignored);
    if (!ignored && absl::EndsWith(it->path().string(), kDraftExtension) && now - written > kDraftLifetime)
      std::filesystem::remove(it->path(), ignored);
  }
}

}  // namespace

absl::StatusOr<CalibrationKey> KeyOfCalibration(const std::string& model_path, const ir::Graph& graph,
                                                const Policy& policy, const SampleSource& samples) {
  Sha256 hash;
  PRECIS_RETURN_IF_ERROR(HashFile(model_path, hash));
  hash.Number(kVersion);
  hash.Number(static_cast<int32_t>(policy.calibration.method));
  hash.Number(static_cast<int32_t>(policy.weights.granularity));
  hash.Number(policy.weights.bits);
  for (const LayerOverride& o : policy.overrides) {
    hash.Text(o.pattern);
    hash.Number(o.weights ? o.weights->bits : 0);
  }
  const int64_t count = SampleCount(policy, samples);
  hash.Number(count);
  hash.Text(graph.ToString());
  for (ir::ValueId v = 0; v < graph.num_values(); ++v) {
    if (!graph.IsConstant(v)) continue;
    hash.Text(graph.value(v).name);
    hash.Content(*graph.value(v).constant);
  }
  for (int64_t i = 0; i < count; ++i) {
    PRECIS_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, samples.Sample(i));
    for (const Tensor& t : sample) hash.Content(t);
  }
  return hash.Finish();
}

std::string FormatCalibration(const CalibrationKey& key, const CalibrationTable& table) {
  std::vector<std::string> names;
  for (const auto& [name, unused] : table.values()) names.push_back(name);
  std::sort(names.begin(), names.end());
  Writer content;
  content.Number<uint64_t>(names.size());
  for (const std::string& name : names) {
    content.Text(name);
    Write(content, *table.Find(name));
  }
  const std::string body = content.Take();
  const Digest digest = DigestOf(body);
  Writer file;
  for (char c : kMagic) file.Number(c);
  file.Number(kVersion);
  for (uint8_t b : key) file.Number(b);
  file.Number<uint64_t>(body.size());
  for (uint8_t b : digest) file.Number(b);
  return file.Take() + body;
}

absl::StatusOr<std::shared_ptr<const CalibrationTable>> ParseCalibration(std::string_view bytes,
                                                                         const CalibrationKey& key) {
  Reader file(bytes);
  if (file.Part(kMagic.size()) != kMagic) return Untrusted("not a calibration file");
  if (const auto version = file.Number<uint32_t>(); !file.ok() || version != kVersion)
    return Untrusted(absl::StrCat("calibration file of version ", version, ", want ", kVersion));
  const std::string_view stored_key = file.Part(key.size());
  if (!file.ok() || std::memcmp(stored_key.data(), key.data(), key.size()) != 0)
    return Untrusted("calibration of another network, data or policy");
  const auto size = file.Number<uint64_t>();
  const std::string_view stored_digest = file.Part(sizeof(Digest));
  const std::string_view body = file.Part(size);
  if (!file.AtEnd()) return Untrusted("calibration file of the wrong length: cut short or written over");
  const Digest digest = DigestOf(body);
  if (std::memcmp(stored_digest.data(), digest.data(), digest.size()) != 0)
    return Untrusted("calibration file is damaged: its content does not match its digest");
  Reader content(body);
  auto table = std::make_shared<CalibrationTable>();
  const auto values = content.Number<uint64_t>();
  for (uint64_t i = 0; i < values && content.ok(); ++i) {
    const std::string name(content.Text());
    ValueStatistics s = ReadStatistics(content);
    const size_t bins = s.histogram.bins().size();
    if (bins != 0 && bins != static_cast<size_t>(Histogram::kBins)) return Untrusted("histogram of another size");
    (*table)[name] = std::move(s);
  }
  if (!content.AtEnd()) return Untrusted("calibration file holds something else than it says");
  return table;
}

std::string CalibrationPath(const std::string& folder, const CalibrationKey& key) {
  const std::string hex = absl::BytesToHexString({reinterpret_cast<const char*>(key.data()), key.size()});
  return absl::StrCat(folder, "/", hex, kExtension);
}

absl::StatusOr<std::shared_ptr<const CalibrationTable>> ReadCalibration(const std::string& folder,
                                                                        const CalibrationKey& key) {
  const std::string path = CalibrationPath(folder, key);
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": no such file"));
  std::ostringstream bytes;
  bytes << file.rdbuf();
  auto table = ParseCalibration(bytes.view(), key);
  if (!table.ok()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", std::string(table.status().message())));
  return table;
}

absl::Status WriteCalibration(const std::string& folder, const CalibrationKey& key, const CalibrationTable& table) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat(folder, ": cannot make the folder: ", error.message()));
  RemoveAbandonedDrafts(folder);
  return WriteFileAtomically(CalibrationPath(folder, key), FormatCalibration(key, table));
}

}  // namespace precis::quant
