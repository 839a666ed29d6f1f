#ifndef PRECIS_ENGINE_ONNX_QUOTING_H_
#define PRECIS_ENGINE_ONNX_QUOTING_H_

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace precis::onnx_import {

// A name from a file, fit for a message: quoted, escaped, and cut where it is absurdly long.
inline std::string Quoted(absl::string_view name) {
  constexpr size_t kMaxShown = 160;
  const bool cut = name.size() > kMaxShown;
  return absl::StrCat("\"", absl::Utf8SafeCEscape(name.substr(0, kMaxShown)), cut ? "…\"" : "\"");
}

}  // namespace precis::onnx_import

#endif  // PRECIS_ENGINE_ONNX_QUOTING_H_
