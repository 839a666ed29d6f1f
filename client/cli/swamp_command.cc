// precis swamp: what narrow accumulators lose, in this process; no server takes part.

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/command.h"
#include "client/cli/html_page.h"
#include "client/cli/swamp_page.h"
#include "client/cli/table.h"
#include "client/cli/terminal_plot.h"
#include "engine/accumulate/accumulator.h"
#include "engine/accumulate/distributions.h"
#include "engine/base/status_macros.h"
#include "engine/layer_dots.h"

namespace precis::cli {
namespace {

constexpr uint32_t kSeed = 1;
constexpr int64_t kMostTermsOfOne = 1 << 20;

std::vector<std::string> AccumulatorNames() {
  std::vector<std::string> names;
  for (const accumulate::Accumulator one : accumulate::kAccumulators) names.emplace_back(accumulate::Name(one));
  return names;
}

// A number, or null where JSON has none for it.
Json Finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

double NumberOr(const Json& json, double otherwise) { return json.is_null() ? otherwise : json.get<double>(); }

std::string Percent(double ratio) { return absl::StrFormat("%.1f %%", 100 * ratio); }

std::string ChunkName(int64_t chunk) { return chunk == 0 ? "all" : std::to_string(chunk); }

class SwampCommand final : public Command {
 public:
  CLI::App* Register(CLI::App* app) override {
    CLI::App* command =
        app->add_subcommand("swamp", "Measure what narrow accumulators lose in long sums, and what chunks save");
    CLI::Option* model = command->add_option("--model", model_, "ONNX file whose layer is measured")->type_name("FILE");
    command->add_option("--layer", layer_, "Its convolution or matrix product; a wrong name lists them all")
        ->type_name("NAME")
        ->needs(model);
    command->add_option("--calibration", calibration_, "Folder of input samples as for int8; default: random inputs")
        ->type_name("DIR")
        ->needs(model);
    command->add_option("--k", k_, "Without a model: terms of each sum")
        ->check(CLI::Range(int64_t{1}, kMostTermsOfOne))
        ->excludes(model);
    command
        ->add_option("--distribution", distribution_,
                     "uniform: sums of numbers with mean 1 and deviation 1. relu_gaussian: dot products of max(x, 0) "
                     "and y, both normal")
        ->check(CLI::IsMember({"uniform", "relu_gaussian"}))
        ->excludes(model);
    command->add_option("--accumulators", accumulators_, "Which to emulate; default: all")
        ->delimiter(',')
        ->check(CLI::IsMember(AccumulatorNames()))
        ->type_name("f16,bf16,fp16_169,s16");
    command->add_option("--chunks", chunks_, "Terms of a chunk; 0: unchunked. Default: 0 and the powers of two")
        ->delimiter(',')
        ->check(CLI::NonNegativeNumber)
        ->type_name("0,64,256");
    command->add_option("--sums", sums_, "How many sums to measure; at most 16 million terms altogether")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    command->add_option("--html", html_, "Write a page with the curves as well")->type_name("FILE");
    command->footer(
        "The accumulators are emulated in software: this is what an accelerator's hardware would give, not this "
        "CPU's.\n"
        "A sum that grows long swamps its addends: they are too small to change it. Chunks of K are summed apart, and "
        "their\n"
        "sums are added up in f32 or in the same accumulator (outer). error is relative rms against f64; sum ratio is "
        "1\n"
        "when nothing is lost; swamped is the share of additions that changed nothing. s16 sums products of 8-bit "
        "levels\n"
        "and saturates.\n\n"
        "Examples:\n"
        "  precis swamp --k=4096 --distribution=uniform\n"
        "  precis swamp --model=resnet50.onnx --layer=/layer4/conv2/Conv --calibration=samples\n"
        "  precis swamp --model=bert.onnx --layer=list        no such layer: names them all");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    PRECIS_ASSIGN_OR_RETURN(const accumulate::Dots dots, MakeDots());
    std::vector<int64_t> chunks = chunks_;
    if (chunks.empty()) {
      for (int64_t chunk = 1; chunk < dots.k; chunk *= 2) chunks.push_back(chunk);
      chunks.push_back(0);
    }
    const std::vector<std::string> names = accumulators_.empty() ? AccumulatorNames() : accumulators_;
    Json points = Json::array();
    for (const std::string& name : names) {
      for (const bool same : {false, true}) {
        for (const int64_t chunk : chunks) {
          if (session.progress_is_terminal) {
            *session.progress << "\r" << points.size() << " of " << names.size() * 2 * chunks.size() << std::flush;
          }
          const accumulate::Accumulator accumulator = *accumulate::AccumulatorFromName(name);
          points.push_back(
              Point(dots.k, {accumulator, chunk, same}, accumulate::Measure(dots, {accumulator, chunk, same})));
        }
      }
    }
    if (session.progress_is_terminal) *session.progress << "\r\x1b[K" << std::flush;
    Json result{{"source", source_}, {"k", dots.k}, {"sums", dots.count}, {"emulated", true}, {"points", points}};
    if (!html_.empty()) PRECIS_RETURN_IF_ERROR(WritePage(html_, SwampPage(result)));
    return result;
  }

