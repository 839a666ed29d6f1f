#ifndef PRECIS_CLIENT_CLI_IMAGE_H_
#define PRECIS_CLIENT_CLI_IMAGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace precis::cli {

// An 8-bit RGB image, rows from the top, three bytes a pixel.
struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;
};

// Reads a JPEG or PNG file, told apart by content. Pixels equal Pillow's Image.open(path).convert("RGB"): slow integer
// DCT, smooth chroma upsampling, transparency dropped, no rotation by EXIF.
// NotFound: cannot be opened; InvalidArgument: neither format, or damaged; Unimplemented: CMYK JPEG.
absl::StatusOr<Image> ReadImage(const std::string& path);

// True when the file's name ends like an image's that ReadImage reads.
bool IsImageName(const std::string& path);

// Bilinear resampling to a new size, anti-aliased when it shrinks: pixels equal Pillow's resize(…, BILINEAR).
Image Resize(const Image& image, int width, int height);

// The shorter side becomes `size`, the longer one follows (torchvision's Resize).
Image ResizeShorterSide(const Image& image, int size);

// The middle of the image (torchvision's CenterCrop). InvalidArgument when the image is smaller.
absl::StatusOr<Image> CenterCrop(const Image& image, int width, int height);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_IMAGE_H_
