#ifndef PRECIS_CLIENT_CLI_COMPARE_PAGE_H_
#define PRECIS_CLIENT_CLI_COMPARE_PAGE_H_

#include <string>

#include "client/cli/command.h"

namespace precis::cli {

// The result of `precis compare` (comparison_report.h with model, version, server, data and date) as a page of HTML: headline,
// table, charts, and how it was measured.
std::string ComparePage(const Json& result);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_COMPARE_PAGE_H_