  void Print(const Json& result, std::ostream& out) const override {
    out << result["source"].get<std::string>() << ": " << result["sums"] << " sums of " << result["k"]
        << " terms; accumulators emulated\n\n";
    Table table({"ACCUMULATOR", "OUTER", ">UNCHUNKED: ERROR", ">SUM RATIO", ">SWAMPED", ">OVERFLOWS", ">SATURATED",
                 ">BEST CHUNK", ">ERROR", ">SQNR dB", ">SWAMPED"});
    const auto error_of = [](const Json& point) { return NumberOr(point["relative_rms_error"], INFINITY); };
    for (const auto& [key, curve] : Curves(result)) {
      const Json *unchunked = nullptr, *best = curve.front();
      for (const Json* point : curve) {
        if ((*point)["chunk"] == 0) unchunked = point;
        if (error_of(*point) < error_of(*best)) best = point;
      }
      const auto text = [&](const Json* point, auto f) { return point == nullptr ? std::string("-") : f(*point); };
      const auto error = [&](const Json& p) { return absl::StrFormat("%.2g", error_of(p)); };
      const auto swamped = [](const Json& p) { return Percent(p["swamped_ratio"].get<double>()); };
      table.AddRow({key.first, key.second, text(unchunked, error),
                    text(unchunked, [](const Json& p) { return FormatNumber(NumberOr(p["sum_ratio"], NAN), 3); }),
                    text(unchunked, swamped), text(unchunked, [](const Json& p) { return p["overflows"].dump(); }),
                    text(unchunked, [](const Json& p) { return p["saturations"].dump(); }),
                    ChunkName((*best)["chunk"].get<int64_t>()), error(*best),
                    FormatNumber(NumberOr((*best)["sqnr_db"], INFINITY), 1), swamped(*best)});
    }
    table.Print(out);
    for (const char* outer : {"f32", "same"}) PrintPlot(result, outer, out);
  }

 private:
  using Curve = std::vector<const Json*>;  // points in the order of the chunks

  absl::StatusOr<accumulate::Dots> MakeDots() {
    if (model_.empty()) {
      if (k_ == 0) return UsageError("precis swamp wants --model=FILE --layer=NAME, or --k=4096");
      const int64_t count = std::min(sums_, std::max<int64_t>(kMostTerms / k_, 1));
      source_ = distribution_;
      return distribution_ == "uniform" ? accumulate::UniformSums(count, k_, kSeed)
                                        : accumulate::ReluGaussianDots(count, k_, kSeed);
    }
    std::error_code error;
    if (!calibration_.empty() && !std::filesystem::is_directory(calibration_, error)) {
      return UsageError(absl::StrCat("--calibration=", calibration_, ": no such folder"));
    }
    PRECIS_ASSIGN_OR_RETURN(LayerDots layer, DrawLayerDots(model_, layer_, calibration_, sums_, kSeed));
    if (layer.dots.count == 0 || layer.dots.k == 0) return UsageError("the layer sums nothing");
    source_ = absl::StrCat(std::filesystem::path(model_).filename().string(), ", ", layer.layer, " (", layer.op, "), ",
                           calibration_.empty() ? "random inputs" : absl::StrCat(layer.samples, " samples"));
    return std::move(layer.dots);
  }

  static Json Point(int64_t k, const accumulate::Accumulation& how, const accumulate::Report& report) {
    return {{"accumulator", accumulate::Name(how.accumulator)},
            {"chunk", how.chunk},
            {"outer", how.outer_same ? "same" : "f32"},
            {"k", k},
            {"sum_ratio", Finite(report.sum_ratio)},
            {"relative_rms_error", Finite(report.relative_rms_error)},
            {"swamped_ratio", report.swamped_ratio()},
            {"sqnr_db", Finite(report.SqnrDb())},
            {"overflows", report.overflows},
            {"saturations", report.saturations}};
  }

  // Points by accumulator and outer, in the order they were measured.
  static std::vector<std::pair<std::pair<std::string, std::string>, Curve>> Curves(const Json& result) {
    std::vector<std::pair<std::pair<std::string, std::string>, Curve>> curves;
    for (const Json& point : result["points"]) {
      const std::pair<std::string, std::string> key{point["accumulator"], point["outer"]};
      if (curves.empty() || curves.back().first != key) curves.push_back({key, {}});
      curves.back().second.push_back(&point);
    }
    return curves;
  }

  static void PrintPlot(const Json& result, const std::string& outer, std::ostream& out) {
    constexpr const char* kMarkers = "ox+#";
    std::vector<std::string> columns;
    std::vector<PlotSeries> series;
    for (const auto& [key, curve] : Curves(result)) {
      if (key.second != outer) continue;
      PlotSeries& one = series.emplace_back(PlotSeries{kMarkers[series.size() % 4], key.first, {}});
      columns.clear();
      for (const Json* point : curve) {
        columns.push_back(ChunkName((*point)["chunk"].get<int64_t>()));
        one.values.push_back(NumberOr((*point)["relative_rms_error"], INFINITY));
      }
    }
    out << "\nrelative rms error over chunk size, chunks added up in "
        << (outer == "f32" ? "f32" : "the same accumulator") << "\n";
    PrintLogPlot(columns, series, out);
  }

  std::string model_, layer_, calibration_, distribution_ = "uniform", source_, html_;
  std::vector<std::string> accumulators_;
  std::vector<int64_t> chunks_;
  int64_t k_ = 0, sums_ = 1024;
};

}  // namespace

std::unique_ptr<Command> MakeSwampCommand() { return std::make_unique<SwampCommand>(); }

}  // namespace precis::cli
