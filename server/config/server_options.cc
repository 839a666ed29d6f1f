// Flags by CLI11, whose exceptions end in ParseCommandLine.

#include "server/config/server_options.h"

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/base/status_macros.h"
#include "server/config/model_name.h"

namespace precis::server {
namespace {

constexpr char kExamples[] =
    R"(Examples:
  precisd --model_repository=models                       every model, each as fp32
  precisd --model_repository=models --load=net@int8,other net at int8, other as fp32, nothing else
  precisd --model=net=net.onnx --load=net@fp32,net@int8   one bare file, at two precisions
  precisd --model_repository=models --tls_cert=server.crt --tls_key=server.key --tls_client_ca=ca.crt   mutual TLS

Model repository: DIR/MODEL/[config.pbtxt], DIR/MODEL/VERSION/model.onnx (Triton's layout), and beside them
DIR/MODEL/precision.textproto (named policies, preprocessing) and DIR/MODEL/calibration/ (.npy, .npz), which int8 needs.

When the ports are bound one line goes to stdout, and one more when the models of --load are done:
  precisd listening grpc=0.0.0.0:8001 metrics=0.0.0.0:8002
  precisd ready models=2 failed=0 seconds=0.8
SIGTERM drains: not ready, --drain_seconds of service as before, requests in flight finished, exit code 0. A second
signal ends the process at once.)";

absl::StatusOr<std::vector<NamedPath>> ParseModels(const std::vector<std::string>& values) {
  std::vector<NamedPath> models;
  for (const std::string& value : values) {
    std::pair<std::string, std::string> parts = absl::StrSplit(value, absl::MaxSplits('=', 1));
    if (parts.first.empty() || parts.second.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--model=", value, ": want NAME=PATH"));
    }
    PRECIS_RETURN_IF_ERROR(CheckNamePart(parts.first, "--model: model name"));
    models.push_back({std::move(parts.first), std::move(parts.second)});
  }
  return models;
}

std::vector<std::string> ParseLoad(const std::vector<std::string>& values) {
  std::vector<std::string> load;
  for (const std::string& value : values) {
    if (!value.empty() && value != "none") load.push_back(value);
  }
  return load;
}

struct RawFlags {
  std::vector<std::string> models;
  std::vector<std::string> load = {"all"};
  std::string calibration_cache;
  double poll_seconds = 15, drain_seconds = 5, drain_timeout_seconds = 30;
  double connection_age_seconds = 300, connection_grace_seconds = 0;
};

// Where 0 stands for no limit.
absl::Duration LimitOf(double seconds) { return seconds == 0 ? absl::InfiniteDuration() : absl::Seconds(seconds); }

void AddModelFlags(CLI::App& app, ServerOptions& options, RawFlags& raw) {
  const std::string group = "Models";
  app.add_option("--model_repository", options.model_repository, "Folder of models, in Triton's layout")
      ->group(group)
      ->type_name("DIR");
  app.add_option("--model", raw.models, "A model by itself: an .onnx file, or a folder as in a repository")
      ->group(group)
      ->type_name("NAME=PATH,...")
      ->delimiter(',');
  app.add_option("--load", raw.load, "Loaded at start: all (each as fp32 or its default_variant), none, or names")
      ->group(group)
      ->type_name("MODEL[@VARIANT],...")
      ->delimiter(',')
      ->capture_default_str();
  const std::map<std::string, ControlMode> modes = {
      {"none", ControlMode::kNone}, {"explicit", ControlMode::kExplicit}, {"poll", ControlMode::kPoll}};
  app.add_option("--model_control_mode", options.control_mode,
                 "Who changes what is served later: none (nobody), explicit (RepositoryModelLoad and Unload), poll "
                 "(changes in the repository's folders). LoadVariant works in every mode [explicit]")
      ->group(group)
      ->type_name("MODE")
      ->transform(CLI::CheckedTransformer(modes).description(""));
  app.add_option("--repository_poll_secs", raw.poll_seconds, "How often poll looks")
      ->group(group)
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber.description(""))
      ->capture_default_str();
  app.add_option(
         "--calibration_cache", raw.calibration_cache,
         "Folder that keeps results of int8's calibration, so that the next load of the same model, samples and "
         "policy skips it; empty: keep none [.precis_cache in the model's folder, where that can be written]")
      ->group(group)
      ->type_name("DIR")
      ->expected(0, 1);
  app.add_flag("--strict_readiness", options.strict_readiness, "Not ready when a model named by --load failed")
      ->group(group);
}

void AddNetworkFlags(CLI::App& app, ServerOptions& options, RawFlags& raw) {
  const std::string group = "Network";
  const auto port = CLI::Range(0, 65535).description("");
  app.add_option("--grpc_address", options.grpc_address, "Address to listen on, for gRPC and metrics")
      ->group(group)
      ->type_name("IP")
      ->capture_default_str();
  app.add_option("--grpc_port", options.grpc_port, "gRPC port; 0 takes a free one")
      ->group(group)
      ->type_name("PORT")
      ->check(port)
      ->capture_default_str();
  app.add_option("--metrics_port", options.metrics_port, "Prometheus port, path /metrics; 0 takes a free one")
      ->group(group)
      ->type_name("PORT")
      ->check(port)
      ->capture_default_str();
  app.add_option("--max_message_bytes", options.max_message_bytes, "Largest request and reply")
      ->group(group)
      ->type_name("BYTES")
      ->check(CLI::Range(int64_t{1024}, int64_t{2147483647}).description(""))
      ->capture_default_str();
  app.add_flag(
         "--system_shared_memory", options.system_shared_memory,
         "Clients on this machine may give and take tensors in POSIX shared memory (Triton's extension): any client "
         "may then have this process read and write the objects that its user may")
      ->group(group);
  const auto seconds = CLI::Range(0.0, 86400.0).description("");
  app.add_option("--max_connection_age", raw.connection_age_seconds,
                 "Clients are told to connect anew after this time, give or take a tenth, so that they spread over the "
                 "servers of one name; no call is lost. 0: never")
      ->group(group)
      ->type_name("SECONDS")
      ->check(seconds)
      ->capture_default_str();
  app.add_option("--max_connection_age_grace", raw.connection_grace_seconds,
                 "How long calls and streams of such a connection may go on. 0: until they end")
      ->group(group)
      ->type_name("SECONDS")
      ->check(seconds)
      ->capture_default_str();
}

// The metrics' port is plain HTTP in any case.
void AddTlsFlags(CLI::App& app, TlsFiles& tls) {
  const std::string group = "TLS of the gRPC port (PEM files, read again when they change; replace them by renaming)";
  app.add_option("--tls_cert", tls.cert_file, "This server's certificate, then those that signed it")
      ->group(group)
      ->type_name("FILE");
  app.add_option("--tls_key", tls.key_file, "Its private key")->group(group)->type_name("FILE");
  app.add_option("--tls_client_ca", tls.client_ca_file,
                 "Mutual TLS: every client must show a certificate that one of these signed")
      ->group(group)
      ->type_name("FILE");
}

absl::Status CheckTlsFlags(const TlsFiles& tls) {
  if (tls.cert_file.empty() != tls.key_file.empty()) {
    return absl::InvalidArgumentError("--tls_cert and --tls_key: want both or none");
  }
  if (tls.cert_file.empty() && !tls.client_ca_file.empty()) {
    return absl::InvalidArgumentError("--tls_client_ca: want --tls_cert and --tls_key too");
  }
  return absl::OkStatus();
}

void AddExecutionFlags(CLI::App& app, ServerOptions& options, RawFlags& raw) {
  const std::string group = "Execution";
  const auto count = CLI::Range(1, 4096).description("");
  const auto count_or_auto = CLI::Range(0, 4096).description("");
  app.add_option(
         "--workers", options.workers,
         "Runs of a variant at once; instance_group's count in a model's config.pbtxt replaces it. 0: cores / threads, "
         "where cores come from the CPU affinity and the cgroup quota")
      ->group(group)
      ->type_name("N")
      ->check(count_or_auto)
      ->capture_default_str();
  app.add_option(
         "--threads", options.threads,
         "Threads of one worker. 0: 1, the most requests per second; where workers are given cores / workers, so that "
         "--workers=1 answers a lone request soonest")
      ->group(group)
      ->type_name("N")
      ->check(count_or_auto)
      ->capture_default_str();
  app.add_option("--load_threads", options.load_threads, "Variants loaded at the same time")
      ->group(group)
      ->type_name("N")
      ->check(count)
      ->capture_default_str();
  app.add_option("--queue_size", options.queue_size, "Requests that may wait per variant; more get RESOURCE_EXHAUSTED")
      ->group(group)
      ->type_name("N")
      ->check(CLI::Range(1, 1 << 20).description(""))
      ->capture_default_str();
  const auto seconds = CLI::Range(0.0, 86400.0).description("");
  app.add_option("--drain_seconds", raw.drain_seconds, "Service as before, but not ready, after SIGTERM")
      ->group(group)
      ->type_name("SECONDS")
      ->check(seconds)
      ->capture_default_str();
  app.add_option("--drain_timeout", raw.drain_timeout_seconds, "How long requests in flight may take after that")
      ->group(group)
      ->type_name("SECONDS")
      ->check(seconds)
      ->capture_default_str();
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv) {
  CLI::App app("Precis: a gRPC inference server that serves float ONNX models at any precision.", "precisd");
  CommandLine result;
  ServerOptions& options = result.options;
  RawFlags raw;
  AddModelFlags(app, options, raw);
  AddNetworkFlags(app, options, raw);
  AddTlsFlags(app, options.tls);
  AddExecutionFlags(app, options, raw);
  app.footer(kExamples);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    result.text = app.help();
    return result;
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  PRECIS_ASSIGN_OR_RETURN(options.models, ParseModels(raw.models));
  options.load = ParseLoad(raw.load);
  if (app.get_option("--calibration_cache")->count() > 0) options.calibration_cache = raw.calibration_cache;
  for (const double seconds : {raw.poll_seconds, raw.drain_seconds, raw.drain_timeout_seconds,
                               raw.connection_age_seconds, raw.connection_grace_seconds}) {
    if (!std::isfinite(seconds)) {
      return absl::InvalidArgumentError(
          "--repository_poll_secs, --drain_seconds, --drain_timeout, --max_connection_age, --max_connection_age_grace: "
          "want "
          "a finite number");
    }
  }
  options.poll_interval = absl::Seconds(raw.poll_seconds);
  options.drain_grace = absl::Seconds(raw.drain_seconds);
  options.drain_timeout = absl::Seconds(raw.drain_timeout_seconds);
  options.max_connection_age = LimitOf(raw.connection_age_seconds);
  options.max_connection_grace = LimitOf(raw.connection_grace_seconds);
  PRECIS_RETURN_IF_ERROR(CheckTlsFlags(options.tls));
  if (options.model_repository.empty() && options.models.empty()) {
    return absl::InvalidArgumentError("nothing to serve: give --model_repository=DIR or --model=NAME=PATH");
  }
  return result;
}

}  // namespace precis::server
