#ifndef PRECIS_ENGINE_CACHE_BYTES_H_
#define PRECIS_ENGINE_CACHE_BYTES_H_

// Numbers, texts and lists to bytes and back, little-endian, without padding.

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace precis::cache {

static_assert(std::endian::native == std::endian::little, "numbers are written as they are in memory");

class Writer {
 public:
  template <typename T>
  void Number(T x) {
    static_assert(std::is_arithmetic_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&x), sizeof x);
  }
  void Bytes(std::string_view bytes) { bytes_.append(bytes); }
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

// Reads what Writer wrote, and holds for any bytes: once something does not fit in what is left, ok() is false and everything else reads as
// zero, empty or none.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  T Number() {
    T x{};
    if (const std::string_view part = Bytes(sizeof x); ok_) std::memcpy(&x, part.data(), sizeof x);
    return x;
  }
  // Borrowed from what is read.
  std::string_view Bytes(uint64_t size) {
    ok_ = ok_ && size <= bytes_.size();
    if (!ok_) return {};
    const std::string_view part = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return part;
  }
  std::string_view Text() { return Bytes(Number<uint64_t>()); }
  template <typename T>
  std::vector<T> List() {
    const auto count = Number<uint64_t>();
    ok_ = ok_ && count <= bytes_.size() / sizeof(T);
    if (!ok_) return {};
    std::vector<T> list(count);
    const std::string_view part = Bytes(count * sizeof(T));
    if (count > 0) std::memcpy(list.data(), part.data(), part.size());
    return list;
  }
  bool ok() const { return ok_; }
  bool AtEnd() const { return ok_ && bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace precis::cache

#endif  // PRECIS_ENGINE_CACHE_BYTES_H_
