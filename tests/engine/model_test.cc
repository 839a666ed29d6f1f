// The facade: from a file on disk to variants, sessions and their errors.
#include "engine/model.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/engine/model_fixture.h"
#include "tests/engine/random_weights.h"
#include "tests/onnx/text_model.h"

namespace precis {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using ::testing::SizeIs;

// --- Opening ---

TEST_F(ModelTest, ShowsTheSignature) {
  const auto model = Open(Classifier());
  ASSERT_THAT(model->inputs(), SizeIs(1));
  EXPECT_EQ(model->inputs()[0].name, "image");
  EXPECT_EQ(model->inputs()[0].dtype, DataType::kF32);
  EXPECT_EQ(model->inputs()[0].shape, (Shape{kUnknownDim, 3, 8, 8}));
  EXPECT_EQ(model->inputs()[0].dim_names[0], "batch");
  ASSERT_THAT(model->outputs(), SizeIs(1));
  EXPECT_EQ(model->outputs()[0].name, "scores");
  EXPECT_EQ(model->path(), PathOf("model.onnx"));
}

TEST_F(ModelTest, RefusesWhatIsNoModel) {
  EXPECT_EQ(Model::Open(PathOf("nothing.onnx")).status().code(), absl::StatusCode::kNotFound);
  std::ofstream(PathOf("noise.onnx")) << "not a model";
  EXPECT_EQ(Model::Open(PathOf("noise.onnx")).status().code(), absl::StatusCode::kInvalidArgument);
}

// --- Running ---

TEST_F(ModelTest, ComputesWhatTheFileSays) {
  const auto model = OpenText(R"(g (float[n, 2] x) => (float[n, 2] y, float[n, 2] z)
      <float[2, 2] w = {1, 2, 3, 4}> { y = MatMul(x, w) z = Relu(y) })");
  const auto session = NewSession(Load(model, Options("fp32")));
  std::vector<Tensor> outputs;
  const Tensor x = Tensor::From<float>({2, 2}, {1, 1, 1, -1});
  ASSERT_TRUE(session->Run({x.view()}, &outputs).ok());
  ASSERT_THAT(outputs, SizeIs(2));
  EXPECT_EQ(ToFloat(outputs[0].view()), (std::vector<float>{4, 6, -2, -2}));
  EXPECT_EQ(ToFloat(outputs[1].view()), (std::vector<float>{4, 6, 0, 0}));
}

TEST_F(ModelTest, TakesEveryBatchSize) {
  const auto session = NewSession(Load(Open(Classifier()), Options("fp32")));
  const Tensor images = Images(4);
  const auto together = Run(*session, images);
  ASSERT_THAT(together, SizeIs(40));
  for (int64_t i = 0; i < 4; ++i) {
    Tensor one(DataType::kF32, {1, 3, 8, 8});
    std::copy_n(images.As<float>().begin() + i * 192, 192, one.As<float>().begin());
    const std::vector<float> want(together.begin() + i * 10, together.begin() + (i + 1) * 10);
    EXPECT_THAT(Run(*session, one), Pointwise(FloatNear(1e-4f), want));
  }
  EXPECT_THAT(Run(*session, Images(0)), SizeIs(0));
}

TEST_F(ModelTest, ReusesOutputTensorsThatFit) {
  const auto session = NewSession(Load(Open(Classifier()), Options("fp32")));
  std::vector<Tensor> outputs;
  ASSERT_TRUE(session->Run({Images(2).view()}, &outputs).ok());
  const void* data = outputs[0].data();
  ASSERT_TRUE(session->Run({Images(2, 6).view()}, &outputs).ok());
  EXPECT_EQ(outputs[0].data(), data);
  ASSERT_TRUE(session->Run({Images(3).view()}, &outputs).ok());
  EXPECT_EQ(outputs[0].shape(), (Shape{3, 10}));
}

TEST_F(ModelTest, SessionsRunSideBySide) {
  const auto variant = Load(Open(Classifier()), Options("fp32"));
  const auto want = Run(*NewSession(variant), Images(2));
  std::vector<std::vector<float>> results(4);
  {
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < results.size(); ++t) {
      threads.emplace_back([&, t] {
        const auto session = NewSession(variant);
        for (int64_t batch : {1, 2, 3, 2}) results[t] = Run(*session, Images(batch));
      });
    }
  }
  EXPECT_THAT(results, Each(want));
}

