#include "tests/engine/model_fixture.h"

#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "engine/tensor/npy.h"
#include "tests/engine/random_weights.h"
#include "tests/onnx/text_model.h"

namespace precis {

onnx::ModelProto Classifier(uint32_t seed) {
  onnx::ModelProto model = onnx_import::ParseModel(R"(g (float[batch, 3, 8, 8] image) => (float[batch, 10] scores) {
      a = Conv<pads = [1, 1, 1, 1]>(image, w1, b1)
      b = Relu(a)
      c = Conv<pads = [1, 1, 1, 1]>(b, w2, b1)
      d = Add(c, b)
      e = Relu(d)
      f = GlobalAveragePool(e)
      h = Flatten(f)
      scores = Gemm(h, w3, b3)
    })");
  testing::AddRandomWeights(
      model, {{"w1", {16, 3, 3, 3}}, {"b1", {16}}, {"w2", {16, 16, 3, 3}}, {"w3", {16, 10}}, {"b3", {10}}}, seed);
  return model;
}

Tensor Images(int64_t batch, uint32_t seed) {
  Tensor t(DataType::kF32, {batch, 3, 8, 8});
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(-1.0f, 1.0f);
  for (float& x : t.As<float>()) x = value(random);
  return t;
}

ModelTest::ModelTest()
    : folder_(std::filesystem::path(::testing::TempDir()) /
              absl::StrCat("precis_", getpid(), "_", ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
  std::filesystem::remove_all(folder_);
  std::filesystem::create_directories(folder_);
}

std::string ModelTest::Write(const onnx::ModelProto& model, const std::string& name) {
  std::ofstream(PathOf(name), std::ios::binary) << model.SerializeAsString();
  return PathOf(name);
}

std::shared_ptr<const Model> ModelTest::Open(const onnx::ModelProto& proto) {
  auto model = Model::Open(Write(proto));
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *model : nullptr;
}

std::shared_ptr<const Model> ModelTest::OpenText(const std::string& text) {
  return Open(onnx_import::ParseModel(text));
}

std::string ModelTest::Calibration() {
  const std::string dir = PathOf("calibration");
  std::filesystem::create_directories(dir);
  EXPECT_TRUE(WriteFileAtomically(dir + "/images.npy", FormatNpy(Images(16, 9).view())).ok());
  return dir;
}

LoadOptions ModelTest::Options(const std::string& variant) {
  LoadOptions options;
  options.variant = variant;
  options.policy = *quant::BuiltInPolicy(variant);
  return options;
}

std::shared_ptr<const Variant> ModelTest::Load(const std::shared_ptr<const Model>& model, const LoadOptions& options) {
  auto variant = model->LoadVariant(options);
  EXPECT_TRUE(variant.ok()) << variant.status();
  return variant.ok() ? *variant : nullptr;
}

std::unique_ptr<Session> ModelTest::NewSession(const std::shared_ptr<const Variant>& variant) {
  auto session = variant->NewSession();
  EXPECT_TRUE(session.ok()) << session.status();
  return *std::move(session);
}

std::vector<float> ModelTest::Run(Session& session, const Tensor& input) {
  std::vector<Tensor> outputs;
  const auto status = session.Run({input.view()}, &outputs);
  EXPECT_TRUE(status.ok()) << status;
  return status.ok() ? ToFloat(outputs[0].view()) : std::vector<float>();
}

absl::Status ModelTest::RunStatus(Session& session, const std::vector<TensorView>& inputs) {
  std::vector<Tensor> outputs;
  return session.Run(inputs, &outputs);
}

void ModelTest::ExpectError(const absl::Status& status, absl::StatusCode code, const std::vector<std::string>& words) {
  EXPECT_EQ(status.code(), code) << status;
  for (const std::string& word : words) EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(word));
}

}  // namespace precis
