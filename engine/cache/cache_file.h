#ifndef PRECIS_ENGINE_CACHE_CACHE_FILE_H_
#define PRECIS_ENGINE_CACHE_CACHE_FILE_H_

// A folder of files, one per key, named by it. A key is a hash over all that a content depends on; a change of any of it is another file. What
// a file holds is checked by a digest of its own before a byte of it is believed. Files appear whole or not at all, so a process may be
// killed at any moment and several may share a folder. Nothing is ever removed but drafts of killed processes: the folder's size is the
// operator's.
//
// File, little-endian: magic (8 bytes), u32 version, key (32 bytes), u64 length of the content, SHA-256 of the content, content.

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/cache/sha256.h"

namespace precis::cache {

// One kind of content.
struct Kind {
  std::string_view name;       // in messages: "calibration"
  std::string_view magic;      // 8 characters
  std::string_view extension;  // of its files: ".calibration"
  uint32_t version = 0;        // of the content's layout and meaning: raised when either changes
};

// A whole file and back. Parse holds for any bytes, and what it returns borrows from them; InvalidArgument says what is wrong: truncated,
// damaged, another version or key.
std::string Format(const Kind& kind, const Digest& key, std::string_view content);
absl::StatusOr<std::string_view> Parse(const Kind& kind, const Digest& key, std::string_view file);

// Path of the key's file.
std::string PathOf(const Kind& kind, const std::string& folder, const Digest& key);

// The bytes of the key's file, to be parsed. NotFound when there is none.
absl::StatusOr<std::string> Read(const Kind& kind, const std::string& folder, const Digest& key);

// Writes what Format made. Makes the folder where it is missing, and removes drafts that killed processes left there. Unavailable when it cannot
// write.
absl::Status Write(const Kind& kind, const std::string& folder, const Digest& key, std::string_view file);

}  // namespace precis::cache

#endif  // PRECIS_ENGINE_CACHE_CACHE_FILE_H_
