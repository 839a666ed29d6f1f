#include "client/cli/app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/table.h"
#include "engine/tensor/npy.h"
#include "tests/client/fake_server.h"

namespace precis::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Outcome {
  int code;
  std::string out, err;

  // The one line that --json prints.
  Json json() const {
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1) << out;
    EXPECT_TRUE(out.ends_with("}\n")) << out;
    return Json::parse(out, nullptr, false);
  }
};

class AppTest : public ::testing::Test {
 protected:
  Outcome Run(std::vector<std::string> words, bool terminal = false) {
    words.insert(words.begin(), "precis");
    words.push_back("--server=" + server_.target());
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    std::ostringstream out, err;
    const int code = RunApp(static_cast<int>(argv.size()), argv.data(), out, err, terminal);
    return {code, out.str(), err.str()};
  }

  // A .npy file of one sample for the model "net".
  std::string WriteInput() {
    const std::string path = std::string(::testing::TempDir()) + "precis_app_test_x.npy";
    std::vector<float> values(12, 0.25f);
    values[7] = 1;
    std::ofstream(path, std::ios::binary) << FormatNpy(Tensor::From<float>({3, 2, 2}, values).view());
    return path;
  }

  FakeServer server_;
};

TEST_F(AppTest, WrongUsageIsTwo) {
  const std::vector<std::vector<std::string>> cases = {
      {},
      {"frobnicate"},
      {"--frobnicate"},
      {"load"},
      {"models", "extra"},
      {"models", "--timeout=soon"},
      {"models", "--timeout=0s"},
      {"models", "--tls-ca=/nowhere/ca.pem"},
      {"plan", "net", "--repetitions=-1"},
      {"plan", "net", "--shape=x"},
      {"plan", "net@int8", "--html=/tmp/never_written.html"},
      {"load", "net@int8", "--override=conv1"},
      {"load", "net@mine", "--override=conv1=fp32"},
      {"load", "net@mixed", "--objective=beauty"},
      {"load", "net@int8", "--weight_scheme=ternery"},
      {"load", "net@int8", "--weight_bits=9"},
      {"load", "net@int8", "--weight_scheme=log2", "--policy=/tmp"},
      {"load", "net@mixed", "--min_sqnr_db=25", "--policy=/tmp"},
      {"load", "net@int8", "--policy=/nowhere/policy.textproto"},
      {"infer", "net"},
      {"infer", "net", "a.npy", "--random"},
      {"infer", "net", "/nowhere/a.npy"},
      {"infer", "net", "/nowhere/a.npz"},
      {"infer", "net", "/nowhere/a.jpg", "--mean=0"},
      {"infer", "net", "--input=x"},
      {"infer", "net", "--random", "--shape=x=a"},
      {"infer", "net", "--random", "--shape=x=99999999999,99999999999"},
      {"swamp"},
      {"swamp", "--k=0"},
      {"swamp", "--k=8", "--distribution=cauchy"},
      {"swamp", "--k=8", "--accumulators=f8"},
      {"swamp", "--k=8", "--chunks=-1"},
      {"swamp", "--k=8", "--model=net.onnx"},
      {"swamp", "--layer=conv"},
      {"swamp", "--model=net.onnx", "--calibration=/nowhere"},
      {"calibrate", "net", "--data=/tmp"},
      {"calibrate", "net@int8"},
      {"calibrate", "net@int8", "--data=/nowhere"},
      {"compare", "net", "--variants=fp32"},
      {"compare", "net@int8", "--variants=fp32", "--data=/tmp"},
      {"compare", "net", "--variants=fp32,fp32", "--data=/tmp"},
      {"compare", "net", "--variants=fp32", "--data=/nowhere"},
  };
  for (const auto& words : cases) {
    const Outcome outcome = Run(words);
    EXPECT_EQ(outcome.code, kWrongUsage) << ::testing::PrintToString(words) << outcome.out;
    EXPECT_NE(outcome.err, "") << ::testing::PrintToString(words);
  }
}

