#include "server/rpc/infer_request.h"

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace precis::server {
namespace {

constexpr size_t kMaxQuotedBytes = 100;

}  // namespace

std::string Quoted(absl::string_view name) {
  return absl::StrCat("\"", absl::CHexEscape(name.substr(0, kMaxQuotedBytes)), "\"");
}

absl::StatusOr<uint64_t> CountParameter(const InferParameters& parameters, const char* name) {
  const auto found = parameters.find(name);
  if (found == parameters.end()) return 0;
  const inference::InferParameter& value = found->second;
  if (value.has_uint64_param()) return value.uint64_param();
  if (!value.has_int64_param()) return absl::InvalidArgumentError(absl::StrCat(name, ": want an integer"));
  if (value.int64_param() < 0) return absl::InvalidArgumentError(absl::StrCat(name, ": ", value.int64_param()));
  return static_cast<uint64_t>(value.int64_param());
}

}  // namespace precis::server
