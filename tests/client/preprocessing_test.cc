#include "client/cli/preprocessing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/command.h"

namespace precis::cli {
namespace {

using client::Preprocessing;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;
using ::testing::Pointwise;

using Layout = Preprocessing::Layout;
using Color = Preprocessing::Color;

constexpr uint8_t kPixels[] = {0, 51, 255, 10, 20, 30};  // two RGB pixels, or one row of six gray ones

client::TensorMetadata Input(std::vector<int64_t> shape, std::string datatype = "FP32") {
  return {"x", std::move(datatype), std::move(shape)};
}

TensorView Rgb() { return {DataType::kU8, {1, 1, 2, 3}, kPixels}; }

PreprocessingFlags Parse(std::vector<std::string> words) {
  CLI::App app;
  PreprocessingFlags flags;
  flags.Register(&app);
  std::reverse(words.begin(), words.end());
  app.parse(words);
  return flags;
}

TEST(MakeImageInputTest, NormalisesPerChannelIntoPlanes) {
  Preprocessing settings;
  settings.mean = {0.5f, 0, 0.25f};
  settings.std = {0.5f, 1, 0.25f};
  const auto tensor = MakeImageInput(Rgb(), settings, Input({1, 3, 1, 2}));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->datatype, "FP32");
  EXPECT_THAT(tensor->shape, ElementsAre(1, 3, 1, 2));
  EXPECT_THAT(tensor->Values<float>(),
              Pointwise(FloatEq(), std::vector<float>{-1, (10.f / 255 - 0.5f) / 0.5f, 0.2f, 20.f / 255, 3,
                                                      (30.f / 255 - 0.25f) / 0.25f}));
}

TEST(MakeImageInputTest, ScaledPixelsEqualADivisionBy255) {
  std::vector<uint8_t> all(256);
  for (int i = 0; i < 256; ++i) all[i] = static_cast<uint8_t>(i);
  const auto tensor = MakeImageInput({DataType::kU8, {1, 1, 256, 1}, all.data()}, {}, Input({1, 1, 1, 256}));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  for (int i = 0; i < 256; ++i) EXPECT_EQ(tensor->Values<float>()[i], static_cast<float>(i) / 255.0f) << i;
}

TEST(MakeImageInputTest, LayoutScaleAndColor) {
  Preprocessing settings;
  settings.layout = Layout::kNhwc;
  settings.color = Color::kBgr;
  settings.scale = 1;
  const auto tensor = MakeImageInput(Rgb(), settings, Input({-1, 1, 2, 3}));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(tensor->shape, ElementsAre(1, 1, 2, 3));
  EXPECT_THAT(tensor->Values<float>(), ElementsAre(255, 51, 0, 30, 20, 10));
}

TEST(MakeImageInputTest, GrayIsLumaOfColorAndACopyOfGray) {
  Preprocessing settings;
  settings.scale = 1;
  const auto luma = MakeImageInput(Rgb(), settings, Input({1, 1, 1, 2}));
  ASSERT_TRUE(luma.ok()) << luma.status();
  EXPECT_THAT(luma->Values<float>(), ElementsAre(59, 18));  // Pillow: 59, 18
  const auto spread = MakeImageInput({DataType::kU8, {1, 1, 2}, kPixels}, settings, Input({1, 3, 1, 2}));
  ASSERT_TRUE(spread.ok()) << spread.status();
  EXPECT_THAT(spread->Values<float>(), ElementsAre(0, 51, 0, 51, 0, 51));
}

TEST(MakeImageInputTest, ByteInputsTakePixelsAsTheyAre) {
  const auto tensor = MakeImageInput(Rgb(), {}, Input({1, 3, 1, 2}, "UINT8"));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(tensor->Values<uint8_t>(), ElementsAre(0, 10, 51, 20, 255, 30));
}

TEST(MakeImageInputTest, BatchesKeepTheirOrder) {
  Preprocessing settings;
  settings.scale = 1;
  const auto tensor = MakeImageInput({DataType::kU8, {2, 1, 1, 3}, kPixels}, settings, Input({-1, 3, 1, 1}));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(tensor->shape, ElementsAre(2, 3, 1, 1));
  EXPECT_THAT(tensor->Values<float>(), ElementsAre(0, 51, 255, 10, 20, 30));
}

TEST(MakeImageInputTest, WhatDoesNotFitIsWrongUsage) {
  Preprocessing three_means, nhwc;
  three_means.mean = {1, 2};
  nhwc.layout = Layout::kNhwc;
  const struct {
    TensorView pixels;
    Preprocessing settings;
    client::TensorMetadata input;
    const char* message;
  } cases[] = {
      {Rgb(), {}, Input({1, 3, 4, 4}), "--resize"},
      {Rgb(), {}, Input({1, 3}), "not that of an image"},
      {Rgb(), nhwc, Input({1, 3, 1, 2}), "does not fit"},
      {Rgb(), {}, Input({1, 4, 1, 2}), "does not fit"},
      {Rgb(), three_means, Input({1, 3, 1, 2}), "mean has 2 values"},
      {Rgb(), {}, Input({1, 3, 1, 2}, "INT64"), "INT64"},
      {{DataType::kF32, {1, 1, 1, 1}, kPixels}, {}, Input({1, 1, 1, 1}), "want u8"},
      {{DataType::kU8, {6}, kPixels}, {}, Input({1, 1, 1, 1}), "want u8"},
      {{DataType::kU8, {1, 1, 3, 2}, kPixels}, {}, Input({1, 3, 1, 3}), "does not fit"},
  };
  for (const auto& c : cases) {
    const absl::Status status = MakeImageInput(c.pixels, c.settings, c.input).status();
    EXPECT_EQ(ExitCode(status), kWrongUsage);
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

TEST(PreprocessingFlagsTest, NothingGivenMeansWhatTheModelSays) {
  const PreprocessingFlags flags = Parse({});
  EXPECT_FALSE(flags.Merge(std::nullopt)->has_value());
  Preprocessing model;
  model.mean = {0.3f};
  EXPECT_THAT(flags.Merge(model)->value().mean, ElementsAre(0.3f));
}

TEST(PreprocessingFlagsTest, EachFlagReplacesOneSetting) {
  Preprocessing model;
  model.mean = {0.3f};
  model.std = {0.2f};
  const auto merged = Parse({"--mean=.5,.6,.7", "--layout=NHWC", "--color=bgr", "--scale=1"}).Merge(model);
  ASSERT_TRUE(merged.ok());
  EXPECT_THAT((*merged)->mean, ElementsAre(.5f, .6f, .7f));
  EXPECT_THAT((*merged)->std, ElementsAre(.2f));
  EXPECT_EQ((*merged)->layout, Layout::kNhwc);
  EXPECT_EQ((*merged)->color, Color::kBgr);
  EXPECT_EQ((*merged)->scale, 1);
  EXPECT_EQ(ExitCode(Parse({"--std=0"}).Merge(std::nullopt).status()), kWrongUsage);
}

TEST(PreprocessingFlagsTest, ResizeAndCropFitAnImage) {
  const Image image{8, 4, std::vector<uint8_t>(96, 7)};
  const auto size = [&](std::vector<std::string> words) {
    const auto fitted = Parse(std::move(words)).Fit(image);
    return fitted.ok() ? std::pair(fitted->width, fitted->height) : std::pair(-1, ExitCode(fitted.status()));
  };
  EXPECT_EQ(size({}), std::pair(8, 4));
  EXPECT_EQ(size({"--resize=2"}), std::pair(4, 2));
  EXPECT_EQ(size({"--resize=3x5"}), std::pair(3, 5));
  EXPECT_EQ(size({"--crop=3"}), std::pair(3, 3));
  EXPECT_EQ(size({"--resize=8", "--crop=10x6"}), std::pair(10, 6));
  for (const char* bad : {"--crop=9", "--resize=0", "--resize=x", "--resize=1x2x3", "--crop=-1", "--resize=99999999"}) {
    EXPECT_EQ(size({bad}), std::pair(-1, kWrongUsage)) << bad;
  }
}

}  // namespace
}  // namespace precis::cli
