#include "client/cli/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "client/cli/command.h"
#include "engine/tensor/npy.h"

namespace precis::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A PNG of 1x1, (9,9,9).
constexpr unsigned char kPng[] = {0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48,
                                  0x44, 0x52, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00,
                                  0x00, 0x90, 0x77, 0x53, 0xde, 0x00, 0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x78,
                                  0x9c, 0x63, 0xe0, 0xe4, 0xe4, 0x04, 0x00, 0x00, 0x3a, 0x00, 0x1c, 0xed, 0x08, 0x9b,
                                  0x8e, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};

class SamplesTest : public ::testing::Test {
 protected:
  SamplesTest()
      : folder_(fs::path(::testing::TempDir()) /
                (std::string("precis_samples_") + ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~SamplesTest() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& content) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }
  void WriteArray(const std::string& name, const Tensor& tensor) { Write(name, FormatNpy(tensor.view())); }

  absl::StatusOr<std::unique_ptr<SampleSet>> Open(const client::ModelMetadata& metadata,
                                                  const std::optional<client::Preprocessing>& model = std::nullopt) {
    return OpenSamples(folder_, metadata, flags_, model);
  }
  void ExpectUsageError(const client::ModelMetadata& metadata, const std::string& message,
                        const std::optional<client::Preprocessing>& model = std::nullopt) {
    const absl::Status status = Open(metadata, model).status();
    EXPECT_EQ(ExitCode(status), kWrongUsage);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }

  const fs::path folder_;
  const PreprocessingFlags flags_;
  const client::ModelMetadata image_model_ = {"net", "onnx", {"1"}, {{"x", "FP32", {-1, 3, 1, 1}}}, {}};
  const client::ModelMetadata text_model_ = {
      "text", "onnx", {"1"}, {{"ids", "INT64", {-1, 2}}, {"mask", "INT64", {-1, 2}}}, {}};
};

TEST_F(SamplesTest, LabelsCsvNamesImages) {
  const std::string png(reinterpret_cast<const char*>(kPng), sizeof(kPng));
  Write("a.png", png);
  Write("images/b, c.png", png);
  Write("labels.csv", "file,label,name\na.png,3,x\r\n\"b, c.png\",4,\"y, z\"\n\n");
  const auto samples = Open(image_model_, client::Preprocessing());
  ASSERT_TRUE(samples.ok()) << samples.status();
  ASSERT_EQ((*samples)->size(), 2);
  for (const int64_t row : {0, 1}) {
    const auto sample = (*samples)->Get(row);
    ASSERT_TRUE(sample.ok()) << sample.status();
    EXPECT_EQ(sample->label, 3 + row);
    EXPECT_THAT(sample->inputs[0].shape, ElementsAre(1, 3, 1, 1));
    EXPECT_THAT(sample->inputs[0].Values<float>(), ::testing::Each(9.0f / 255));
  }
}

TEST_F(SamplesTest, ImagesWithoutPreprocessingAreRefused) {
  Write("labels.csv", "a.png,3\n");
  ExpectUsageError(image_model_, "--mean");
  fs::remove(folder_ / "labels.csv");
  WriteArray("images.npy", Tensor::From<uint8_t>({1, 1, 1, 3}, {1, 2, 3}));
  ExpectUsageError(image_model_, "precision.textproto");
}

TEST_F(SamplesTest, BadTablesAreRefused) {
  Write("labels.csv", "file,label\n");
  ExpectUsageError(image_model_, "names no images", client::Preprocessing());
  Write("labels.csv", "file,label\na.png,cat\n");
  ExpectUsageError(image_model_, "labels.csv:2", client::Preprocessing());
}

TEST_F(SamplesTest, MissingImageIsFoundOutWhenItIsRead) {
  Write("labels.csv", "a.png,3\n");
  const auto samples = Open(image_model_, client::Preprocessing());
  ASSERT_TRUE(samples.ok());
  EXPECT_EQ(ExitCode((*samples)->Get(0).status()), kWrongUsage);
}