TEST_F(AppTest, ARefusalIsOneAndNamesTheCode) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"load", "other@int8"},
                                             {"unload", "other"},
                                             {"plan", "other"},
                                             {"infer", "other", "--random"},
                                             {"calibrate", "other@int8", "--data=/tmp"},
                                             {"compare", "other", "--variants=fp32", "--data=/tmp"},
                                             {"health", "other"}}) {
    std::vector<std::string> with_json = words;
    with_json.push_back("--json");
    const Outcome text = Run(words), json = Run(with_json);
    EXPECT_EQ(text.code, kRefused) << words[0];
    EXPECT_EQ(text.out, "");
    EXPECT_THAT(text.err, StartsWith("precis: NOT_FOUND: "));
    EXPECT_EQ(json.code, kRefused);
    EXPECT_EQ(json.json()["error"]["code"], "NOT_FOUND");
  }
}

TEST_F(AppTest, UnreachableServerIsOne) {
  const char* argv[] = {"precis", "models", "--server=localhost:1"};
  std::ostringstream out, err;
  EXPECT_EQ(RunApp(3, argv, out, err, false), kRefused);
  EXPECT_THAT(err.str(), HasSubstr("UNAVAILABLE"));
}

TEST_F(AppTest, HelpTeachesWithExamples) {
  for (const char* command :
       {"models", "load", "calibrate", "unload", "infer", "compare", "plan", "swamp", "stats", "health"}) {
    const Outcome outcome = Run({command, "--help"});
    EXPECT_EQ(outcome.code, kDone);
    EXPECT_THAT(outcome.out, HasSubstr("Example"));
    EXPECT_THAT(outcome.out, HasSubstr(std::string("precis ") + command));
    EXPECT_THAT(Run({"--help"}).out, HasSubstr(command));
  }
}

TEST_F(AppTest, Models) {
  const Outcome text = Run({"models"});
  EXPECT_EQ(text.code, kDone);
  EXPECT_THAT(text.out, HasSubstr("fp32*, int8"));
  EXPECT_THAT(text.out, HasSubstr("not an ONNX file"));
  const Json json = Run({"--json", "models"}).json();
  EXPECT_EQ(json["models"][0]["variants"][1]["bytes_per_inference"], 950);
  EXPECT_EQ(json["models"][1]["state"], "UNAVAILABLE");
}

TEST_F(AppTest, LoadShowsPhasesAsLinesOrAsABar) {
  const Outcome lines = Run({"load", "net@int8"});
  EXPECT_EQ(lines.code, kDone);
  EXPECT_EQ(lines.err, "net@int8: parse\nnet@int8: warm up\n");
  EXPECT_THAT(lines.out, StartsWith("net@int8  READY"));
  const Outcome bar = Run({"load", "net@int8"}, true);
  EXPECT_THAT(bar.err, HasSubstr("warm up    [============            ]  50%"));
  EXPECT_TRUE(bar.err.ends_with("\r\x1b[K"));
  const Outcome json = Run({"load", "net@int8", "--json"}, true);
  EXPECT_THAT(json.err, Not(HasSubstr("\r")));
  EXPECT_EQ(json.json()["loaded"][0]["model"], "net");
}

TEST_F(AppTest, Unload) {
  EXPECT_EQ(Run({"unload", "net", "--json"}).json()["unloaded"][0], "net");
  EXPECT_EQ(Run({"unload", "net@int8"}).code, kRefused);  // the fake server cannot
}

TEST_F(AppTest, InferFromAnArrayPutsTheBatchInFront) {
  const std::string path = WriteInput();
  const Json json = Run({"infer", "net", path, "--json"}).json();
  EXPECT_EQ(json["outputs"][0]["shape"], Json({1, 3, 2, 2}));
  EXPECT_EQ(json["outputs"][0]["data"][7], 1.0);
  EXPECT_EQ(Run({"infer", "net", "--input", "x=" + path}).code, kDone);
  EXPECT_EQ(Run({"infer", "net", "--input", "y=" + path}).code, kWrongUsage);
  std::filesystem::remove(path);
}

