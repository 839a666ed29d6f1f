#include "loadtest/settings.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "client/cli/exit_code.h"
#include "client/cli/flags.h"
#include "engine/base/status_macros.h"

namespace precis::loadtest {
namespace {

constexpr char kFooter[] =
    "Works with any server of the KServe v2 protocol. Latencies of an open loop count from the moment at which a call\n"
    "was meant to begin, so that a server that stalls cannot hide it. A call that is retried counts once.\n"
    "Exit codes: 0 done, 1 the server said no or no call succeeded, 2 wrong usage. Ctrl-C ends the run and reports "
    "it.\n\n"
    "Examples:\n"
    "  precis_loadtest --model=resnet50@int8 --concurrency=4\n"
    "  precis_loadtest --model=resnet50@int8 --rate=120 --data=photos --duration=30s --json\n"
    "  precis_loadtest --model=resnet50@int8 --rate=70%            70 % of what eight clients get first\n"
    "  precis_loadtest --model=resnet50@int8 --search-p99=20ms     the highest rate that keeps it\n"
    "  precis_loadtest --model=resnet50@fp32 --against-model=resnet50@int8 --concurrency=4\n"
    "  precis_loadtest --model=net --against-target=other:8001 --rate=50\n"
    "  precis_loadtest --scenarios=FILE.json --target=host:8001";

Clock::duration ToClock(absl::Duration duration) { return absl::ToChronoNanoseconds(duration); }
absl::Duration FromClock(Clock::duration duration) { return absl::FromChrono(duration); }

// The flags, and what they need after parsing.
class Parser {
 public:
  explicit Parser(Settings* settings);
  CLI::App& app() { return *app_; }
  absl::Status Finish();

 private:
  Settings* const settings_;
  std::unique_ptr<CLI::App> app_;
  std::string rate_, wait_ready_, arrivals_ = "poisson";
  absl::Duration duration_, warmup_, window_, until_stable_, search_p99_;
  std::vector<std::string> shapes_;
};

}  // namespace

std::optional<Rate> ParseRate(const std::string& text) {
  absl::string_view number = text;
  Rate rate;
  const bool share = absl::ConsumeSuffix(&number, "%");
  if (!share) absl::ConsumeSuffix(&number, "/s");
  double value = 0;
  if (!absl::SimpleAtod(number, &value) || !std::isfinite(value) || value <= 0) return std::nullopt;
  (share ? rate.of_capacity : rate.per_second) = share ? value / 100 : value;
  return rate;
}

Parser::Parser(Settings* settings)
    : settings_(settings),
      app_(std::make_unique<CLI::App>(
          "precis_loadtest: puts load on a Precis server, or any KServe-v2 server, over gRPC", "precis_loadtest")),
      duration_(FromClock(settings->run.duration)),
      warmup_(FromClock(settings->run.warmup)) {
  CLI::App* app = app_.get();
  app->option_defaults()->always_capture_default(false);
  app->footer(kFooter);
  const CLI::Validator above_zero = CLI::PositiveNumber;

  app->add_option("--target", settings->target, "Where the server listens")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  app->add_option("--model", settings->model, "net or net@VARIANT");
  app->add_option("--wait-ready", wait_ready_, "Wait as long as this for the server to be ready first")
      ->type_name("DURATION")
      ->check(cli::IsDuration());
  cli::AddDurationFlag(app, "--timeout", &settings->timeout, "How long a call may take, retries included");
  app->add_option("--retries", settings->retries,
                  "Make a call again that failed with UNAVAILABLE, or was cut off by a server that shuts down, up to "
                  "so many times")
      ->check(CLI::NonNegativeNumber);
  app->add_option("--connections", settings->connections, "TCP connections, used in turn")->check(above_zero);

  CLI::App* load = app->add_option_group("Load");
  load->add_option("--concurrency", settings->load.concurrency,
                   "Closed loop: so many clients that wait for each answer")
      ->check(above_zero);
  load->add_option("--rate", rate_, "Open loop: calls per second; 70% is of what a closed loop gets in the same run")
      ->type_name("N|N%");
  load->add_option("--arrivals", arrivals_, "Of an open loop: poisson (the default) or uniform")
      ->check(CLI::IsMember({"poisson", "uniform"}));
  load->add_option("--max-in-flight", settings->load.max_in_flight, "An open loop holds back beyond")
      ->check(above_zero);
  load->add_option("--capacity-clients", settings->capacity_clients, "Clients that find out what 100% is")
      ->capture_default_str()
      ->check(above_zero);

  CLI::App* kind = app->add_option_group("Kinds of measurement");
  cli::AddDurationFlag(kind, "--search-p99", &search_p99_,
                       "Find the highest Poisson rate at which p99 stays within this and no call fails")
      ->default_str("");
  kind->add_option("--search-precision", settings->search_precision, "How close the search comes, relative")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 0.5));
  kind->add_option("--against-model", settings->against_model, "Measure this model in turns with --model")
      ->type_name("MODEL");
  kind->add_option("--against-target", settings->against_target, "Measure this server in turns with --target")
      ->type_name("HOST:PORT");
  cli::AddDurationFlag(kind, "--slice", &settings->slice, "How long each turn of the two is");
  kind->add_option("--scenarios", settings->scenarios,
                   "A JSON file of measurements by name, each with flags as here; flags given beside it hold for all")
      ->type_name("FILE");

  CLI::App* time = app->add_option_group("Measurement");
  cli::AddDurationFlag(time, "--duration", &duration_,
                       "How long is measured; on each side, or at each rate of a search");
  time->add_option_function<std::string>(
          "--warmup", [this](const std::string& text) { absl::ParseDuration(text, &warmup_); },
          "Load that is not measured, ahead")
      ->check(CLI::Validator(
          [](const std::string& text) -> std::string {
            absl::Duration duration;
            const bool good = absl::ParseDuration(text, &duration) && duration >= absl::ZeroDuration();
            return good ? "" : "\"" + text + "\" is no duration such as 0s, 500ms or 2s";
          },
          ""))
      ->type_name("DURATION")
      ->default_str(absl::FormatDuration(warmup_));
  cli::AddDurationFlag(time, "--window", &window_, "Figures by windows of this length")
      ->default_str("a third of --duration");
  cli::AddDurationFlag(time, "--until-stable", &until_stable_,
                       "Measure on beyond --duration, at most this long, until three windows agree")
      ->default_str("");
  time->add_option("--stability", settings->run.stability, "Windows agree when rate and mean latency are so close")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 1.0));

  CLI::App* input = app->add_option_group("Inputs");
  input
      ->add_option("--data", settings->source.data,
                   "Real inputs: a folder (images, or one .npy for each input), .npy, .npz or an image; else random")
      ->type_name("PATH");
  input->add_option("--batch", settings->source.batch, "Items per call")->check(above_zero);
  input->add_option("--requests", settings->source.max_requests, "Different requests at most, sent in turn")
      ->capture_default_str()
      ->check(above_zero);
  input->add_option("--shape", shapes_, "Shape of a random input; sizes that the model leaves open are 1 otherwise")
      ->type_name("NAME=1,3,224,224")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  input->add_option("--seed", settings->source.seed, "Where random inputs and arrivals begin");
  settings->source.preprocessing.Register(input);

  cli::AddTlsFlags(app, &settings->tls);

  app->add_flag("--json", settings->json, "Print one JSON object on one line");
  app->add_flag("--csv", settings->csv, "Print a heading and a line for each result");
}

