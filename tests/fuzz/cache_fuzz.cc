// The contents of cache files on arbitrary bytes, behind a header and a checksum that fit, as a file of another build might have them: an error, or
// results that are written and read back as the same bytes. The first byte says whose content follows: 's' a search's, else a calibration's.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/quant/calibration_cache.h"
#include "engine/search/search_cache.h"

namespace {

using precis::cache::Digest;

void Calibration(std::string_view content) {
  const Digest key{};
  const auto table =
      precis::quant::ParseCalibration(precis::cache::Format(precis::quant::kCalibrationKind, key, content), key);
  if (!table.ok()) return;
  const std::string written = precis::quant::FormatCalibration(key, **table);
  const auto read = precis::quant::ParseCalibration(written, key);
  if (!read.ok() || precis::quant::FormatCalibration(key, **read) != written) std::abort();
}

void Search(std::string_view content) {
  const Digest key{};
  const precis::quant::Policy policy;
  const auto found =
      precis::search::ParseSearch(precis::cache::Format(precis::search::kSearchKind, key, content), key, policy);
  if (!found.ok()) return;
  const std::string written = precis::search::FormatSearch(key, *found);
  const auto read = precis::search::ParseSearch(written, key, policy);
  if (!read.ok() || precis::search::FormatSearch(key, *read) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view content(reinterpret_cast<const char*>(data) + 1, size - 1);
  data[0] == 's' ? Search(content) : Calibration(content);
  return 0;
}
