// .npy: "\x93NUMPY", version, header length, a Python dict literal {'descr': '<f4', 'fortran_order': False,
// 'shape': (2, 3), }, padding, then the elements. Source: NumPy, "NEP 1 - A simple file format for NumPy arrays".

#include "engine/tensor/npy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/float16.h"
#include "engine/base/status_macros.h"
#include "engine/tensor/zip.h"

namespace precis {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they are");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kHeaderAlignment = 64;
constexpr size_t kMaxRank = 32;  // NumPy's own bound for a long time

struct TypeCode {
  std::string_view code;  // without the byte order
  DataType type;
};
constexpr TypeCode kTypeCodes[] = {{"f4", DataType::kF32}, {"f8", DataType::kF64}, {"f2", DataType::kF16},
                                   {"i1", DataType::kS8},  {"u1", DataType::kU8},  {"i2", DataType::kS16},
                                   {"u2", DataType::kU16}, {"i4", DataType::kS32}, {"u4", DataType::kU32},
                                   {"i8", DataType::kS64}, {"u8", DataType::kU64}, {"b1", DataType::kBool}};

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.remove_suffix(1);
  return text;
}

// What stands after 'key': in the header, up to the end of the header; nothing when the key is missing.
std::optional<std::string_view> ValueOf(std::string_view header, std::string_view key) {
  const size_t at = header.find(absl::StrCat("'", std::string(key), "'"));
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = Trim(header.substr(at + key.size() + 2));
  if (rest.empty() || rest.front() != ':') return std::nullopt;
  return Trim(rest.substr(1));
}

absl::StatusOr<DataType> ParseType(std::string_view header) {
  const std::optional<std::string_view> value = ValueOf(header, "descr");
  const size_t end = value && value->starts_with('\'') ? value->find('\'', 1) : std::string_view::npos;
  if (end == std::string_view::npos) return absl::UnimplementedError("npy: structured types are not read");
  const std::string_view descr = value->substr(1, end - 1);
  if (descr.size() == 3 && (descr[0] == '<' || descr[0] == '|')) {
    for (const TypeCode& known : kTypeCodes) {
      if (known.code == descr.substr(1)) return known.type;
    }
  }
  return absl::UnimplementedError(
      absl::StrCat("npy: type '", std::string(descr), "' is not read; want little-endian f2 f4 f8 i1..i8 u1..u8 b1"));
}

absl::StatusOr<Shape> ParseShape(std::string_view header) {
  const absl::Status malformed = absl::InvalidArgumentError("npy: header has no valid 'shape'");
  const std::optional<std::string_view> value = ValueOf(header, "shape");
  if (!value || !value->starts_with('(')) return malformed;
  const size_t end = value->find(')');
  if (end == std::string_view::npos) return malformed;
  std::string_view rest = value->substr(1, end - 1);
  Shape shape;
  while (!(rest = Trim(rest)).empty()) {
    int64_t dimension = 0;
    const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), dimension);
    if (error != std::errc() || dimension < 0 || shape.size() == kMaxRank) return malformed;
    shape.push_back(dimension);
    rest = Trim(rest.substr(stop - rest.data()));
    if (rest.starts_with(',')) {
      rest.remove_prefix(1);
    } else if (!rest.empty()) {
      return malformed;
    }
  }
  return shape;
}

// Splits a file into header and elements.
absl::StatusOr<std::pair<std::string_view, std::string_view>> Split(std::string_view bytes) {
  if (!bytes.starts_with(kMagic) || bytes.size() < 12) return absl::InvalidArgumentError("npy: not a .npy file");
  const int major = bytes[6];
  if (major < 1 || major > 3) return absl::UnimplementedError(absl::StrCat("npy: format version ", major));
  const size_t length_bytes = major == 1 ? 2 : 4;
  size_t length = 0;
  for (size_t i = 0; i < length_bytes; ++i) length |= size_t{static_cast<uint8_t>(bytes[8 + i])} << (8 * i);
  const size_t start = 8 + length_bytes;
  if (length > bytes.size() - start) return absl::InvalidArgumentError("npy: header is cut short");
  return std::pair(bytes.substr(start, length), bytes.substr(start + length));
}

std::string_view CodeOf(DataType type) {
  for (const TypeCode& known : kTypeCodes) {
    if (known.type == type) return known.code;
  }
  return "f4";  // bf16
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot open"));
  if (!(content << file.rdbuf())) return absl::InvalidArgumentError(absl::StrCat(path, ": is empty or cannot be read"));
  return std::move(content).str();
}

absl::Status Annotate(const absl::Status& status, const std::string& path) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

}  // namespace