TEST_F(AppTest, InferShowsTheLargestValuesOfAVector) {
  server_.inference.on_infer = [](const auto&, inference::ModelInferResponse* reply) {
    auto* output = reply->add_outputs();
    output->set_name("y");
    output->set_datatype("FP32");
    for (const int dimension : {1, 4, 1}) output->add_shape(dimension);
    const float values[] = {1, 4, NAN, 3};
    reply->add_raw_output_contents(values, sizeof(values));
    return grpc::Status::OK;
  };
  const Outcome outcome = Run({"infer", "net", "--random", "--json", "--top=1"});
  EXPECT_EQ(outcome.json()["outputs"][0]["top"].size(), 1u);
  EXPECT_TRUE(outcome.json()["outputs"][0]["data"][2].is_null());
}

TEST_F(AppTest, InferSavesItsOutputs) {
  const std::string base = std::string(::testing::TempDir()) + "precis_app_test_save";
  for (const std::string& path : {base + ".npy", base + ".npz"}) {
    EXPECT_EQ(Run({"infer", "net", "--random", "--seed=3", "--save=" + path}).code, kDone);
  }
  EXPECT_EQ(ReadNpy(base + ".npy")->shape(), (Shape{1, 3, 2, 2}));
  EXPECT_EQ(ReadNpz(base + ".npz")->at("x").shape(), (Shape{1, 3, 2, 2}));
  EXPECT_EQ(Run({"infer", "net", base + ".npz"}).code, kDone);
  std::filesystem::remove(base + ".npy");
  std::filesystem::remove(base + ".npz");
  EXPECT_EQ(Run({"infer", "net", "--random", "--save=/nowhere/x.npy"}).code, kWrongUsage);
}

TEST_F(AppTest, RandomInputsRepeatWithTheirSeed) {
  const auto data = [&](const char* seed) {
    return Run({"infer", "net", "--random", "--json", seed}).json()["outputs"][0]["data"];
  };
  EXPECT_EQ(data("--seed=1"), data("--seed=1"));
  EXPECT_NE(data("--seed=1"), data("--seed=2"));
}

TEST_F(AppTest, CalibrateSendsTheRowsAskedForAndShowsTheVariant) {
  const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) / "precis_app_test_calibrate";
  std::filesystem::create_directories(folder);
  const Tensor images = Tensor::From<uint8_t>({5, 2, 2, 3}, std::vector<uint8_t>(60, 9));
  std::ofstream(folder / "images.npy", std::ios::binary) << FormatNpy(images.view());
  std::vector<std::string> words = {"calibrate",  "net@int8",   "--data=" + folder.string(),
                                    "--rows=1:4", "--mean=0.1", "--sample_limit=20"};
  const Outcome text = Run(words);
  EXPECT_EQ(text.code, kDone) << text.err;
  EXPECT_THAT(text.out, HasSubstr("net@int8  READY  calibrated on 3 samples"));
  EXPECT_EQ(server_.precision.calibration[0].start().precision_policy().calibration().sample_limit(), 20);
  words.push_back("--json");
  const Json json = Run(words).json();
  EXPECT_EQ(json["samples"], 3);
  EXPECT_EQ(json["model"], "net");
  EXPECT_EQ(json["state"], "READY");
}

