#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <iostream>

#include "loadtest/app.h"

namespace {

std::atomic<bool> stop = false;

// The first Ctrl-C ends the run and reports it, the second one ends the program.
void OnSignal(int number) {
  stop = true;
  signal(number, SIG_DFL);
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGINT, OnSignal);
  signal(SIGTERM, OnSignal);
  return precis::loadtest::RunApp(argc, argv, std::cout, std::cerr, isatty(STDERR_FILENO) != 0, stop);
}
