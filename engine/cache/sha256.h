#ifndef PRECIS_ENGINE_CACHE_SHA256_H_
#define PRECIS_ENGINE_CACHE_SHA256_H_

// SHA-256 (FIPS 180-4) over typed pieces, by OpenSSL. Numbers go in as they lie in memory.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "engine/tensor/tensor.h"

struct evp_md_ctx_st;

namespace precis::cache {

using Digest = std::array<uint8_t, 32>;

class Sha256 {
 public:
  Sha256();

  void Bytes(const void* data, size_t size);
  template <typename T>
  void Number(T x) {
    static_assert(std::is_arithmetic_v<T>);
    Bytes(&x, sizeof x);
  }
  // With its length, so that neighbours cannot trade bytes.
  void Text(std::string_view text);
  // Type, shape and elements.
  void Content(const TensorView& tensor);
  // The whole file and its length. NotFound when it cannot be read.
  absl::Status File(const std::string& path);

  // Ends it: nothing may be added any more.
  Digest Finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

Digest DigestOf(std::string_view bytes);

}  // namespace precis::cache

#endif  // PRECIS_ENGINE_CACHE_SHA256_H_
