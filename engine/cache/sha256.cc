#include "engine/cache/sha256.h"

#include <fstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "openssl/evp.h"

namespace precis::cache {

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }

void Sha256::Bytes(const void* data, size_t size) { EVP_DigestUpdate(context_.get(), data, size); }

void Sha256::Text(std::string_view text) {
  Number<uint64_t>(text.size());
  Bytes(text.data(), text.size());
}

void Sha256::Content(const TensorView& tensor) {
  Number(static_cast<int32_t>(tensor.dtype));
  Number<uint64_t>(tensor.shape.size());
  for (int64_t d : tensor.shape) Number(d);
  Bytes(tensor.data, tensor.size_bytes());
}

absl::Status Sha256::File(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> block(1 << 20);
  uint64_t size = 0;
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0) {
    Bytes(block.data(), static_cast<size_t>(file.gcount()));
    size += static_cast<uint64_t>(file.gcount());
  }
  if (!file.eof()) return absl::NotFoundError(absl::StrCat(path, ": cannot read"));
  Number(size);
  return absl::OkStatus();
}

Digest Sha256::Finish() {
  Digest digest{};
  EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr);
  return digest;
}

Digest DigestOf(std::string_view bytes) {
  Sha256 hash;
  hash.Bytes(bytes.data(), bytes.size());
  return hash.Finish();
}

}  // namespace precis::cache