TEST_F(ModelTest, VariantOutlivesModelAndSessionOutlivesVariant) {
  auto model = Open(Classifier());
  auto variant = Load(model, Options("fp32"));
  model.reset();
  const auto session = NewSession(variant);
  variant.reset();
  EXPECT_THAT(Run(*session, Images(3)), SizeIs(30));
}

// --- Requests that do not fit ---

TEST_F(ModelTest, NamesTheInputThatDoesNotFit) {
  const auto session = NewSession(Load(Open(Classifier()), Options("fp32")));
  const Tensor image = Images(1), flat(DataType::kF32, {1, 192}), wide(DataType::kF32, {1, 3, 8, 9}),
               bytes(DataType::kU8, {1, 3, 8, 8});
  using enum absl::StatusCode;
  ExpectError(RunStatus(*session, {}), kInvalidArgument, {"1 inputs", "0"});
  ExpectError(RunStatus(*session, {image.view(), image.view()}), kInvalidArgument, {"1 inputs", "2"});
  ExpectError(RunStatus(*session, {flat.view()}), kInvalidArgument, {"\"image\"", "[?,3,8,8]", "[1,192]"});
  ExpectError(RunStatus(*session, {wide.view()}), kInvalidArgument, {"\"image\"", "[?,3,8,8]", "[1,3,8,9]"});
  ExpectError(RunStatus(*session, {bytes.view()}), kInvalidArgument, {"\"image\"", "FP32", "UINT8"});
  EXPECT_THAT(Run(*session, image), SizeIs(10));  // and goes on
}

TEST_F(ModelTest, EqualSymbolsMustAgree) {
  const auto model = OpenText("g (float[n, 2] x, float[n, 2] y) => (float[n, 2] z) { z = Add(x, y) }");
  const auto session = NewSession(Load(model, Options("fp32")));
  const Tensor one(DataType::kF32, {1, 2}), two(DataType::kF32, {2, 2});
  ExpectError(RunStatus(*session, {one.view(), two.view()}), absl::StatusCode::kInvalidArgument, {"n"});
}

TEST_F(ModelTest, ShapesThatTheNetworkCannotTakeAreTheRequestsFault) {
  const auto model = OpenText(R"(g (float[1, 1, h, w] x) => (float[1, 1, p, q] y)
      <float[1, 1, 3, 3] k = {1, 1, 1, 1, 1, 1, 1, 1, 1}> { y = Conv(x, k) })");
  LoadOptions options = Options("fp32");
  options.warm_shapes = {{1, 1, 5, 5}};
  const auto session = NewSession(Load(model, options));
  const Tensor small(DataType::kF32, {1, 1, 2, 2});
  ExpectError(RunStatus(*session, {small.view()}), absl::StatusCode::kInvalidArgument, {"kernel"});
}

// --- Variants ---

TEST_F(ModelTest, SaysWhatAVariantCosts) {
  std::vector<std::string> phases;
  LoadOptions options = Options("fp32");
  options.progress = [&](const std::string& phase, double fraction) {
    EXPECT_GE(fraction, 0.0);
    EXPECT_LE(fraction, 1.0);
    phases.push_back(phase);
  };
  const auto variant = Load(Open(Classifier()), options);
  const VariantInfo& info = variant->info();
  EXPECT_EQ(info.name, "fp32");
  EXPECT_GE(info.weight_bytes, (16 * 27 + 16 * 144 + 160) * 4);
  EXPECT_GT(info.arena_bytes, 0);
  EXPECT_GE(info.weight_bytes_per_run, info.weight_bytes * 9 / 10);
  EXPECT_GT(info.activation_bytes_per_run, 0);
  for (const char* phase : {"parse", "quantize", "compile", "warm_up"})
    EXPECT_TRUE(info.load_ms.contains(phase)) << phase;
  EXPECT_THAT(phases, AllOf(Contains("parse"), Contains("compile"), Contains("warm_up")));
}

