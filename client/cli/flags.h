#ifndef PRECIS_CLIENT_CLI_FLAGS_H_
#define PRECIS_CLIENT_CLI_FLAGS_H_

// Flags that mean the same in every program.

#include <CLI/CLI.hpp>
#include <string>

#include "absl/time/time.h"
#include "precis/client.h"

namespace precis::cli {

// A check that a flag's text is a duration above zero: 500ms, 30s, 10m.
CLI::Validator IsDuration();
// Adds a flag of a duration above zero; --help shows what `duration` holds. `duration` must outlive `app`.
CLI::Option* AddDurationFlag(CLI::App* app, const std::string& name, absl::Duration* duration, const std::string& help);

// --tls and the files that go with it, which PRECIS_TLS_… variables name too; `tls` must outlive `app`.
void AddTlsFlags(CLI::App* app, client::TlsOptions* tls);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_FLAGS_H_
