#ifndef PRECIS_CLIENT_CLI_PLAN_PAGE_H_
#define PRECIS_CLIENT_CLI_PLAN_PAGE_H_

#include <string>

#include "client/cli/command.h"

namespace precis::cli {

// A page about a mixed variant: what the search chose, its Pareto curve, the map of precisions and the layers' sensitivity. `plan` is what
// `precis plan --json` prints, with "search".
std::string PlanPage(const Json& plan);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_PLAN_PAGE_H_
