#ifndef PRECIS_LOADTEST_APP_H_
#define PRECIS_LOADTEST_APP_H_

#include <atomic>
#include <ostream>

namespace precis::loadtest {

// precis_loadtest: runs what the command line says and returns the exit code. `stop` set to true ends the run at hand
// early and reports it.
int RunApp(int argc, const char* const* argv, std::ostream& out, std::ostream& err, bool err_is_terminal,
           const std::atomic<bool>& stop);

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_APP_H_