TEST_F(SamplesTest, ImageArrayIsPreprocessed) {
  WriteArray("images.npy", Tensor::From<uint8_t>({2, 1, 1, 3}, {0, 51, 255, 1, 2, 3}));
  WriteArray("labels.npy", Tensor::From<int64_t>({2}, {5, 6}));
  const auto samples = Open(image_model_, client::Preprocessing());
  ASSERT_TRUE(samples.ok()) << samples.status();
  const auto sample = (*samples)->Get(0);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->label, 5);
  EXPECT_THAT(sample->inputs[0].shape, ElementsAre(1, 3, 1, 1));
  EXPECT_THAT(sample->inputs[0].Values<float>(), ElementsAre(0, 0.2f, 1));
}

TEST_F(SamplesTest, ImageArrayOfTheInputsTypeGoesAsItIs) {
  WriteArray("images.npy", Tensor::From<float>({2, 3, 1, 1}, {1, 2, 3, 4, 5, 6}));
  const auto samples = Open(image_model_, client::Preprocessing());
  ASSERT_TRUE(samples.ok()) << samples.status();
  const auto sample = (*samples)->Get(1);
  ASSERT_TRUE(sample.ok());
  EXPECT_FALSE(sample->label.has_value());
  EXPECT_THAT(sample->inputs[0].Values<float>(), ElementsAre(4, 5, 6));
}

TEST_F(SamplesTest, OneArrayForEachInput) {
  WriteArray("ids.npy", Tensor::From<int64_t>({2, 2}, {1, 2, 3, 4}));
  WriteArray("mask.npy", Tensor::From<int64_t>({2, 2}, {1, 1, 1, 0}));
  const auto samples = Open(text_model_);
  ASSERT_TRUE(samples.ok()) << samples.status();
  const auto sample = (*samples)->Get(1);
  ASSERT_TRUE(sample.ok());
  ASSERT_EQ(sample->inputs.size(), 2u);
  EXPECT_EQ(sample->inputs[0].name, "ids");
  EXPECT_THAT(sample->inputs[0].shape, ElementsAre(1, 2));
  EXPECT_THAT(sample->inputs[0].Values<int64_t>(), ElementsAre(3, 4));
  EXPECT_THAT(sample->inputs[1].Values<int64_t>(), ElementsAre(1, 0));
}

TEST_F(SamplesTest, ImagesNeedNoLabels) {
  const std::string png(reinterpret_cast<const char*>(kPng), sizeof(kPng));
  Write("b.png", png);
  Write("a.png", png);
  const auto samples = Open(image_model_, client::Preprocessing());
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_EQ((*samples)->size(), 2);
  const auto sample = (*samples)->Get(1);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_FALSE(sample->label.has_value());
  EXPECT_THAT(sample->inputs[0].Values<float>(), ::testing::Each(9.0f / 255));

  const auto one = OpenSamples(folder_ / "b.png", image_model_, flags_, client::Preprocessing());
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ((*one)->size(), 1);
  ExpectUsageError(image_model_, "--mean");
}

TEST_F(SamplesTest, ArrayFilesHoldAllInputs) {
  const Tensor ids = Tensor::From<int64_t>({2, 2}, {1, 2, 3, 4}), mask = Tensor::From<int64_t>({2, 2}, {1, 1, 1, 0});
  Write("both.npz", FormatNpz({{"ids", ids.view()}, {"mask", mask.view()}}));
  const auto samples = OpenSamples(folder_ / "both.npz", text_model_, flags_, std::nullopt);
  ASSERT_TRUE(samples.ok()) << samples.status();
  const auto sample = (*samples)->Get(1);
  ASSERT_TRUE(sample.ok());
  EXPECT_THAT(sample->inputs[0].Values<int64_t>(), ElementsAre(3, 4));
  EXPECT_THAT(sample->inputs[1].Values<int64_t>(), ElementsAre(1, 0));

  WriteArray("x.npy", Tensor::From<float>({2, 3, 1, 1}, {1, 2, 3, 4, 5, 6}));
  const auto single = OpenSamples(folder_ / "x.npy", image_model_, flags_, std::nullopt);
  ASSERT_TRUE(single.ok()) << single.status();
  EXPECT_EQ((*single)->Get(0)->inputs[0].name, "x");
}