absl::Status Parser::Finish() {
  Settings& settings = *settings_;
  if (settings.json && settings.csv) return cli::UsageError("give either --json or --csv");
  if (!settings.scenarios.empty()) return absl::OkStatus();  // what is missing may stand in the file
  if (settings.model.empty()) return cli::UsageError("--model is missing; precis models lists a Precis server's");
  if (!rate_.empty()) {
    settings.rate = ParseRate(rate_);
    if (!settings.rate) return cli::UsageError("--rate=" + rate_ + ": want calls per second, or a share such as 70%");
    settings.load.rate = settings.rate->per_second;
  }
  if (search_p99_ > absl::ZeroDuration()) settings.search_p99 = search_p99_;
  const int loads = (settings.load.concurrency > 0 ? 1 : 0) + (settings.rate ? 1 : 0) + (settings.search_p99 ? 1 : 0);
  if (loads != 1) return cli::UsageError("give either --concurrency=N or --rate=R or --search-p99=DURATION");
  if (settings.search_p99 && settings.side_by_side()) {
    return cli::UsageError("--search-p99 looks at one server: leave out --against-model and --against-target");
  }
  settings.load.arrivals = arrivals_ == "uniform" ? Arrivals::kUniform : Arrivals::kPoisson;
  settings.load.seed = settings.source.seed;
  if (absl::Duration patience; absl::ParseDuration(wait_ready_, &patience)) settings.wait_ready = patience;
  settings.run.duration = ToClock(duration_);
  settings.run.warmup = ToClock(warmup_);
  settings.run.window = ToClock(window_);
  settings.run.until_stable = ToClock(until_stable_);
  if (window_ > duration_) return cli::UsageError("--window is longer than --duration");
  if (until_stable_ > absl::ZeroDuration() && until_stable_ < duration_) {
    return cli::UsageError("--until-stable is shorter than --duration");
  }
  PRECIS_ASSIGN_OR_RETURN(settings.source.shapes, cli::ParseShapes(shapes_));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<int>> ParseCommandLine(std::vector<std::string> flags, Settings* settings,
                                                    std::ostream& out, std::ostream& err) {
  Parser parser(settings);
  std::reverse(flags.begin(), flags.end());  // as CLI11 takes them
  try {
    parser.app().parse(flags);
  } catch (const CLI::ParseError& error) {
    return parser.app().exit(error, out, err) == 0 ? cli::kDone : cli::kWrongUsage;
  }
  PRECIS_RETURN_IF_ERROR(parser.Finish());
  return std::nullopt;
}

}  // namespace precis::loadtest
