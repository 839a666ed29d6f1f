// precis_bench: latency of one model at one precision, in process: no gRPC, one session, real plan. Prints a table, or one JSON object on a line.
//
// Like the tools it is compared with, it pins itself to as many cores as it uses threads, feeds random numbers to float inputs and ones to integer
// ones, and reports the median over a timed loop.
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>
#include <random>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/base/status_macros.h"
#include "engine/model.h"
#include "engine/tensor/npy.h"
#include "nlohmann/json.hpp"
#include "server/config/precision_policy.h"

ABSL_FLAG(std::string, model, "", "ONNX file");
ABSL_FLAG(std::string, variant, "fp32", "fp32, bf16, fp16 or int8");
ABSL_FLAG(std::string, policy, "",
          "file with a precis.v1.PrecisionPolicy (text format or JSON) that decides instead of --variant");
ABSL_FLAG(int, chunk_size, 0,
          "with int8: sums of K in chunks of at most this many elements, each with weight scales of its own; 0: whole");
ABSL_FLAG(int, threads, 1, "threads of one run; the process is pinned to as many cores");
ABSL_FLAG(int, batch, 1, "value of the first dimension of every input where it is symbolic");
ABSL_FLAG(std::string, input_shape, "",
          "shape of every input, e.g. 1,3,224,224; default: the model's own, unknown dimensions 1");
ABSL_FLAG(std::string, calibration, "",
          "folder of .npy/.npz samples for int8; default: 4 random samples, good for speed only");
ABSL_FLAG(bool, floor, false, "also time each oneDNN primitive of the plan alone, and report the sum");
ABSL_FLAG(bool, json, false, "one JSON object on one line instead of a table");
ABSL_FLAG(double, seconds, 1.5, "length of the timed loop");

