#include "engine/quant/samples.h"

#include <filesystem>
#include <fstream>

#include "engine/tensor/npy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace precis::quant {
namespace {

using ::testing::HasSubstr;

class OpenSamplesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/samples_" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void WriteNpy(const std::string& name, const Tensor& t) {
    ASSERT_TRUE(WriteFileAtomically(folder_ + "/" + name, FormatNpy(t.view())).ok());
  }
  void WriteNpz(const std::string& name, const std::map<std::string, TensorView>& arrays) {
    ASSERT_TRUE(WriteFileAtomically(folder_ + "/" + name, FormatNpz(arrays)).ok());
  }

  std::string folder_;
  const std::vector<SampleInput> image_ = {{"x", DataType::kF32, {kUnknownDim, 2}}};
};

TEST_F(OpenSamplesTest, ReadsFilesInTheOrderOfTheirNames) {
  WriteNpy("b.npy", Tensor::From<float>({1, 2}, {5, 6}));
  WriteNpy("a.npy", Tensor::From<float>({2, 2}, {1, 2, 3, 4}));
  auto samples = OpenSamples(folder_, image_);
  ASSERT_TRUE(samples.ok()) << samples.status();
  ASSERT_EQ((*samples)->size(), 3);
  for (int64_t i = 0; i < 3; ++i) {
    const auto sample = (*samples)->Sample(i);
    ASSERT_TRUE(sample.ok());
    EXPECT_EQ((*sample)[0].shape(), (Shape{1, 2}));
    EXPECT_EQ((*sample)[0].As<float>()[0], static_cast<float>(2 * i + 1));
  }
  EXPECT_EQ((*samples)->Sample(3).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(OpenSamplesTest, FeedsSeveralInputsByNameAndWidensTypes) {
  const Tensor ids = Tensor::From<int32_t>({2, 3}, {1, -2, 3, 4, 5, 6});
  const Tensor mask = Tensor::From<double>({2}, {0.5, 1});
  WriteNpz("s.npz", {{"mask", mask.view()}, {"ids", ids.view()}});
  auto samples = OpenSamples(
      folder_, {{"ids", DataType::kS64, {kUnknownDim, kUnknownDim}}, {"mask", DataType::kF32, {kUnknownDim}}});
  ASSERT_TRUE(samples.ok()) << samples.status();
  const auto sample = (*samples)->Sample(0);
  ASSERT_TRUE(sample.ok());
  EXPECT_EQ((*sample)[0].dtype(), DataType::kS64);
  EXPECT_EQ((*sample)[0].As<int64_t>()[1], -2);
  EXPECT_EQ((*sample)[1].As<float>()[0], 0.5f);
}

TEST_F(OpenSamplesTest, AFixedBatchMakesOneSample) {
  WriteNpy("a.npy", Tensor::From<float>({4, 1}, {1, 2, 3, 4}));
  auto samples = OpenSamples(folder_, {{"x", DataType::kF32, {2, 1}}});
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_EQ((*samples)->size(), 2);
  EXPECT_EQ((*(*samples)->Sample(1))[0].As<float>()[1], 4);
}

TEST_F(OpenSamplesTest, SaysWhereToPutSamplesWhenThereAreNone) {
  for (const std::string& folder : {folder_, folder_ + "/missing", std::string()}) {
    const auto status = OpenSamples(folder, image_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(status.message(), HasSubstr("calibration"));
    EXPECT_THAT(status.message(), HasSubstr(folder));
  }
}

TEST_F(OpenSamplesTest, EmptyArraysAreNoSamples) {
  WriteNpy("a.npy", Tensor(DataType::kF32, {0, 2}));
  EXPECT_EQ(OpenSamples(folder_, image_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(OpenSamplesTest, RefusesAWrongShapeNamingFileAndInput) {
  WriteNpy("bad.npy", Tensor::From<float>({1, 3}, {1, 2, 3}));
  const auto status = OpenSamples(folder_, image_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("bad.npy"));
  EXPECT_THAT(status.message(), HasSubstr("\"x\""));
  EXPECT_THAT(status.message(), HasSubstr("[1,3]"));
}

TEST_F(OpenSamplesTest, RefusesAWrongType) {
  WriteNpy("a.npy", Tensor::From<int64_t>({1, 2}, {1, 2}));
  EXPECT_EQ(OpenSamples(folder_, image_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(OpenSamplesTest, RefusesNpyForSeveralInputs) {
  WriteNpy("a.npy", Tensor::From<float>({1, 2}, {1, 2}));
  const auto status = OpenSamples(folder_, {image_[0], {"y", DataType::kF32, {1}}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr(".npz"));
}

TEST_F(OpenSamplesTest, RefusesAnArchiveWithoutAnInput) {
  const Tensor x = Tensor::From<float>({1, 2}, {1, 2});
  WriteNpz("a.npz", {{"z", x.view()}});
  EXPECT_EQ(OpenSamples(folder_, image_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(OpenSamplesTest, RefusesInputsOfDifferentCounts) {
  const Tensor x = Tensor::From<float>({1, 2}, {1, 2}), y = Tensor::From<float>({2}, {1, 2});
  WriteNpz("a.npz", {{"x", x.view()}, {"y", y.view()}});
  const auto status = OpenSamples(folder_, {image_[0], {"y", DataType::kF32, {kUnknownDim}}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(OpenSamplesTest, RefusesABrokenFile) {
  std::ofstream(folder_ + "/a.npz") << "PK but not really";
  EXPECT_EQ(OpenSamples(folder_, image_).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace precis::quant