TEST_F(AppTest, CompareHasTheColumnsThatScriptsRelyOn) {
  const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) / "precis_app_test_compare";
  std::filesystem::create_directories(folder);
  const Tensor images = Tensor::From<uint8_t>({3, 2, 2, 3}, std::vector<uint8_t>(36, 9));
  std::ofstream(folder / "images.npy", std::ios::binary) << FormatNpy(images.view());
  const std::vector<std::string> words = {"compare", "net", "--variants=fp32,int8,bf16", "--data=" + folder.string(),
                                          "--rows=1:"};
  EXPECT_EQ(Run(words).code, kWrongUsage);  // nothing says how to preprocess
  std::vector<std::string> with_mean = words;
  with_mean.push_back("--mean=0.1");
  EXPECT_THAT(Run(with_mean).out, HasSubstr("AGREEMENT"));
  with_mean.push_back("--json");
  const Json json = Run(with_mean).json();
  EXPECT_EQ(server_.precision.last_load.variant(), "bf16");  // it was not loaded
  ASSERT_EQ(json["variants"].size(), 3u);
  for (const Json& row : json["variants"]) {
    EXPECT_TRUE(row["top1"].is_null());
    EXPECT_EQ(row["agreement"], 100.0);
    EXPECT_TRUE(row["sqnr_db"].is_null());
    EXPECT_EQ(row["samples"], 2);
    EXPECT_GT(row["latency_ms"]["p99"].get<double>(), 0);
    for (const char* key : {"variant", "cosine", "weight_bytes", "bytes_per_inference"}) EXPECT_TRUE(row.contains(key));
  }
  EXPECT_EQ(json["variants"][1]["bytes_per_inference"], 950);
  EXPECT_EQ(json["recommendation"]["variant"].is_string(), true);
  with_mean.push_back("--html=" + (folder / "report.html").string());
  EXPECT_EQ(Run(with_mean).code, kDone);
  std::ifstream page(folder / "report.html");
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(page), {}), HasSubstr("<h1>"));
  with_mean.back() = "--html=/nowhere/report.html";
  EXPECT_NE(Run(with_mean).code, kDone);
  std::filesystem::remove_all(folder);
}

TEST_F(AppTest, PlanAndStats) {
  EXPECT_THAT(Run({"plan", "net@int8"}).out, HasSubstr("brgconv:avx512_core_vnni"));
  EXPECT_EQ(Run({"plan", "net@int8", "--repetitions=5", "--json"}).json()["layers"][0]["time_us"], 5.0);
  EXPECT_THAT(Run({"stats"}).out, HasSubstr("net@fp32"));
  EXPECT_EQ(Run({"stats", "--json"}).json()["models"].size(), 2u);  // fp32 and int8
  EXPECT_EQ(Run({"stats", "net@int8", "--json"}).json()["models"][0]["name"], "net@int8");
  EXPECT_EQ(Run({"stats", "--json"}).json()["models"][0]["mean_ms"]["total"], 2.0);
  const auto memory = Run({"stats", "--json"}).json()["models"][0]["memory"];
  EXPECT_EQ(memory["bytes_per_second"], 20000.0);
  EXPECT_EQ(memory["weight_bytes_per_inference"], 900);
  EXPECT_EQ(memory["peak_bytes_per_second"], 4e10);
  EXPECT_FALSE(memory.contains("measured_bytes_per_second"));  // the fake server's machine cannot count
}

