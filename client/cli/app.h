#ifndef PRECIS_CLIENT_CLI_APP_H_
#define PRECIS_CLIENT_CLI_APP_H_

#include <ostream>

namespace precis::cli {

// The whole of `precis`: parses the command line, makes the call, prints to `out` (results) and `err` (progress, errors).
// Returns the exit code: 0 done, 1 the server or the model said no, 2 wrong usage.
int RunApp(int argc, const char* const* argv, std::ostream& out, std::ostream& err, bool err_is_terminal);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_APP_H_
