// Decoding through libjpeg and libpng. libjpeg reports errors by longjmp: DecodeJpeg keeps only plain values on its own
// stack frame, so that nothing is skipped on the way.

#include "client/cli/image.h"

#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace precis::cli {
namespace {

struct JpegError {
  jpeg_error_mgr base;
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

void ThrowJpegError(j_common_ptr info) {
  auto* error = reinterpret_cast<JpegError*>(info->err);
  error->base.format_message(info, error->message);
  std::longjmp(error->escape, 1);
}

// Damaged data that libjpeg could paper over (a truncated file is grey below the cut) is an error here.
void RefuseWarning(j_common_ptr info, int level) {
  if (level < 0) ThrowJpegError(info);
}

// Fills `image`. Returns false with error->message set. `image` outlives the jump, its members may be half-made.
bool DecodeJpeg(const std::string& bytes, Image* image, JpegError* error, bool* is_cmyk) {
  jpeg_decompress_struct info;
  info.err = jpeg_std_error(&error->base);
  error->base.error_exit = ThrowJpegError;
  error->base.emit_message = RefuseWarning;
  if (setjmp(error->escape) != 0) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&info, TRUE);
  *is_cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&info);
  image->width = static_cast<int>(info.output_width);
  image->height = static_cast<int>(info.output_height);
  image->rgb.resize(size_t{3} * info.output_width * info.output_height);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = image->rgb.data() + size_t{3} * info.output_width * info.output_scanline;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return true;
}

absl::StatusOr<Image> ReadJpeg(const std::string& path, const std::string& bytes) {
  Image image;
  JpegError error;
  bool is_cmyk = false;
  if (DecodeJpeg(bytes, &image, &error, &is_cmyk)) return image;
  if (is_cmyk) return absl::UnimplementedError(absl::StrCat(path, ": CMYK images are not read"));
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.message));
}

absl::StatusOr<Image> ReadPng(const std::string& path, const std::string& bytes) {
  png_image info = {};
  info.version = PNG_IMAGE_VERSION;
  std::vector<uint8_t> rgba;
  if (png_image_begin_read_from_memory(&info, bytes.data(), bytes.size()) != 0) {
    info.format = PNG_FORMAT_RGBA;
    rgba.resize(PNG_IMAGE_SIZE(info));
    png_image_finish_read(&info, nullptr, rgba.data(), 0, nullptr);
  }
  const bool failed = PNG_IMAGE_FAILED(info);
  const std::string message = info.message;
  png_image_free(&info);
  if (failed) return absl::InvalidArgumentError(absl::StrCat(path, ": ", message));
  Image image{static_cast<int>(info.width), static_cast<int>(info.height), {}};
  image.rgb.reserve(rgba.size() / 4 * 3);
  for (size_t i = 0; i < rgba.size(); i += 4) image.rgb.insert(image.rgb.end(), &rgba[i], &rgba[i] + 3);
  return image;
}

}  // namespace

bool IsImageName(const std::string& path) {
  const std::string lower = absl::AsciiStrToLower(path);
  return absl::EndsWith(lower, ".jpg") || absl::EndsWith(lower, ".jpeg") || absl::EndsWith(lower, ".png");
}

absl::StatusOr<Image> ReadImage(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (!file || !(content << file.rdbuf())) return absl::NotFoundError(absl::StrCat(path, ": cannot read"));
  const std::string bytes = content.str();
  if (bytes.starts_with("\xff\xd8")) return ReadJpeg(path, bytes);
  if (bytes.starts_with("\x89PNG")) return ReadPng(path, bytes);
  return absl::InvalidArgumentError(absl::StrCat(path, ": neither JPEG nor PNG"));
}

}  // namespace precis::cli
