#ifndef PRECIS_SERVER_CONFIG_POLICY_FIELD_H_
#define PRECIS_SERVER_CONFIG_POLICY_FIELD_H_

// What is wrong with a field of a policy, said by its name.

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace precis::server {

inline absl::Status Bad(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("policy field ", field, ": ", what));
}
inline absl::Status NotYet(absl::string_view field, absl::string_view value) {
  return absl::UnimplementedError(absl::StrCat("policy field ", field, ": ", value, " is not implemented"));
}

}  // namespace precis::server

#endif  // PRECIS_SERVER_CONFIG_POLICY_FIELD_H_
