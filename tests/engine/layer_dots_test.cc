// The operands of a layer in the middle of a network, from a file on disk.
#include "engine/layer_dots.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "engine/model.h"
#include "engine/tensor/npy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/engine/random_weights.h"
#include "tests/onnx/text_model.h"

namespace precis {
namespace {

using ::testing::HasSubstr;

class LayerDotsFileTest : public ::testing::Test {
 protected:
  LayerDotsFileTest() : folder_(std::filesystem::path(::testing::TempDir()) / absl::StrCat("precis_dots_", getpid())) {
    std::filesystem::create_directories(folder_ / "calibration");
    onnx::ModelProto model = onnx_import::ParseModel(R"(g (float[batch, 3, 8, 8] image) => (float[batch, 4, 8, 8] y) {
        a = Conv<pads = [1, 1, 1, 1]>(image, w1)
        b = Relu(a)
        y = Conv<pads = [1, 1, 1, 1]>(b, w2)
      })");
    testing::AddRandomWeights(model, {{"w1", {8, 3, 3, 3}}, {"w2", {4, 8, 3, 3}}});
    for (int i = 0; i < model.graph().node_size(); ++i) {  // the text form has no names
      if (model.graph().node(i).output(0) == "a") model.mutable_graph()->mutable_node(i)->set_name("first");
      if (model.graph().node(i).output(0) == "y") model.mutable_graph()->mutable_node(i)->set_name("second");
    }
    std::ofstream(ModelPath(), std::ios::binary) << model.SerializeAsString();
  }
  ~LayerDotsFileTest() override { std::filesystem::remove_all(folder_); }

  std::string ModelPath() const { return (folder_ / "net.onnx").string(); }
  std::string Calibration() const { return (folder_ / "calibration").string(); }

  // Samples of which each is one constant.
  static Tensor Images(const std::vector<float>& values) {
    Tensor t(DataType::kF32, {static_cast<int64_t>(values.size()), 3, 8, 8});
    for (size_t i = 0; i < t.As<float>().size(); ++i) {
      t.As<float>()[i] = values[i / 192] * (1 + static_cast<float>(i % 192) / 192);
    }
    return t;
  }
  void WriteCalibration(const Tensor& images) const {
    ASSERT_TRUE(WriteFileAtomically(Calibration() + "/images.npy", FormatNpy(images.view())).ok());
  }

  const std::filesystem::path folder_;
};

TEST_F(LayerDotsFileTest, OperandsAreThoseOfTheRunningNetwork) {
  const Tensor images = Images({1, -0.5f, 2});
  WriteCalibration(images);
  const auto layer = DrawLayerDots(ModelPath(), "second", Calibration(), 50, 1);
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->op, "Conv");
  EXPECT_EQ(layer->samples, 3);
  EXPECT_EQ(layer->dots.count, 50);
  EXPECT_EQ(layer->dots.k, 8 * 9);

  // The layer is the last and has no bias: its sums are outputs of the network.
  const auto model = Model::Open(ModelPath());
  ASSERT_TRUE(model.ok());
  const auto variant = (*model)->LoadVariant({});
  ASSERT_TRUE(variant.ok()) << variant.status();
  std::vector<Tensor> outputs;
  ASSERT_TRUE((*(*variant)->NewSession())->Run({images.view()}, &outputs).ok());
  const std::vector<float> y = ToFloat(outputs[0].view());
  for (int64_t i = 0; i < 50; ++i) {
    double sum = 0;
    for (int64_t j = i * 72; j < (i + 1) * 72; ++j) {
      sum += static_cast<double>(layer->dots.a[static_cast<size_t>(j)]) * layer->dots.b[static_cast<size_t>(j)];
    }
    double nearest = INFINITY;
    for (const float value : y) nearest = std::min(nearest, std::abs(value - sum));
    EXPECT_LT(nearest, 1e-5) << i;
  }
}

TEST_F(LayerDotsFileTest, WithoutSamplesInputsAreRandomAndEqualSeedsAreEqual) {
  const auto one = DrawLayerDots(ModelPath(), "first", "", 20, 1),
             same = DrawLayerDots(ModelPath(), "first", "", 20, 1),
             other = DrawLayerDots(ModelPath(), "first", "", 20, 2);
  ASSERT_TRUE(one.ok() && same.ok() && other.ok()) << one.status();
  EXPECT_EQ(one->dots.k, 27);
  EXPECT_EQ(one->dots.a, same->dots.a);
  EXPECT_NE(one->dots.a, other->dots.a);
}

TEST_F(LayerDotsFileTest, TermsAreBounded) {
  const auto layer = DrawLayerDots(ModelPath(), "first", "", int64_t{1} << 40, 1);
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->dots.count, kMostTerms / 27);
}

TEST_F(LayerDotsFileTest, AnUnknownLayerIsToldTheLayersThereAre) {
  const absl::Status status = DrawLayerDots(ModelPath(), "third", "", 1, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("first, second"));
}

TEST_F(LayerDotsFileTest, BadFilesAndFoldersAreNamed) {
  EXPECT_FALSE(DrawLayerDots("/nowhere.onnx", "first", "", 1, 1).ok());
  EXPECT_EQ(DrawLayerDots(ModelPath(), "first", Calibration(), 1, 1).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace precis