TEST_F(ModelTest, DescribesThePlanOfAnyShape) {
  const auto variant = Load(Open(Classifier()), Options("fp32"));
  const auto one = variant->DescribePlan({}), four = variant->DescribePlan({{4, 3, 8, 8}});
  ASSERT_TRUE(one.ok()) << one.status();
  ASSERT_TRUE(four.ok()) << four.status();
  int64_t bytes[2] = {0, 0};
  for (const Layer& layer : *one) bytes[0] += layer.activation_bytes;
  for (const Layer& layer : *four) bytes[1] += layer.activation_bytes;
  EXPECT_GT(bytes[1], 3 * bytes[0]);
  EXPECT_EQ(variant->DescribePlan({{4, 3, 9, 8}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(variant->DescribePlan({{1}, {1}}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ModelTest, MeasuresLayersAndFloor) {
  const auto session = NewSession(Load(Open(Classifier()), Options("fp32")));
  const Tensor images = Images(1);
  const auto layers = session->Profile({images.view()}, 1, 3);
  ASSERT_TRUE(layers.ok()) << layers.status();
  double total_us = 0;
  for (const Layer& layer : *layers) total_us += layer.time_us;
  EXPECT_GT(total_us, 0.0);
  const auto floor_ms = session->FloorMilliseconds({images.view()});
  ASSERT_TRUE(floor_ms.ok()) << floor_ms.status();
  EXPECT_GT(*floor_ms, 0.0);
  EXPECT_EQ(session->Profile({}, 1, 3).status().code(), absl::StatusCode::kInvalidArgument);
}

// --- Plans per shape ---

TEST_F(ModelTest, CompilesWarmShapesAtLoad) {
  LoadOptions options = Options("fp32");
  options.warm_shapes = {{4, 3, 8, 8}};
  const auto model = Open(Classifier());
  const auto variant = Load(model, options);
  std::filesystem::remove(model->path());
  EXPECT_THAT(Run(*NewSession(variant), Images(4)), SizeIs(40));  // without the file: the plan is there
}

TEST_F(ModelTest, FileThatChangedIsNotMixedWithWhatIsLoaded) {
  const auto model = Open(Classifier());
  const auto variant = Load(model, Options("fp32"));
  const auto session = NewSession(variant);
  const auto before = Run(*session, Images(1));
  std::filesystem::remove(model->path());
  Write(Classifier(2));
  EXPECT_EQ(Run(*session, Images(1)), before);
  ExpectError(RunStatus(*session, {Images(2).view()}), absl::StatusCode::kFailedPrecondition,
              {model->path(), "changed"});
}

// Once the file is gone, only shapes whose plans are still cached run.
TEST_F(ModelTest, KeepsNoMorePlansThanTold) {
  LoadOptions options = Options("fp32");
  options.max_cached_plans = 2;
  const auto model = Open(Classifier());
  const auto variant = Load(model, options);  // batch 1
  for (int64_t batch : {2, 3, 2, 4})
    EXPECT_THAT(Run(*NewSession(variant), Images(batch)), SizeIs(static_cast<size_t>(batch * 10)));
  std::filesystem::remove(model->path());
  for (int64_t batch : {2, 4}) EXPECT_TRUE(RunStatus(*NewSession(variant), {Images(batch).view()}).ok()) << batch;
  for (int64_t batch : {1, 3}) EXPECT_FALSE(RunStatus(*NewSession(variant), {Images(batch).view()}).ok()) << batch;
}

TEST_F(ModelTest, SessionThatMeetsManyShapesStaysRight) {
  const auto session = NewSession(Load(Open(Classifier()), Options("fp32")));
  const auto first = Run(*session, Images(1));
  for (int64_t batch = 2; batch <= 20; ++batch)
    EXPECT_THAT(Run(*session, Images(batch)), SizeIs(static_cast<size_t>(batch * 10)));
  EXPECT_EQ(Run(*session, Images(1)), first);
}

TEST(EngineFactsTest, NamesIsaAndVersion) {
  EXPECT_FALSE(CpuIsaName().empty());
  EXPECT_THAT(OneDnnVersion(), ::testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
}

// --- Background work ---

TEST_F(ModelTest, PacedRunsGiveTheSameAnswerAndEndWhenTold) {
  const auto variant = Load(Open(Classifier()), Options("fp32"));
  const auto session = NewSession(variant);
  const Tensor images = Images(1);
  const std::vector<float> expected = Run(*session, images);
  std::vector<Tensor> outputs;
  int layers = 0;
  ASSERT_TRUE(session->RunPaced({images.view()}, &outputs, [&] { return ++layers > 0; }).ok());
  EXPECT_EQ(ToFloat(outputs[0].view()), expected);
  EXPECT_GT(layers, 3);
  int left = 2;
  EXPECT_TRUE(absl::IsCancelled(session->RunPaced({images.view()}, &outputs, [&] { return --left > 0; })));
  EXPECT_EQ(left, 0);
}

TEST_F(ModelTest, BackgroundSessionsOfAVariantOfSeveralThreadsAnswerTheSame) {
  LoadOptions options = Options("int8");
  options.threads = 2;
  options.calibration_dir = Calibration();
  const auto variant = Load(Open(Classifier()), options);
  auto background = variant->NewBackgroundSession();
  ASSERT_TRUE(background.ok()) << background.status();
  EXPECT_THAT(Run(**background, Images(2)), Pointwise(FloatNear(1e-5f), Run(*NewSession(variant), Images(2))));
}

TEST_F(ModelTest, BackgroundSessionsTakeTheVariantsPlansAndKeepTheirOwn) {
  LoadOptions options = Options("fp32");
  options.warm_shapes = {{1, 3, 8, 8}};
  const auto variant = Load(Open(Classifier()), options);
  const auto background = *variant->NewBackgroundSession(), serving = NewSession(variant);
  EXPECT_FALSE(Run(*background, Images(2)).empty());
  std::filesystem::remove(PathOf("model.onnx"));  // from now on nothing can be compiled
  EXPECT_EQ(Run(*background, Images(1)), Run(*serving, Images(1)));
  EXPECT_FALSE(Run(*background, Images(2)).empty());
  std::vector<Tensor> outputs;
  EXPECT_FALSE(serving->Run({Images(2).view()}, &outputs).ok());
}

TEST_F(ModelTest, InputProbeSeesWhetherImagesAreThoseOfTheCalibration) {
  LoadOptions options = Options("int8");
  options.calibration_dir = Calibration();
  const auto model = Open(Classifier());
  const auto variant = Load(model, options);
  auto probe = variant->NewInputProbe();
  ASSERT_TRUE(probe.ok()) << probe.status();
  ASSERT_NE(*probe, nullptr);
  ASSERT_THAT((*probe)->layers(), SizeIs(::testing::Ge(2U)));
  const auto clipped = [&](float contrast) {
    Tensor images = Images(3);  // the probe takes the first
    for (float& x : images.As<float>()) x *= contrast;
    const auto counts = (*probe)->Run({images.view()}, [] { return true; });
    EXPECT_TRUE(counts.ok()) << counts.status();
    double most = 0;
    for (size_t i = 0; i < counts->size(); ++i) {
      EXPECT_EQ((*counts)[i].shares.size(), (*probe)->layers()[i].expected.size());
      most = std::max(most, (*counts)[i].clipped / (*counts)[i].elements);
    }
    return most;
  };
  EXPECT_LT(clipped(1), 0.05);
  EXPECT_GT(clipped(4), 0.5);
  const Tensor wide(DataType::kF32, {1, 3, 8, 16});
  ExpectError((*probe)->Run({wide.view()}, [] { return true; }).status(), absl::StatusCode::kInvalidArgument,
              {"shapes"});
  EXPECT_EQ(*Load(model, Options("bf16"))->NewInputProbe(), nullptr);
}

}  // namespace
}  // namespace precis
