#ifndef PRECIS_SERVER_APP_PRECISD_H_
#define PRECIS_SERVER_APP_PRECISD_H_

#include "server/config/server_options.h"

namespace precis::server {

// Serves until SIGTERM or SIGINT, then drains (SIGINT without the grace). A second signal ends the process as signals do by
// default. Returns the process's exit code: 0 after a drain, 1 when the server could not start. Call it from the main thread
// while there is no other.
int RunPrecisd(const ServerOptions& options);

}  // namespace precis::server

#endif  // PRECIS_SERVER_APP_PRECISD_H_
