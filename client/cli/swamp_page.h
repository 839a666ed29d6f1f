#ifndef PRECIS_CLIENT_CLI_SWAMP_PAGE_H_
#define PRECIS_CLIENT_CLI_SWAMP_PAGE_H_

#include <string>

#include "client/cli/command.h"

namespace precis::cli {

// The result of `precis swamp` as a page: the error over the chunk size, a drawing for each way of adding up the chunks.
std::string SwampPage(const Json& result);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_SWAMP_PAGE_H_