TEST_F(AppTest, SwampMeasuresEveryAccumulatorAndChunk) {
  const std::vector<std::string> words = {"swamp", "--k=4096", "--sums=64", "--chunks=0,64"};
  std::vector<std::string> with_json = words;
  with_json.push_back("--json");
  const Json points = Run(with_json).json()["points"];
  ASSERT_EQ(points.size(), 4u * 2 * 2);
  for (const Json& point : points) {
    for (const char* key : {"accumulator", "chunk", "outer", "k", "sum_ratio", "relative_rms_error", "swamped_ratio"}) {
      EXPECT_TRUE(point.contains(key)) << key;
    }
  }
  EXPECT_EQ(points[4]["accumulator"], "bf16");
  EXPECT_EQ(points[4]["chunk"], 0);
  EXPECT_EQ(points[4]["outer"], "f32");
  EXPECT_NEAR(points[4]["sum_ratio"].get<double>(), 0.25, 0.005);
  EXPECT_GT(points[4]["swamped_ratio"].get<double>(), 0.5);
  EXPECT_NEAR(points[5]["sum_ratio"].get<double>(), 1, 0.01);
  const Outcome text = Run(words);
  EXPECT_THAT(text.out, HasSubstr("fp16_169"));
  EXPECT_THAT(text.out, HasSubstr("relative rms error over chunk size"));
  const std::string page = ::testing::TempDir() + "/precis_app_test_swamp.html";
  ASSERT_EQ(Run({"swamp", "--k=256", "--sums=16", "--html=" + page}).code, kDone);
  std::ifstream file(page);
  const std::string html{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove(page);
  EXPECT_THAT(html, HasSubstr("<polyline"));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
}

TEST_F(AppTest, SwampReadsALayerOfAModel) {
  const std::string model = "--model=demo/repository/fashion/1/model.onnx";
  const Outcome unknown = Run({"swamp", model, "--layer=list"});
  EXPECT_EQ(unknown.code, kRefused);
  const std::string list = unknown.err.substr(unknown.err.find("there are: ") + 11);
  const std::string layer = list.substr(0, list.find_first_of(",\n"));
  const Outcome known = Run({"swamp", model, "--layer=" + layer, "--calibration=demo/repository/fashion/calibration",
                             "--sums=32", "--chunks=0,4", "--json"});
  ASSERT_EQ(known.code, kDone) << known.err;
  EXPECT_THAT(known.json()["source"].get<std::string>(), HasSubstr(layer));
  EXPECT_EQ(known.json()["sums"], 32);
}

TEST_F(AppTest, LoadSaysWhatAPhaseIsAt) {
  server_.precision.on_load = [](grpc::ServerWriter<precis::v1::LoadVariantProgress>* writer) {
    precis::v1::LoadVariantProgress progress;
    progress.set_phase(precis::v1::LoadVariantProgress::CALIBRATE);
    for (const char* detail : {"0 of 4 live samples", "3 of 4 live samples"}) {
      progress.set_detail(detail);
      writer->Write(progress);
      progress.set_fraction(0.75);
    }
    progress.set_phase(precis::v1::LoadVariantProgress::DONE);
    writer->Write(progress);
    return grpc::Status::OK;
  };
  EXPECT_THAT(Run({"load", "net@int8"}).err, HasSubstr("net@int8: calibrate, 0 of 4 live samples\n"));
  EXPECT_THAT(Run({"load", "net@int8"}, /*terminal=*/true).err, HasSubstr("75%  0.0 s  3 of 4 live samples"));
}

TEST_F(AppTest, ShortFlagsMakeAPolicy) {
  const auto policy = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "load");
    const Outcome outcome = Run(words);
    EXPECT_EQ(outcome.code, kDone) << outcome.err;
    return server_.precision.last_load.policy();
  };
  const auto mixed = policy({"net@mine", "--min_sqnr_db=25.5", "--max_top1_disagreement=0.01", "--candidates=int8,fp16",
                             "--objective=memory", "--sample_limit=20"});
  EXPECT_EQ(mixed.precision(), precis::v1::PrecisionPolicy::MIXED);
  EXPECT_EQ(mixed.mixed().min_sqnr_db(), 25.5);
  EXPECT_EQ(mixed.mixed().max_top1_disagreement(), 0.01);
  EXPECT_EQ(mixed.mixed().objective(), precis::v1::MixedPolicy::MEMORY);
  ASSERT_EQ(mixed.mixed().candidates_size(), 2);
  EXPECT_EQ(mixed.mixed().candidates(1), precis::v1::PrecisionPolicy::FP16);
  EXPECT_EQ(mixed.calibration().sample_limit(), 20);
  const auto pinned = policy({"net@int8", "--override=stem/\"x\"=fp32", "--override=b*=bf16"});
  EXPECT_EQ(pinned.precision(), precis::v1::PrecisionPolicy::INT8);
  ASSERT_EQ(pinned.overrides_size(), 2);
  EXPECT_EQ(pinned.overrides(0).pattern(), "stem/\"x\"");
  EXPECT_EQ(pinned.overrides(1).policy().precision(), precis::v1::PrecisionPolicy::BF16);
  const auto ternary = policy(
      {"net@int8", "--weight_scheme=ternary", "--weight_group_size=64", "--override=stem=int8", "--override=a=bf16"});
  EXPECT_EQ(ternary.weights().scheme(), precis::v1::WeightPolicy::TERNARY);
  EXPECT_EQ(ternary.weights().granularity(), precis::v1::WeightPolicy::PER_GROUP);
  EXPECT_EQ(ternary.weights().group_size(), 64);
  EXPECT_EQ(ternary.weights().bits(), 0);
  EXPECT_EQ(ternary.overrides(0).policy().weights().bits(), 8);
  EXPECT_EQ(ternary.overrides(0).policy().weights().scheme(), precis::v1::WeightPolicy::SCHEME_UNSPECIFIED);
  EXPECT_FALSE(ternary.overrides(1).policy().has_weights());
  EXPECT_EQ(policy({"net@int8", "--weight_bits=5"}).weights().bits(), 5);
  EXPECT_EQ(policy({"net@mine", "--weight_scheme=binary"}).precision(), precis::v1::PrecisionPolicy::INT8);
  EXPECT_FALSE(policy({"net@int8", "--override=stem=int8"}).overrides(0).policy().has_weights());
  policy({"net@int8"});
  EXPECT_FALSE(server_.precision.last_load.has_policy());
  EXPECT_FALSE(server_.precision.last_load.recalibrate());
  const auto live = policy({"net@int8", "--calibration_source=live_traffic", "--recalibrate"});
  EXPECT_EQ(live.calibration().source(), precis::v1::CalibrationPolicy::LIVE_TRAFFIC);
  EXPECT_TRUE(server_.precision.last_load.recalibrate());
  EXPECT_EQ(Run({"load", "net@int8", "--calibration_source=nowhere"}).code, kWrongUsage);
}

