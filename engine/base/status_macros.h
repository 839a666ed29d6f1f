#ifndef PRECIS_ENGINE_BASE_STATUS_MACROS_H_
#define PRECIS_ENGINE_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function (which returns Status or StatusOr) when `expr` is not OK.
#define PRECIS_RETURN_IF_ERROR(expr)                                                         \
  do {                                                                                       \
    if (::absl::Status precis_status_ = (expr); !precis_status_.ok()) return precis_status_; \
  } while (false)

// NOLINTBEGIN(bugprone-macro-parentheses): `lhs` may be a declaration, `result` a name.
#define PRECIS_CONCAT_INNER_(a, b) a##b
#define PRECIS_CONCAT_(a, b) PRECIS_CONCAT_INNER_(a, b)
#define PRECIS_ASSIGN_OR_RETURN_IMPL_(result, lhs, expr) \
  auto result = (expr);                                  \
  if (!result.ok()) return result.status();              \
  lhs = std::move(result).value()
// NOLINTEND(bugprone-macro-parentheses)

// PRECIS_ASSIGN_OR_RETURN(auto x, MakeX()): assigns the value of a StatusOr, or returns its status.
#define PRECIS_ASSIGN_OR_RETURN(lhs, expr) \
  PRECIS_ASSIGN_OR_RETURN_IMPL_(PRECIS_CONCAT_(precis_result_, __LINE__), lhs, expr)

#endif  // PRECIS_ENGINE_BASE_STATUS_MACROS_H_