absl::StatusOr<Tensor> ParseNpy(std::string_view bytes) {
  PRECIS_ASSIGN_OR_RETURN(const auto parts, Split(bytes));
  const auto& [header, elements] = parts;
  PRECIS_ASSIGN_OR_RETURN(const DataType type, ParseType(header));
  PRECIS_ASSIGN_OR_RETURN(Shape shape, ParseShape(header));
  const std::optional<std::string_view> fortran = ValueOf(header, "fortran_order");
  if (!fortran) return absl::InvalidArgumentError("npy: header has no 'fortran_order'");
  if (!fortran->starts_with("False")) {
    return absl::UnimplementedError("npy: array is in Fortran order; save numpy.ascontiguousarray(x)");
  }
  const int64_t count = CheckedNumElements(shape, static_cast<int64_t>(elements.size() / SizeOf(type)));
  if (count < 0 || elements.size() != static_cast<size_t>(count) * SizeOf(type)) {
    return absl::InvalidArgumentError(absl::StrCat("npy: ", elements.size(), " bytes of data do not make ",
                                                   std::string(Name(type)), " ", ShapeToString(shape)));
  }
  Tensor tensor(type, std::move(shape));
  if (!elements.empty()) std::memcpy(tensor.data(), elements.data(), elements.size());
  return tensor;
}

absl::StatusOr<std::map<std::string, Tensor>> ParseNpz(std::string_view bytes) {
  using Files = std::map<std::string, std::string>;
  PRECIS_ASSIGN_OR_RETURN(const Files files, Unzip(bytes));
  std::map<std::string, Tensor> tensors;
  for (const auto& [file, content] : files) {
    absl::StatusOr<Tensor> tensor = ParseNpy(content);
    if (!tensor.ok()) return Annotate(tensor.status(), file);
    tensors.emplace(file.ends_with(".npy") ? file.substr(0, file.size() - 4) : file, *std::move(tensor));
  }
  return tensors;
}

absl::StatusOr<Tensor> ReadNpy(const std::string& path) {
  PRECIS_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  absl::StatusOr<Tensor> tensor = ParseNpy(content);
  if (!tensor.ok()) return Annotate(tensor.status(), path);
  return tensor;
}

absl::StatusOr<std::map<std::string, Tensor>> ReadNpz(const std::string& path) {
  PRECIS_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  absl::StatusOr<std::map<std::string, Tensor>> tensors = ParseNpz(content);
  if (!tensors.ok()) return Annotate(tensors.status(), path);
  return tensors;
}

std::string FormatNpy(const TensorView& tensor) {
  const bool one_byte = SizeOf(tensor.dtype) == 1;
  std::string header = absl::StrCat("{'descr': '", one_byte ? "|" : "<", std::string(CodeOf(tensor.dtype)),
                                    "', 'fortran_order': False, 'shape': (", absl::StrJoin(tensor.shape, ", "),
                                    tensor.shape.size() == 1 ? ",), }" : "), }");
  const size_t prefix = kMagic.size() + 4;
  header.append(kHeaderAlignment - (prefix + header.size() + 1) % kHeaderAlignment, ' ');
  header.push_back('\n');
  std::string content(kMagic);
  content += {'\1', '\0', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  content += header;
  if (tensor.dtype == DataType::kBF16) {
    const auto* patterns = static_cast<const uint16_t*>(tensor.data);
    for (int64_t i = 0; i < tensor.num_elements(); ++i) {
      const float value = BF16ToF32(patterns[i]);
      content.append(reinterpret_cast<const char*>(&value), sizeof(value));
    }
  } else {
    content.append(static_cast<const char*>(tensor.data), tensor.size_bytes());
  }
  return content;
}

std::string FormatNpz(const std::map<std::string, TensorView>& tensors) {
  std::map<std::string, std::string> files;
  for (const auto& [name, tensor] : tensors) files[name + ".npy"] = FormatNpy(tensor);
  return Zip(files);
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view content) {
  constexpr char kSuffix[] = ".part";
  const auto fail = [&] {
    return absl::UnavailableError(absl::StrCat(path, ": cannot write: ", std::strerror(errno)));
  };
  std::string draft = absl::StrCat(path, ".XXXXXX", kSuffix);
  const int file = mkostemps(draft.data(), static_cast<int>(sizeof kSuffix) - 1, O_CLOEXEC);
  if (file < 0) return fail();
  bool written = true;
  while (written && !content.empty()) {
    const ssize_t count = write(file, content.data(), content.size());
    written = count > 0 || (count < 0 && errno == EINTR);
    if (count > 0) content.remove_prefix(static_cast<size_t>(count));
  }
  constexpr mode_t kReadableByAll = 0644;
  written = written && fchmod(file, kReadableByAll) == 0 && fsync(file) == 0;
  written = close(file) == 0 && written;
  if (!written || std::rename(draft.c_str(), path.c_str()) != 0) {
    const absl::Status status = fail();
    std::remove(draft.c_str());
    return status;
  }
  // The name too, where the folder can be opened: the content is safe either way.
  const size_t slash = path.find_last_of('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (const int names = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); names >= 0) {
    fsync(names);
    close(names);
  }
  return absl::OkStatus();
}

}  // namespace precis
