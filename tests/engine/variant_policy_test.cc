// The facade under precision policies: what a policy makes of a network, where its calibration comes from, and what the cache keeps.
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>

#include "engine/tensor/npy.h"
#include "tests/engine/model_fixture.h"
#include "tests/engine/random_weights.h"
#include "tests/onnx/text_model.h"

namespace precis {
namespace {

using ::testing::ContainsRegex;
using ::testing::Each;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pointwise;
using ::testing::SizeIs;

class PolicyTest : public ModelTest {
 protected:
  // Signal over noise of `got` against `want`, in dB.
  static double SqnrDb(const std::vector<float>& want, const std::vector<float>& got) {
    double signal = 0, noise = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      const double x = static_cast<double>(want[i]), d = x - static_cast<double>(got[i]);
      signal += x * x;
      noise += d * d;
    }
    return 10 * std::log10(signal / std::max(noise, 1e-30));
  }
  // Of the scores under `policy`, on images that calibration has not seen.
  double SqnrOf(const quant::Policy& policy, std::vector<float>* scores = nullptr,
                const onnx::ModelProto& network = Classifier()) {
    const auto model = Open(network);
    LoadOptions options = Options("int8");
    options.policy = policy;
    options.calibration_dir = Calibration();
    const auto want = Run(*NewSession(Load(model, Options("fp32"))), Images(32));
    const auto got = Run(*NewSession(Load(model, options)), Images(32));
    if (scores != nullptr) *scores = got;
    return SqnrDb(want, got);
  }
  static quant::Policy Int8() { return *quant::BuiltInPolicy("int8"); }
  static quant::Policy Simulated(quant::Policy policy) {
    policy.execution = quant::Execution::kSimulated;
    return policy;
  }
};

TEST_F(PolicyTest, NarrowFloatsStayClose) {
  const auto model = Open(Classifier());
  const auto want = Run(*NewSession(Load(model, Options("fp32"))), Images(3));
  EXPECT_THAT(Run(*NewSession(Load(model, Options("fp16"))), Images(3)), Pointwise(FloatNear(0.01f), want));
  EXPECT_THAT(Run(*NewSession(Load(model, Options("bf16"))), Images(3)), Pointwise(FloatNear(0.08f), want));
}

TEST_F(PolicyTest, NarrowFloatsHoldHalfTheBytes) {
  const auto model = Open(Classifier());
  const int64_t f32 = Load(model, Options("fp32"))->info().weight_bytes;
  EXPECT_LT(Load(model, Options("fp16"))->info().weight_bytes, f32 * 6 / 10);
}

TEST_F(PolicyTest, Int8WithoutCalibrationSaysWhereToPutIt) {
  const auto model = Open(Classifier());
  LoadOptions options = Options("int8");
  options.calibration_dir = PathOf("calibration");
  ExpectError(model->LoadVariant(options).status(), absl::StatusCode::kFailedPrecondition, {PathOf("calibration")});
}

TEST_F(PolicyTest, Int8RunsOnIntegersAndStaysClose) {
  const auto model = Open(Classifier());
  LoadOptions options = Options("int8");
  options.calibration_dir = Calibration();
  const auto variant = Load(model, options);
  const auto layers = variant->DescribePlan({});
  ASSERT_TRUE(layers.ok()) << layers.status();
  int integer = 0;
  for (const Layer& layer : *layers) {
    integer += layer.precision.starts_with("u8*s8") || layer.precision.starts_with("s8*s8");
    EXPECT_FALSE(layer.slow_reference) << layer.name << " " << layer.implementation;
  }
  EXPECT_GE(integer, 1);
  const auto want = Run(*NewSession(Load(model, Options("fp32"))), Images(3));
  EXPECT_THAT(Run(*NewSession(variant), Images(3)), Pointwise(FloatNear(0.15f), want));
  EXPECT_GT(variant->info().load_ms.at("calibrate"), 0.0);
}

// Rows of an image as steps, sequences first, both directions, and a product over the last states.
onnx::ModelProto SequenceClassifier() {
  onnx::ModelProto model = onnx_import::ParseModel(R"(g (float[batch, 3, 8, 8] image) => (float[batch, 10] scores)
      <int64[3] rows = {-1, 24, 8}> {
      x = Reshape(image, rows)
      all, last, cell = LSTM<hidden_size = 16, direction = "bidirectional", layout = 1>(x, w, r, b)
      h = Flatten(last)
      scores = Gemm(h, w2, b2)
    })");
  testing::AddRandomWeights(model,
                            {{"w", {2, 64, 8}}, {"r", {2, 64, 16}}, {"b", {2, 128}}, {"w2", {32, 10}}, {"b2", {10}}});
  return model;
}

TEST_F(PolicyTest, RecurrentLayersStayInF32AndSayWhy) {
  const auto model = Open(SequenceClassifier());
  const auto want = Run(*NewSession(Load(model, Options("fp32"))), Images(3));
  for (const std::string name : {"int8", "bf16", "fp16"}) {
    SCOPED_TRACE(name);
    LoadOptions options = Options(name);
    options.calibration_dir = Calibration();
    const auto variant = Load(model, options);
    EXPECT_THAT(Run(*NewSession(variant), Images(3)), Pointwise(FloatNear(0.02f), want));
    const auto layers = variant->DescribePlan({});
    ASSERT_TRUE(layers.ok()) << layers.status();
    int recurrent = 0;
    for (const Layer& layer : *layers) {
      if (layer.op != "LSTM") continue;
      ++recurrent;
      EXPECT_EQ(layer.precision, "f32");
      EXPECT_THAT(layer.note, HasSubstr("a recurrent layer"));
      EXPECT_NE(layer.implementation, "plain");
    }
    EXPECT_EQ(recurrent, 1);
  }
}

TEST_F(PolicyTest, LayersRunAtThePrecisionsOfTheirOverrides) {
  const auto model = Open(Classifier());
  const auto fp32 = Load(model, Options("fp32"));
  const std::string first = fp32->DescribePlan({})->at(0).name;
  LoadOptions options = Options("bf16");
  options.policy.overrides.resize(1);
  options.policy.overrides[0].pattern = first;
  options.policy.overrides[0].precision = quant::Precision::kInt8;
  ExpectError(model->LoadVariant(options).status(), absl::StatusCode::kFailedPrecondition, {"calibration"});
  options.calibration_dir = Calibration();
  const auto variant = Load(model, options);
  std::map<std::string, std::string> precisions;
  const auto layers = variant->DescribePlan({});
  for (const Layer& layer : *layers) precisions[layer.name] = layer.precision;
  EXPECT_THAT(precisions[first], HasSubstr("s8"));
  int bf16 = 0;
  for (const auto& [name, precision] : precisions) bf16 += name != first && precision.find("bf16") != std::string::npos;
  EXPECT_GE(bf16, 2);
  EXPECT_THAT(Run(*NewSession(variant), Images(3)), Pointwise(FloatNear(0.15f), Run(*NewSession(fp32), Images(3))));
  EXPECT_EQ(variant->info().policy, options.policy);

  options.policy.overrides[0].pattern = "no such layer";
  ExpectError(model->LoadVariant(options).status(), absl::StatusCode::kInvalidArgument, {"no such layer"});
}

TEST_F(PolicyTest, MixedNeedsCalibrationAndSaysWhereToPutIt) {
  LoadOptions options = Options("mixed");
  options.calibration_dir = PathOf("calibration");
  ExpectError(Open(Classifier())->LoadVariant(options).status(), absl::StatusCode::kFailedPrecondition,
              {PathOf("calibration")});
}

TEST_F(PolicyTest, MixedKeepsItsBudgetAndItsPolicySaysHow) {
  const auto model = Open(Classifier());
  LoadOptions options = Options("mixed");
  options.calibration_dir = Calibration();
  options.policy.mixed.min_sqnr_db = 45;  // int8 throughout has less
  double fraction = 0;
  options.progress = [&](const std::string& phase, double f) { fraction = phase == "search" ? f : fraction; };
  const auto variant = Load(model, options);
  EXPECT_EQ(fraction, 1.0);
  EXPECT_TRUE(variant->info().load_ms.contains("search"));
  const auto report = variant->info().search;
  ASSERT_NE(report, nullptr);
  EXPECT_TRUE(report->budget_met) << report->reason;
  EXPECT_THAT(report->layers, SizeIs(3));
  EXPECT_EQ(report->samples, 16);

  const auto fp32 = NewSession(Load(model, Options("fp32"))), mixed = NewSession(variant);
  double signal = 0, noise = 0;
  const Tensor images = Images(16, 9);
  const auto want = Run(*fp32, images), got = Run(*mixed, images);
  for (size_t i = 0; i < want.size(); ++i) {
    signal += want[i] * want[i];
    noise += (want[i] - got[i]) * (want[i] - got[i]);
  }
  EXPECT_GE(10 * std::log10(signal / std::max(noise, 1e-30)), 44.5);

  // The policy found makes the same plan, without a search.
  LoadOptions again = options;
  again.policy = variant->info().policy;
  const auto same = Load(model, again);
  EXPECT_EQ(same->info().search, nullptr);
  const auto first = variant->DescribePlan({}), second = same->DescribePlan({});
  ASSERT_EQ(first->size(), second->size());
  for (size_t i = 0; i < first->size(); ++i) EXPECT_EQ((*first)[i].precision, (*second)[i].precision);
}

TEST_F(PolicyTest, CalibratesAtTheSamplesShapesWhateverIsCompiled) {
  const auto model = Open(Classifier());
  LoadOptions options = Options("int8");
  options.calibration_dir = Calibration();
  const auto want = Run(*NewSession(Load(model, options)), Images(4));
  options.warm_shapes = {{4, 3, 8, 8}};
  EXPECT_EQ(Run(*NewSession(Load(model, options)), Images(4)), want);
}

TEST_F(PolicyTest, ASecondLoadTakesCalibrationFromTheCache) {
  LoadOptions options = Options("int8");
  options.calibration_dir = Calibration();
  const auto load = [&](const std::shared_ptr<const Model>& model) { return Load(model, options)->info(); };
  const auto model = Open(Classifier());
  EXPECT_FALSE(load(model).calibration_recalled);  // no folder, no cache
  options.cache = PathOf("cache");
  EXPECT_FALSE(load(model).calibration_recalled);
  EXPECT_TRUE(load(model).calibration_recalled);
  const auto measured = Run(*NewSession(Load(Open(Classifier()), Options("fp32"))), Images(2));
  const auto recalled = Load(Open(Classifier()), options);
  EXPECT_TRUE(recalled->info().calibration_recalled);
  EXPECT_THAT(Run(*NewSession(recalled), Images(2)), Pointwise(FloatNear(0.3f), measured));

  options.policy.calibration.method = quant::CalibrationMethod::kMinMax;
  EXPECT_FALSE(load(Open(Classifier())).calibration_recalled);  // another policy
  options.policy = *quant::BuiltInPolicy("int8");
  EXPECT_FALSE(load(Open(Classifier(2))).calibration_recalled);  // another network in the same place
  EXPECT_TRUE(load(Open(Classifier(1))).calibration_recalled);
  ASSERT_TRUE(WriteFileAtomically(options.calibration_dir + "/images.npy", FormatNpy(Images(16, 10).view())).ok());
  EXPECT_FALSE(load(Open(Classifier(1))).calibration_recalled);  // other data
}

TEST_F(PolicyTest, ADamagedCacheCostsACalibrationAndAWarning) {
  LoadOptions options = Options("int8");
  options.calibration_dir = Calibration();
  options.cache = PathOf("cache");
  const auto model = Open(Classifier());
  Load(model, options);
  for (const auto& file : std::filesystem::directory_iterator(options.cache))
    std::filesystem::resize_file(file.path(), 1000);
  const VariantInfo damaged = Load(model, options)->info();
  EXPECT_FALSE(damaged.calibration_recalled);
  EXPECT_THAT(damaged.cache_warning, HasSubstr(options.cache));
  const VariantInfo repaired = Load(model, options)->info();
  EXPECT_TRUE(repaired.calibration_recalled);
  EXPECT_EQ(repaired.cache_warning, "");

  options.cache = PathOf("model.onnx") + "/cache";  // no folder can be made there
  const VariantInfo unwritten = Load(model, options)->info();
  EXPECT_FALSE(unwritten.calibration_recalled);
  EXPECT_THAT(unwritten.cache_warning, HasSubstr("cannot make the folder"));
}

TEST_F(PolicyTest, ASecondLoadOfAMixedVariantTakesItsPrecisionsFromTheCache) {
  const auto model = Open(Classifier());
  LoadOptions options = Options("mixed");
  options.calibration_dir = Calibration();
  options.cache = PathOf("cache");
  options.policy.mixed.min_sqnr_db = 45;
  const auto first = Load(model, options), second = Load(model, options);
  EXPECT_FALSE(first->info().search_recalled);
  EXPECT_TRUE(second->info().search_recalled);
  EXPECT_EQ(second->info().policy, first->info().policy);
  ASSERT_NE(second->info().search, nullptr);
  EXPECT_EQ(second->info().search->points.size(), first->info().search->points.size());
  EXPECT_EQ(second->info().search->layers[1].sqnr_db, first->info().search->layers[1].sqnr_db);
  EXPECT_EQ(Run(*NewSession(second), Images(2)), Run(*NewSession(first), Images(2)));

  options.policy.mixed.min_sqnr_db = 40;
  EXPECT_FALSE(Load(model, options)->info().search_recalled);  // another budget
  options.policy.mixed.min_sqnr_db = 45;
  options.threads = 2;
  EXPECT_FALSE(Load(model, options)->info().search_recalled);  // other times
  options.threads = 1;
  ASSERT_TRUE(WriteFileAtomically(options.calibration_dir + "/images.npy", FormatNpy(Images(16, 10).view())).ok());
  EXPECT_FALSE(Load(model, options)->info().search_recalled);  // other data
}

TEST_F(PolicyTest, ADamagedSearchIsMadeAgainWithAWarning) {
  const auto model = Open(Classifier());
  LoadOptions options = Options("mixed");
  options.calibration_dir = Calibration();
  options.cache = PathOf("cache");
  Load(model, options);
  int damaged = 0;
  for (const auto& file : std::filesystem::directory_iterator(options.cache)) {
    if (file.path().extension() != ".search") continue;
    std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) / 2);
    ++damaged;
  }
  ASSERT_EQ(damaged, 1);
  const VariantInfo info = Load(model, options)->info();
  EXPECT_FALSE(info.search_recalled);
  EXPECT_THAT(info.cache_warning, HasSubstr(".search"));
  EXPECT_TRUE(Load(model, options)->info().search_recalled);
}