TEST_F(SamplesTest, ArrayFilesThatDoNotFitAreRefused) {
  const auto error = [&](const std::string& name, const client::ModelMetadata& metadata) {
    const absl::Status status = OpenSamples(folder_ / name, metadata, flags_, std::nullopt).status();
    EXPECT_EQ(ExitCode(status), kWrongUsage) << status;
    return std::string(status.message());
  };
  const Tensor two = Tensor::From<int64_t>({2, 2}, {1, 2, 3, 4}), one = Tensor::From<int64_t>({1, 2}, {1, 1});
  Write("lacking.npz", FormatNpz({{"ids", two.view()}}));
  EXPECT_THAT(error("lacking.npz", text_model_), HasSubstr("lacks input \"mask\""));
  Write("strange.npz", FormatNpz({{"ids", two.view()}, {"mask", two.view()}, {"other", two.view()}}));
  EXPECT_THAT(error("strange.npz", text_model_), HasSubstr("has no input \"other\""));
  Write("uneven.npz", FormatNpz({{"ids", two.view()}, {"mask", one.view()}}));
  EXPECT_THAT(error("uneven.npz", text_model_), HasSubstr("\"mask\" has 1 samples, but \"ids\" has 2"));
  WriteArray("two.npy", two);
  EXPECT_THAT(error("two.npy", text_model_), HasSubstr("2 inputs"));
  Write("garbage.npy", "no array");
  EXPECT_THAT(error("garbage.npy", image_model_), HasSubstr("garbage.npy"));
}

TEST_F(SamplesTest, IncompleteFoldersAreRefused) {
  ExpectUsageError(text_model_, "neither labels.csv nor images.npy nor ids.npy");
  WriteArray("ids.npy", Tensor::From<int64_t>({2, 2}, {1, 2, 3, 4}));
  ExpectUsageError(text_model_, "mask.npy");
  WriteArray("mask.npy", Tensor::From<int64_t>({1, 2}, {1, 1}));
  ExpectUsageError(text_model_, "ids.npy has 2");
  WriteArray("mask.npy", Tensor::From<int64_t>({2, 2}, {1, 1, 1, 1}));
  WriteArray("labels.npy", Tensor::From<int64_t>({3}, {1, 2, 3}));
  ExpectUsageError(text_model_, "3 labels for 2 samples");
  WriteArray("labels.npy", Tensor::From<int64_t>({}, {1}));
  ExpectUsageError(text_model_, "scalar");
  const absl::Status status = OpenSamples("/nowhere", text_model_, flags_, std::nullopt).status();
  EXPECT_EQ(ExitCode(status), kWrongUsage);
}

TEST_F(SamplesTest, ImageInputIsTheNamedOrTheOnlyOne) {
  client::Preprocessing named;
  named.input = "mask";
  EXPECT_EQ(ImageInput(text_model_, named)->name, "mask");
  EXPECT_EQ(ImageInput(image_model_, {})->name, "x");
  EXPECT_EQ(ExitCode(ImageInput(text_model_, {}).status()), kWrongUsage);
  named.input = "other";
  EXPECT_EQ(ExitCode(ImageInput(text_model_, named).status()), kWrongUsage);
}

TEST(ParseRowsTest, SlicesAsPythonDoes) {
  EXPECT_EQ(*ParseRows("", 10), std::pair(int64_t{0}, int64_t{10}));
  EXPECT_EQ(*ParseRows("4:", 10), std::pair(int64_t{4}, int64_t{10}));
  EXPECT_EQ(*ParseRows(":4", 10), std::pair(int64_t{0}, int64_t{4}));
  EXPECT_EQ(*ParseRows("2:99", 10), std::pair(int64_t{2}, int64_t{10}));
  for (const char* bad : {"4", "a:", ":b", "10:", "5:5", "6:5", "-3:", "1:2:3"}) {
    EXPECT_EQ(ExitCode(ParseRows(bad, 10).status()), kWrongUsage) << bad;
  }
}

}  // namespace
}  // namespace precis::cli