TEST_F(AppTest, DrawsAMixedPlanInAFileThatNeedsNoOther) {
  const std::string path = ::testing::TempDir() + "/plan_page.html";
  const Outcome outcome = Run({"plan", "net@mixed", "--html=" + path});
  EXPECT_EQ(outcome.code, kDone) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("met"));
  EXPECT_THAT(outcome.out, HasSubstr("<- chosen"));
  std::ifstream file(path);
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(page, HasSubstr("Sensitivity"));
  EXPECT_THAT(page, HasSubstr("conv&lt;1&gt;"));
  for (const char* external : {"http:", "https:", "src=", "url(", "@import", "<script"}) {
    EXPECT_THAT(page, Not(HasSubstr(external)));
  }
  const Json json = Run({"plan", "net@mixed", "--json"}).json();
  EXPECT_EQ(json["search"]["points"].size(), 2u);
  EXPECT_TRUE(json["search"]["points"][0]["sqnr_db"].is_null());
  EXPECT_EQ(json["search"]["layers"][0]["options"][0]["precision"], "INT8");
  std::filesystem::remove(path);
}

TEST_F(AppTest, HealthTellsByItsExitCode) {
  server_.SetServing(true);
  EXPECT_EQ(Run({"health"}).out, "SERVING\n");
  EXPECT_EQ(Run({"health", "--wait-ready=20s", "--json"}).json()["status"], "SERVING");
  server_.SetServing(false);
  EXPECT_EQ(Run({"health"}).code, kRefused);
  EXPECT_EQ(Run({"health", "--wait-ready=50ms"}).code, kRefused);
}

TEST_F(AppTest, Version) {
  EXPECT_THAT(Run({"version"}).out, HasSubstr("server fake 9"));
  EXPECT_EQ(Run({"version", "--json"}).json()["server"]["version"], "9");
}

TEST(TableTest, ColumnsLineUp) {
  Table table({"NAME", ">N"});
  table.AddRow({"é", "7"});
  table.AddRow({"longer", "1234"});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(), "NAME       N\né          7\nlonger  1234\n");
}

TEST(TableTest, Numbers) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(1500), "1.5 kB");
  EXPECT_EQ(FormatBytes(999'960), "1.0 MB");
  EXPECT_EQ(FormatNumber(INFINITY, 2), "-");
  EXPECT_EQ(FormatNumber(1.005, 1), "1.0");
}

TEST(ModelNameTest, VariantFollowsTheLastAt) {
  EXPECT_EQ(SplitModelName("net").variant, "");
  EXPECT_EQ(SplitModelName("net@int8").model, "net");
  EXPECT_EQ(SplitModelName("a@b@int8").model, "a@b");
}

}  // namespace
}  // namespace precis::cli
