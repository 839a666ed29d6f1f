#include "server/config/model_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace precis::server {
namespace {
constexpr size_t kMaxNameLength = 255;  // what a folder's name may have
}  // namespace

absl::Status CheckNamePart(absl::string_view part, absl::string_view what) {
  const bool good_characters = std::all_of(part.begin(), part.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
  });
  if (part.empty() || part.size() > kMaxNameLength || part.front() == '.' || !good_characters) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " \"", absl::CHexEscape(part.substr(0, kMaxNameLength)),
                     "\": want letters, digits, '_', '-' and '.', not starting with '.'"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ModelName> ParseModelName(absl::string_view name) {
  ModelName result;
  const size_t at = name.find('@');
  result.model = std::string(name.substr(0, at));
  PRECIS_RETURN_IF_ERROR(CheckNamePart(result.model, "model name"));
  if (at != absl::string_view::npos) {
    result.variant = std::string(name.substr(at + 1));
    PRECIS_RETURN_IF_ERROR(CheckNamePart(result.variant, "variant name"));
  }
  return result;
}

std::string JoinModelName(absl::string_view model, absl::string_view variant) {
  return absl::StrCat(model, "@", variant);
}

absl::StatusOr<int64_t> ParseVersion(absl::string_view version) {
  if (version.empty()) return 0;
  int64_t number = 0;
  if (!absl::SimpleAtoi(version, &number) || number < 1 || absl::StrCat(number) != version) {
    return absl::InvalidArgumentError(
        absl::StrCat("model version \"", absl::CHexEscape(version.substr(0, 32)), "\": want a number of at least 1"));
  }
  return number;
}

}  // namespace precis::server
