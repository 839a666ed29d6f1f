#include <unistd.h>

#include <iostream>

#include "client/cli/app.h"

int main(int argc, char** argv) {
  return precis::cli::RunApp(argc, argv, std::cout, std::cerr, isatty(STDERR_FILENO) != 0);
}