// --- Streamed samples ---

TEST_F(PolicyTest, SamplesThatComeOneByOneCalibrateLikeAFolder) {
  const auto model = Open(Classifier());
  LoadOptions options = Options("int8");
  options.calibration_dir = Calibration();
  const auto want = Run(*NewSession(Load(model, options)), Images(3));

  options.calibration_dir = PathOf("nowhere");
  options.policy.calibration.source = quant::CalibrationSource::kStream;
  ExpectError(model->LoadVariant(options).status(), absl::StatusCode::kFailedPrecondition,
              {"calibration.source", "precis calibrate"});
  auto run = model->StartCalibration(options);
  ASSERT_TRUE(run.ok()) << run.status();
  const Tensor images = Images(16, 9);
  for (int64_t i = 0; i < 16; ++i) {
    const TensorView image{DataType::kF32, {1, 3, 8, 8}, images.As<float>().data() + i * 192};
    ASSERT_TRUE((*run)->Add({image}).ok());
  }
  const auto streamed = (*run)->Finish();
  ASSERT_TRUE(streamed.ok()) << streamed.status();
  options.streamed = *streamed;
  EXPECT_EQ(Run(*NewSession(Load(model, options)), Images(3)), want);
  options.policy.calibration.source = {};  // there is no folder: the stream's will do
  EXPECT_EQ(Run(*NewSession(Load(model, options)), Images(3)), want);
  options.policy.calibration.method = quant::CalibrationMethod::kMinMax;  // not what was counted for
  EXPECT_FALSE(model->LoadVariant(options).ok());
}