namespace precis {
namespace {

using Clock = std::chrono::steady_clock;

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void PinTo(int cores) {
  cpu_set_t allowed, chosen;
  CPU_ZERO(&chosen);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
  for (int cpu = 0, taken = 0; cpu < CPU_SETSIZE && taken < cores; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) {
      CPU_SET(cpu, &chosen);
      ++taken;
    }
  }
  sched_setaffinity(0, sizeof(chosen), &chosen);
}

absl::StatusOr<std::vector<Shape>> Shapes(const Model& model) {
  Shape given;
  if (const std::string text = absl::GetFlag(FLAGS_input_shape); !text.empty()) {
    for (const auto part : absl::StrSplit(text, ',')) {
      int64_t d = 0;
      if (!absl::SimpleAtoi(part, &d) || d < 1)
        return absl::InvalidArgumentError(absl::StrCat("--input_shape=", text, ": want numbers like 1,3,224,224"));
      given.push_back(d);
    }
  }
  std::vector<Shape> shapes;
  for (const TensorSpec& spec : model.inputs()) {
    Shape shape = given.empty() ? spec.shape : given;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == kUnknownDim) shape[i] = i == 0 ? absl::GetFlag(FLAGS_batch) : 1;
    }
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

Tensor Feed(DataType dtype, const Shape& shape, std::mt19937& random) {
  Tensor t(dtype, shape);
  if (dtype == DataType::kF32) {
    std::normal_distribution<float> normal;
    for (float& v : t.As<float>()) v = normal(random);
    return t;
  }
  std::fill_n(static_cast<char*>(t.data()), t.size_bytes(), 0);
  for (int64_t i = 0; i < t.num_elements(); ++i)
    static_cast<char*>(t.data())[static_cast<size_t>(i) * SizeOf(dtype)] = 1;  // little endian one
  return t;
}

// Four samples of random numbers, for speed only.
absl::Status WriteRandomSamples(const Model& model, const std::vector<Shape>& shapes, const std::string& folder) {
  constexpr int64_t kSamples = 4;
  std::mt19937 random(0);
  std::map<std::string, Tensor> arrays;
  std::map<std::string, TensorView> views;
  for (size_t i = 0; i < shapes.size(); ++i) {
    Shape shape = shapes[i];
    if (shape.empty()) return absl::InvalidArgumentError("scalar inputs need --calibration=DIR");
    shape[0] *= kSamples;
    const Tensor& array = arrays[model.inputs()[i].name] = Feed(model.inputs()[i].dtype, shape, random);
    views[model.inputs()[i].name] = array.view();
  }
  return WriteFileAtomically(absl::StrCat(folder, "/random.npz"), FormatNpz(views));
}

// What the figures are called: a policy's file name, or the built-in variant's.
std::string VariantName() {
  const std::string file = absl::GetFlag(FLAGS_policy);
  return file.empty() ? absl::GetFlag(FLAGS_variant) : std::filesystem::path(file).stem().string();
}

// What --policy, or else --variant and --chunk_size, say.
absl::StatusOr<quant::Policy> PolicyOfFlags() {
  const int chunk_size = absl::GetFlag(FLAGS_chunk_size);
  if (chunk_size < 0) return absl::InvalidArgumentError("--chunk_size starts at 0");
  if (const std::string file = absl::GetFlag(FLAGS_policy); !file.empty()) {
    if (chunk_size != 0) return absl::InvalidArgumentError("--chunk_size contradicts --policy, which has accumulation");
    std::ifstream stream(file);
    if (!stream) return absl::InvalidArgumentError(absl::StrCat("--policy=", file, ": cannot be read"));
    const std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    PRECIS_ASSIGN_OR_RETURN(const auto proto, server::ParsePolicyText(text));
    return server::PolicyFromProto(proto);
  }
  PRECIS_ASSIGN_OR_RETURN(quant::Policy policy, quant::BuiltInPolicy(absl::GetFlag(FLAGS_variant)));
  if (chunk_size != 0 && policy.precision != quant::Precision::kInt8)
    return absl::InvalidArgumentError("--chunk_size needs --variant=int8");
  policy.accumulation = {chunk_size, chunk_size != 0};
  return policy;
}

struct Measured {
  double median_ms = 0, p99_ms = 0;
  std::optional<double> floor_ms;
  std::vector<Layer> layers;
  VariantInfo info;
};

absl::StatusOr<Measured> Measure(const Model& model, const quant::Policy& policy, const std::vector<Shape>& shapes,
                                 const std::string& calibration) {
  LoadOptions options;
  options.variant = VariantName();
  options.policy = policy;
  options.threads = absl::GetFlag(FLAGS_threads);
  options.calibration_dir = calibration;
  options.warm_shapes = shapes;
  PRECIS_ASSIGN_OR_RETURN(auto variant, model.LoadVariant(options));
  PRECIS_ASSIGN_OR_RETURN(auto session, variant->NewSession());
  std::mt19937 random(0);
  std::vector<Tensor> inputs;
  std::vector<TensorView> views;
  for (size_t i = 0; i < shapes.size(); ++i) {
    inputs.push_back(Feed(model.inputs()[i].dtype, shapes[i], random));
    views.push_back(inputs.back().view());
  }
  std::vector<Tensor> outputs;
  for (int i = 0; i < 3; ++i) PRECIS_RETURN_IF_ERROR(session->Run(views, &outputs));
  std::vector<double> times;
  const auto begin = Clock::now();
  while (times.size() < 10 || MillisecondsSince(begin) < absl::GetFlag(FLAGS_seconds) * 1e3) {
    const auto start = Clock::now();
    PRECIS_RETURN_IF_ERROR(session->Run(views, &outputs));
    times.push_back(MillisecondsSince(start));
  }
  std::sort(times.begin(), times.end());
  Measured m;
  m.median_ms = times[times.size() / 2];
  m.p99_ms = times[std::min(times.size() - 1, times.size() * 99 / 100)];
  PRECIS_ASSIGN_OR_RETURN(m.layers, session->Profile(views, 2, 15));
  if (absl::GetFlag(FLAGS_floor)) {
    PRECIS_ASSIGN_OR_RETURN(m.floor_ms, session->FloorMilliseconds(views));
  }
  m.info = variant->info();
  return m;
}

nlohmann::json ToJson(const Measured& m) {
  const int batch = absl::GetFlag(FLAGS_batch);
  nlohmann::json j = {{"model", std::filesystem::path(absl::GetFlag(FLAGS_model)).filename().string()},
                      {"variant", VariantName()},
                      {"threads", absl::GetFlag(FLAGS_threads)},
                      {"batch", batch},
                      {"median_ms", m.median_ms},
                      {"p99_ms", m.p99_ms},
                      {"items_per_second", batch * 1e3 / m.median_ms},
                      {"load_ms", m.info.load_ms},
                      {"weight_bytes", m.info.weight_bytes},
                      {"arena_bytes", m.info.arena_bytes},
                      {"bytes_per_item", (m.info.weight_bytes_per_run + m.info.activation_bytes_per_run) / batch},
                      {"weight_bytes_per_item", m.info.weight_bytes_per_run / batch},
                      {"activation_bytes_per_item", m.info.activation_bytes_per_run / batch},
                      {"isa", CpuIsaName()}};
  if (m.floor_ms) j["floor_ms"] = *m.floor_ms;
  for (const Layer& l : m.layers) {
    j["layers"].push_back({{"name", l.name},
                           {"op", l.op},
                           {"precision", l.precision},
                           {"implementation", l.implementation},
                           {"note", l.note},
                           {"time_us", l.time_us}});
  }
  return j;
}

void PrintTable(const Measured& m) {
  std::printf("%-40s %-28s %-12s %-40s %10s\n", "layer", "op", "precision", "implementation", "us");
  for (const Layer& l : m.layers) {
    std::printf("%-40.40s %-28.28s %-12s %-40.40s %10.1f%s%s%s\n", l.name.c_str(), l.op.c_str(), l.precision.c_str(),
                l.implementation.c_str(), l.time_us, l.slow_reference ? "  SLOW" : "", l.note.empty() ? "" : "  ",
                l.note.c_str());
  }
  std::printf("median %.3f ms, p99 %.3f ms", m.median_ms, m.p99_ms);
  if (m.floor_ms) std::printf(", floor %.3f ms (x %.3f)", *m.floor_ms, m.median_ms / *m.floor_ms);
  std::printf("; weights %.2f MB, arena %.2f MB\n", static_cast<double>(m.info.weight_bytes) / 1e6,
              static_cast<double>(m.info.arena_bytes) / 1e6);
}

absl::Status Main() {
  if (absl::GetFlag(FLAGS_model).empty()) return absl::InvalidArgumentError("--model=FILE is needed");
  if (absl::GetFlag(FLAGS_threads) < 1 || absl::GetFlag(FLAGS_batch) < 1)
    return absl::InvalidArgumentError("--threads and --batch start at 1");
  PinTo(absl::GetFlag(FLAGS_threads));
  PRECIS_ASSIGN_OR_RETURN(auto model, Model::Open(absl::GetFlag(FLAGS_model)));
  PRECIS_ASSIGN_OR_RETURN(const auto shapes, Shapes(*model));
  PRECIS_ASSIGN_OR_RETURN(const quant::Policy policy, PolicyOfFlags());
  std::string calibration = absl::GetFlag(FLAGS_calibration);
  std::string temporary;
  if (policy.precision >= quant::Precision::kInt8 && calibration.empty()) {
    temporary = (std::filesystem::temp_directory_path() / "precis_bench.XXXXXX").string();
    if (mkdtemp(temporary.data()) == nullptr) return absl::InternalError("cannot make a temporary folder");
    PRECIS_RETURN_IF_ERROR(WriteRandomSamples(*model, shapes, temporary));
    calibration = temporary;
    std::cerr << "no --calibration: random samples, the figures are good for speed only\n";
  }
  const auto measured = Measure(*model, policy, shapes, calibration);
  if (!temporary.empty()) std::filesystem::remove_all(temporary);
  PRECIS_RETURN_IF_ERROR(measured.status());
  if (absl::GetFlag(FLAGS_json)) {
    std::cout << ToJson(*measured).dump() << "\n";
  } else {
    PrintTable(*measured);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace precis

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Latency of one model at one precision, in process.\n  precis_bench --model=net.onnx --variant=int8 --threads=1 "
      "--floor --json");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = precis::Main();
  if (status.ok()) return 0;
  std::cerr << "precis_bench: " << std::string(status.message()) << "\n";
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
