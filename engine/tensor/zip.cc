// Just the zip that numpy.savez and savez_compressed write. The central directory at the archive's end names each entry
// and where its local header lies; sizes come from the directory. Source: PKWARE APPNOTE.TXT, sections 4.3 and 4.4.

#include "engine/tensor/zip.h"

#include <zlib.h>

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace precis {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kDirectoryEntry = 0x02014b50, kEndOfDirectory = 0x06054b50;
constexpr size_t kLocalHeaderBytes = 30, kDirectoryEntryBytes = 46, kEndBytes = 22;
constexpr size_t kMaxCommentBytes = 0xffff;
constexpr uint32_t kZip64Mark = 0xffffffff;
constexpr uint16_t kStored = 0, kDeflated = 8;

// `bytes` little-endian bytes at `at`, which must lie within the archive.
uint32_t Number(std::string_view archive, size_t at, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= uint32_t{static_cast<uint8_t>(archive[at + i])} << (8 * i);
  return value;
}

absl::Status Broken(const char* what) { return absl::InvalidArgumentError(absl::StrCat("zip: ", what)); }

uint32_t Crc(std::string_view data) {
  uLong crc = crc32_z(0, nullptr, 0);
  return static_cast<uint32_t>(crc32_z(crc, reinterpret_cast<const Bytef*>(data.data()), data.size()));
}

// Raw deflate. `size` is what the directory claims: more is an error, and memory follows what really comes out.
absl::StatusOr<std::string> Inflate(std::string_view packed, size_t size) {
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return absl::ResourceExhaustedError("zip: no memory to inflate");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string content;
  char block[1 << 16];
  int result = Z_OK;
  while (result == Z_OK && content.size() <= size) {
    stream.next_out = reinterpret_cast<Bytef*>(block);
    stream.avail_out = sizeof(block);
    result = inflate(&stream, Z_NO_FLUSH);
    content.append(block, sizeof(block) - stream.avail_out);
  }
  inflateEnd(&stream);
  if (result != Z_STREAM_END || content.size() != size) return Broken("damaged deflated data");
  return content;
}

struct Entry {
  std::string name;
  uint16_t flags, method;
  uint32_t crc, packed_size, size, local_header;
};

absl::StatusOr<std::string> Content(std::string_view archive, const Entry& entry) {
  if ((entry.flags & 1) != 0) return absl::UnimplementedError("zip: encrypted entry");
  if (entry.packed_size == kZip64Mark || entry.size == kZip64Mark || entry.local_header == kZip64Mark) {
    return absl::UnimplementedError("zip: entries of 4 GB and more are not read");
  }
  if (entry.local_header > archive.size() || archive.size() - entry.local_header < kLocalHeaderBytes ||
      Number(archive, entry.local_header, 4) != kLocalHeader) {
    return Broken("entry without local header");
  }
  const size_t start = entry.local_header + kLocalHeaderBytes + Number(archive, entry.local_header + 26, 2) +
                       Number(archive, entry.local_header + 28, 2);
  if (start > archive.size() || archive.size() - start < entry.packed_size) return Broken("entry is cut short");
  const std::string_view packed = archive.substr(start, entry.packed_size);
  std::string content;
  if (entry.method == kStored && entry.packed_size == entry.size) {
    content = packed;
  } else if (entry.method == kDeflated) {
    PRECIS_ASSIGN_OR_RETURN(content, Inflate(packed, entry.size));
  } else {
    return absl::UnimplementedError(absl::StrCat("zip: compression method ", entry.method));
  }
  if (Crc(content) != entry.crc) return Broken("wrong CRC");
  return content;
}

// Where the end-of-directory record begins: the last one that the archive holds.
absl::StatusOr<size_t> FindEnd(std::string_view archive) {
  if (archive.size() < kEndBytes) return Broken("not a zip archive");
  const size_t last = archive.size() - kEndBytes;
  const size_t first = last > kMaxCommentBytes ? last - kMaxCommentBytes : 0;
  for (size_t at = last + 1; at-- > first;) {
    if (Number(archive, at, 4) == kEndOfDirectory) return at;
  }
  return Broken("not a zip archive");
}

void Append(std::string* out, std::initializer_list<std::pair<uint32_t, int>> numbers) {
  for (const auto& [value, bytes] : numbers) {
    for (int i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
  }
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> Unzip(std::string_view archive) {
  PRECIS_ASSIGN_OR_RETURN(const size_t end, FindEnd(archive));
  const uint32_t count = Number(archive, end + 10, 2);
  size_t at = Number(archive, end + 16, 4);
  std::map<std::string, std::string> files;
  for (uint32_t i = 0; i < count; ++i) {
    if (at > end || end - at < kDirectoryEntryBytes || Number(archive, at, 4) != kDirectoryEntry) {
      return Broken("damaged directory");
    }
    const size_t name_size = Number(archive, at + 28, 2);
    const size_t more = size_t{Number(archive, at + 30, 2)} + Number(archive, at + 32, 2);
    if (end - at - kDirectoryEntryBytes < name_size + more) return Broken("damaged directory");
    const Entry entry{.name = std::string(archive.substr(at + kDirectoryEntryBytes, name_size)),
                      .flags = static_cast<uint16_t>(Number(archive, at + 8, 2)),
                      .method = static_cast<uint16_t>(Number(archive, at + 10, 2)),
                      .crc = Number(archive, at + 16, 4),
                      .packed_size = Number(archive, at + 20, 4),
                      .size = Number(archive, at + 24, 4),
                      .local_header = Number(archive, at + 42, 4)};
    at += kDirectoryEntryBytes + name_size + more;
    if (entry.name.ends_with('/')) continue;
    PRECIS_ASSIGN_OR_RETURN(files[entry.name], Content(archive, entry));
  }
  return files;
}

std::string Zip(const std::map<std::string, std::string>& files) {
  constexpr uint32_t kVersion = 20;
  constexpr uint32_t kFirstOfJanuary1980 = 0x21;  // no clock in it: equal files make equal archives
  std::string archive, directory;
  for (const auto& [name, content] : files) {
    const uint32_t offset = static_cast<uint32_t>(archive.size()), size = static_cast<uint32_t>(content.size());
    const uint32_t name_size = static_cast<uint32_t>(name.size()), crc = Crc(content);
    Append(&archive, {{kLocalHeader, 4},
                      {kVersion, 2},
                      {0, 2},
                      {kStored, 2},
                      {0, 2},
                      {kFirstOfJanuary1980, 2},
                      {crc, 4},
                      {size, 4},
                      {size, 4},
                      {name_size, 2},
                      {0, 2}});
    archive += name;
    archive += content;
    Append(&directory, {{kDirectoryEntry, 4},
                        {kVersion, 2},
                        {kVersion, 2},
                        {0, 2},
                        {kStored, 2},
                        {0, 2},
                        {kFirstOfJanuary1980, 2},
                        {crc, 4},
                        {size, 4},
                        {size, 4},
                        {name_size, 2},
                        {0, 2},
                        {0, 2},
                        {0, 2},
                        {0, 2},
                        {0, 4},
                        {offset, 4}});
    directory += name;
  }
  const uint32_t count = static_cast<uint32_t>(files.size());
  const uint32_t start = static_cast<uint32_t>(archive.size()), size = static_cast<uint32_t>(directory.size());
  archive += directory;
  Append(&archive, {{kEndOfDirectory, 4}, {0, 2}, {0, 2}, {count, 2}, {count, 2}, {size, 4}, {start, 4}, {0, 2}});
  return archive;
}

}  // namespace precis
