#include "client/cli/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/escaping.h"

namespace precis::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

// An 8x8 JPEG, 4:2:0, that Pillow made: the left half (200,30,90), the right half (10,220,40).
const char kJpeg[] =
    "ffd8ffe000104a46494600010100000100010000ffdb0043000302020302020303030304030304050805050404050a070706080c0a0c0c0b"
    "0a0b0b0d0e12100d0e110e0b0b1016101113141515150c0f171816141812141514ffdb00430103040405040509050509140d0b0d14141414"
    "14141414141414141414141414141414141414141414141414141414141414141414141414141414141414141414ffc00011080008000803"
    "012200021101031101ffc4001500010100000000000000000000000000000006ffc400181001000301000000000000000000000000000745"
    "83c2ffc40014010100000000000000000000000000000007ffc4001f110000030900000000000000000000000000010305060735368283b2"
    "b3ffda000c03010002110311003f009689ad72ec0093c9355add480046dafda38b8263ffd9";
// A 2x2 JPEG in CMYK.
const char kCmykJpeg[] =
    "ffd8ffee000e41646f626500640000000000ffdb004300080606070605080707070909080a0c140d0c0b0b0c1912130f141d1a1f1e1d1a1c1c"
    "20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432ffc000140800020002044311004d11005911004b1100ffc400140"
    "00100000000000000000000000000000007ffc40014100100000000000000000000000000000000ffda000e0443004d0059004b00003f007f"
    "3f9fcfefffd9";
// A 2x1 PNG with transparency: (1,2,3,255), (4,5,6,0).
const char kPng[] =
    "89504e470d0a1a0a0000000d4948445200000002000000010806000000f4227f8a0000001149444154789c63646462fecfcccccc08000551"
    "0111cde75b9d0000000049454e44ae426082";

// A file of these bytes, gone when the test is over.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& bytes)
      : path_(std::string(::testing::TempDir()) + "precis_image_test_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

std::string Bytes(const char* hex) {
  std::string bytes;
  EXPECT_TRUE(absl::HexStringToBytes(hex, &bytes));
  return bytes;
}

// The picture from which the expected pixels below were made, with Pillow 12.
Image Pattern() {
  Image image{7, 5, {}};
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 7; ++x) {
      for (int c = 0; c < 3; ++c) image.rgb.push_back(static_cast<uint8_t>(x * 37 + y * 59 + c * 83));
    }
  }
  return image;
}

TEST(ReadImageTest, JpegPixelsEqualPillows) {
  const TemporaryFile file(Bytes(kJpeg));
  const absl::StatusOr<Image> image = ReadImage(file.path());
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->width, 8);
  EXPECT_EQ(image->height, 8);
  const std::vector<uint8_t> row(image->rgb.begin() + 3 * 24, image->rgb.begin() + 4 * 24);
  EXPECT_THAT(row, ElementsAre(200, 30, 92, 200, 30, 92, 202, 30, 90, 141, 65, 65, 70, 185, 66, 9, 221, 40, 12, 222, 37,
                               11, 221, 34));
}

TEST(ReadImageTest, PngTransparencyIsDropped) {
  const TemporaryFile file(Bytes(kPng));
  const absl::StatusOr<Image> image = ReadImage(file.path());
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->width, 2);
  EXPECT_EQ(image->height, 1);
  EXPECT_THAT(image->rgb, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(ReadImageTest, EveryCutFileIsAnError) {
  for (const char* hex : {kJpeg, kPng}) {
    const std::string bytes = Bytes(hex);
    const size_t end_marker = hex == kJpeg ? 2 : 16;  // pixels are complete without it
    for (size_t size = 0; size + end_marker < bytes.size(); ++size) {
      const TemporaryFile file(bytes.substr(0, size));
      const absl::Status status = ReadImage(file.path()).status();
      EXPECT_FALSE(status.ok()) << size << " of " << bytes.size();
    }
  }
}

TEST(ReadImageTest, ErrorsNameTheFile) {
  EXPECT_EQ(ReadImage("/nowhere/x.jpg").status().code(), absl::StatusCode::kNotFound);
  const TemporaryFile file("neither one nor the other");
  const absl::Status status = ReadImage(file.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(file.path()));
}

TEST(ReadImageTest, CmykIsUnimplemented) {
  const TemporaryFile file(Bytes(kCmykJpeg));
  EXPECT_EQ(ReadImage(file.path()).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(ResizeTest, ShrunkPixelsEqualPillows) {
  const Image image = Resize(Pattern(), 3, 2);
  EXPECT_EQ(image.width, 3);
  EXPECT_EQ(image.height, 2);
  EXPECT_THAT(image.rgb,
              ElementsAre(91, 150, 120, 145, 151, 103, 142, 93, 150, 157, 93, 123, 115, 127, 134, 118, 165, 113));
}

TEST(ResizeTest, PixelsEqualPillowsWhenOneSideShrinksAndTheOtherGrows) {
  const std::vector<uint8_t> expected = {
      19,  102, 185, 77,  160, 171, 145, 177, 55,  203, 42,  113, 39,  122, 164, 97,  180, 129, 165, 152, 75,  178,
      58,  133, 71,  154, 129, 129, 212, 60,  197, 111, 107, 136, 84,  165, 104, 182, 89,  162, 154, 72,  148, 97,
      140, 100, 115, 198, 137, 208, 47,  195, 73,  105, 79,  90,  173, 65,  148, 231, 170, 105, 80,  188, 77,  138,
      72,  123, 177, 98,  181, 128, 189, 30,  113, 168, 88,  163, 73,  156, 165, 131, 199, 51,  154, 62,  145, 99,
      120, 155, 105, 188, 84,  163, 157, 77,  133, 82,  165, 57,  140, 151, 125, 208, 35,  183, 132, 93};
  EXPECT_THAT(Resize(Pattern(), 4, 9).rgb, ElementsAreArray(expected));
}

TEST(ResizeTest, SameSizeChangesNothing) { EXPECT_EQ(Resize(Pattern(), 7, 5).rgb, Pattern().rgb); }

TEST(ResizeTest, ShorterSideDecides) {
  const Image wide = ResizeShorterSide(Pattern(), 10);
  EXPECT_EQ(wide.width, 14);
  EXPECT_EQ(wide.height, 10);
  const Image tall = ResizeShorterSide(Resize(Pattern(), 5, 7), 3);
  EXPECT_EQ(tall.width, 3);
  EXPECT_EQ(tall.height, 4);  // 3 * 7 / 5, rounded down
}

TEST(CenterCropTest, KeepsTheMiddle) {
  const absl::StatusOr<Image> crop = CenterCrop(Pattern(), 3, 1);
  ASSERT_TRUE(crop.ok());
  EXPECT_THAT(crop->rgb, ElementsAre(192, 19, 102, 229, 56, 139, 10, 93, 176));  // x from 2, y = 2
}

TEST(CenterCropTest, TooSmallAnImageIsAnError) {
  EXPECT_EQ(CenterCrop(Pattern(), 8, 1).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CenterCrop(Pattern(), 1, 6).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(IsImageNameTest, GoesByTheEnding) {
  for (const char* name : {"a.jpg", "a.JPEG", "b/c.Png"}) EXPECT_TRUE(IsImageName(name)) << name;
  for (const char* name : {"a.npy", "jpg", "a.jpg.txt", ""}) EXPECT_FALSE(IsImageName(name)) << name;
}

}  // namespace
}  // namespace precis::cli