TEST_F(PolicyTest, WhatWasStreamedIsInTheCacheForALaterProcess) {
  LoadOptions options = Options("mixed");
  options.cache = PathOf("cache");
  std::vector<float> want;
  {
    const auto model = Open(Classifier());
    auto run = model->StartCalibration(options);
    ASSERT_TRUE(run.ok()) << run.status();
    for (uint32_t i = 0; i < 20; ++i) ASSERT_TRUE((*run)->Add({Images(1, i).view()}).ok());
    LoadOptions first = options;
    first.streamed = *(*run)->Finish();
    ASSERT_TRUE(Remember(*first.streamed, options.cache).ok());
    want = Run(*NewSession(Load(model, first)), Images(3));
    first.streamed = WithoutSamples(first.streamed);
    first.policy.mixed.min_sqnr_db = 60;  // another search, and nothing to run
    ExpectError(model->LoadVariant(first).status(), absl::StatusCode::kFailedPrecondition, {"stream them again"});
  }
  const auto again = Load(Open(Classifier()), options);  // the samples are gone; the search's result is not
  EXPECT_TRUE(again->info().calibration_recalled);
  EXPECT_TRUE(again->info().search_recalled);
  EXPECT_EQ(Run(*NewSession(again), Images(3)), want);
  EXPECT_FALSE(Open(Classifier(2))->LoadVariant(options).ok());  // another network in the same place
}

