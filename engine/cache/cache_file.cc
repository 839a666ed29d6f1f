#include "engine/cache/cache_file.h"

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/cache/bytes.h"
#include "engine/tensor/npy.h"

namespace precis::cache {
namespace {

constexpr char kDraftExtension[] = ".part";
// A draft that has not been touched for so long has lost its process.
constexpr std::chrono::hours kDraftLifetime{1};

std::string HexOf(const Digest& digest) {
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string_view BytesOf(const Digest& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

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

std::string Format(const Kind& kind, const Digest& key, std::string_view content) {
  Writer file;
  file.Bytes(kind.magic);
  file.Number(kind.version);
  file.Bytes(BytesOf(key));
  file.Number<uint64_t>(content.size());
  file.Bytes(BytesOf(DigestOf(content)));
  file.Bytes(content);
  return file.Take();
}

absl::StatusOr<std::string_view> Parse(const Kind& kind, const Digest& key, std::string_view bytes) {
  const auto untrusted = [&](auto... why) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(kind.name), " file", why...));
  };
  Reader file(bytes);
  if (file.Bytes(kind.magic.size()) != kind.magic) return untrusted(" expected, but it does not begin like one");
  if (const auto version = file.Number<uint32_t>(); !file.ok() || version != kind.version)
    return untrusted(" of version ", version, ", want ", kind.version);
  if (file.Bytes(key.size()) != BytesOf(key)) return untrusted(" of something else than its name says");
  const auto size = file.Number<uint64_t>();
  const std::string_view digest = file.Bytes(sizeof(Digest));
  const std::string_view content = file.Bytes(size);
  if (!file.AtEnd()) return untrusted(" of the wrong length: cut short or written over");
  if (digest != BytesOf(DigestOf(content))) return untrusted(" is damaged: its content does not match its digest");
  return content;
}

std::string PathOf(const Kind& kind, const std::string& folder, const Digest& key) {
  return absl::StrCat(folder, "/", HexOf(key), std::string(kind.extension));
}

absl::StatusOr<std::string> Read(const Kind& kind, const std::string& folder, const Digest& key) {
  const std::string path = PathOf(kind, folder, key);
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": no such file"));
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return std::move(bytes).str();
}

absl::Status Write(const Kind& kind, const std::string& folder, const Digest& key, std::string_view file) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat(folder, ": cannot make the folder: ", error.message()));
  RemoveAbandonedDrafts(folder);
  return WriteFileAtomically(PathOf(kind, folder, key), file);
}

}  // namespace precis::cache