TEST_F(PolicyTest, ABadSampleIsNamedAndLeavesTheOthers) {
  const auto model = Open(Classifier());
  LoadOptions options = Options("int8");
  options.policy.calibration.sample_limit = 3;
  auto run = *model->StartCalibration(options);
  EXPECT_EQ(run->Finish().status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(run->Add({Images(1).view()}).ok());
  Tensor bad = Images(1);
  bad.As<float>()[7] = std::numeric_limits<float>::infinity();
  const auto code = absl::StatusCode::kInvalidArgument;
  ExpectError(run->Add({bad.view()}), code, {"calibration sample 1", "image", "NaN or infinity"});
  ExpectError(run->Add({Images(2).view()}), code, {"calibration sample 1", "image", "[2,3,8,8]"});
  ExpectError(run->Add({}), code, {"calibration sample 1"});
  EXPECT_EQ(run->samples(), 1);
  EXPECT_FALSE(run->full());
  ASSERT_TRUE(run->Add({Images(1, 2).view()}).ok() && run->Add({Images(1, 3).view()}).ok());
  EXPECT_TRUE(run->full());
  EXPECT_TRUE(run->Finish().ok());
  EXPECT_EQ(model->StartCalibration(Options("bf16")).status().code(), code);
}

// --- Levels of other kinds: each against f32, on unseen images ---

TEST_F(PolicyTest, EachBitOfActivationsIsWorthAboutSixDecibels) {
  double before = SqnrOf(Int8());
  EXPECT_GT(before, 25);
  for (int bits : {7, 6, 5, 4}) {
    quant::Policy policy = Int8();
    policy.weights.bits = 8;
    policy.activation_bits = bits;
    const double db = SqnrOf(policy);
    EXPECT_LT(db, before) << bits;
    EXPECT_GT(db, before - 9) << bits;
    before = db;
  }
}

TEST_F(PolicyTest, FewBitsOfActivationsAreTheSameNumbersInIntegersAndSimulated) {
  for (int bits : {8, 5, 3}) {
    quant::Policy policy = Int8();
    policy.activation_bits = bits;
    std::vector<float> integers, simulated;
    SqnrOf(policy, &integers);
    SqnrOf(Simulated(policy), &simulated);
    EXPECT_GT(SqnrDb(integers, simulated), 40) << bits;  // beyond a level here and there: equal
  }
}

TEST_F(PolicyTest, ScalesPerGroupGiveBackWhatFewBitsOfWeightsTake) {
  // The weights of four of the second convolution's sixteen input channels are eight times the others'.
  onnx::ModelProto uneven = Classifier();
  for (auto& weights : *uneven.mutable_graph()->mutable_initializer()) {
    if (weights.name() != "w2") continue;
    for (int i = 0; i < weights.float_data_size(); ++i) {
      if (i / 9 % 16 < 4) weights.set_float_data(i, 8 * weights.float_data(i));
    }
  }
  quant::Policy policy = Int8();
  policy.weights.bits = 3;
  const double whole = SqnrOf(policy, nullptr, uneven);
  policy.weights.granularity = quant::Granularity::kPerGroup;
  policy.weights.group_size = 36;  // four channels
  std::vector<float> integers, simulated;
  EXPECT_GT(SqnrOf(policy, &integers, uneven), whole + 1);
  EXPECT_GT(SqnrOf(Simulated(policy), &simulated, uneven), whole + 1);
  EXPECT_GT(SqnrDb(integers, simulated), 40);
}

TEST_F(PolicyTest, EverySchemeIsTheSameNumbersInIntegersAndSimulatedAndGroupsGainFromScalesOfTheirOwn) {
  using quant::WeightScheme;
  for (const WeightScheme scheme :
       {WeightScheme::kLog2, WeightScheme::kCodebook, WeightScheme::kTernary, WeightScheme::kBinary}) {
    SCOPED_TRACE(quant::SchemeName(scheme));
    quant::Policy policy = Int8();
    policy.weights.scheme = scheme;
    policy.weights.bits = quant::BitsOf(scheme).usual;
    double whole = 0;
    for (const auto granularity : {quant::Granularity::kPerChannel, quant::Granularity::kPerGroup}) {
      policy.weights.granularity = granularity;
      policy.weights.group_size = granularity == quant::Granularity::kPerGroup ? 36 : 0;
      std::vector<float> integers, simulated;
      const double sqnr = SqnrOf(policy, &integers);
      SqnrOf(Simulated(policy), &simulated);
      EXPECT_GT(SqnrDb(integers, simulated), 40);
      EXPECT_GT(sqnr, whole);
      whole = sqnr;
    }
  }
}

TEST_F(PolicyTest, CodebooksKeepMoreThanEvenLevelsAndTernaryMoreThanBinary) {
  using quant::WeightScheme;
  const auto sqnr = [&](WeightScheme scheme, int bits) {
    quant::Policy policy = Int8();
    policy.weights.scheme = scheme;
    policy.weights.bits = bits;
    return SqnrOf(policy);
  };
  EXPECT_GT(sqnr(WeightScheme::kCodebook, 4), sqnr(WeightScheme::kAffine, 4));
  EXPECT_GT(sqnr(WeightScheme::kTernary, 2), sqnr(WeightScheme::kBinary, 1));
}

TEST_F(PolicyTest, LayersSayWhichLevelsTheirWeightsHave) {
  const auto model = Open(Classifier());
  LoadOptions options = Options("int8");
  options.calibration_dir = Calibration();
  const auto notes = [&] {
    std::vector<std::string> found;
    const auto layers = Load(model, options)->DescribePlan({});
    for (const Layer& layer : *layers) {
      if (layer.precision.find("s8") != std::string::npos && layer.weight_bytes > 0) found.push_back(layer.note);
    }
    return found;
  };
  EXPECT_THAT(notes(), Each(Not(HasSubstr("weights"))));
  options.policy.weights.scheme = quant::WeightScheme::kTernary;
  options.policy.weights.bits = 2;
  const std::vector<std::string> ternary = notes();
  EXPECT_GE(ternary.size(), 2u);
  EXPECT_THAT(ternary, Each(ContainsRegex("weights TERNARY, [0-9]+\\.[0-9] dB")));
  options.policy.execution = quant::Execution::kSimulated;
  options.policy.weights.scheme = quant::WeightScheme::kAffine;
  options.policy.weights.bits = 5;
  options.policy.overrides.resize(1);
  options.policy.overrides[0].pattern = "*";
  options.policy.overrides[0].weights = quant::WeightPolicy{.scheme = quant::WeightScheme::kLog2, .bits = 3};
  int said = 0;
  const auto layers = Load(model, options)->DescribePlan({});
  for (const Layer& layer : *layers)
    said += layer.note.find("simulated in f32; weights LOG2 of 3 bits") != std::string::npos;
  EXPECT_GE(said, 2);
}

TEST_F(PolicyTest, AsymmetricWeightsAreSimulated) {
  quant::Policy policy = Simulated(Int8());
  policy.weights.bits = 4;
  const double symmetric = SqnrOf(policy);
  policy.weights.symmetric = false;
  const double asymmetric = SqnrOf(policy);
  EXPECT_GT(asymmetric, symmetric - 1);  // random weights lie to no side: 16 levels instead of 15
  policy.weights.bits = 8;
  EXPECT_GT(SqnrOf(policy), 25);
  EXPECT_GT(SqnrOf(policy), asymmetric + 6);
}

TEST_F(PolicyTest, SumsInChunksAreTheDefaultOfAMixedVariantsIntegerLayers) {
  const auto model = Open(Classifier());
  LoadOptions options = Options("mixed");
  options.calibration_dir = Calibration();
  options.policy.mixed.min_sqnr_db = 15;
  const std::string second = Load(model, options)->info().search->layers[1].name;
  options.policy.accumulation = {36, true};
  options.policy.overrides.resize(1);  // in so small a network, others may well be the cheapest
  options.policy.overrides[0].pattern = second;
  options.policy.overrides[0].precision = quant::Precision::kInt8;
  const auto variant = Load(model, options);
  ASSERT_NE(variant->info().search, nullptr);
  EXPECT_TRUE(variant->info().search->budget_met);
  int chunked = 0;
  const auto layers = variant->DescribePlan({});
  for (const Layer& layer : *layers)
    chunked += layer.name == second && layer.note.find("s32 sums of 36") != std::string::npos;
  EXPECT_EQ(chunked, 1);
}

}  // namespace
}  // namespace precis
