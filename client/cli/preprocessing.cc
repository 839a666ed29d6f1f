#include "client/cli/preprocessing.h"

#include <CLI/CLI.hpp>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/exit_code.h"
#include "engine/base/status_macros.h"

namespace precis::cli {
namespace {

using Layout = client::Preprocessing::Layout;
using Color = client::Preprocessing::Color;

// ITU-R 601 luma in 16.16 fixed point, as Pillow's convert("L") has it.
uint8_t Gray(uint8_t r, uint8_t g, uint8_t b) {
  return static_cast<uint8_t>((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16);
}

// "256" as {256, 0}, "320x240" as {320, 240}.
absl::StatusOr<std::pair<int, int>> ParseSize(const char* flag, const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, 'x');
  constexpr int kMaxSide = 1 << 15;
  int sides[2] = {0, 0};
  bool good = parts.size() <= 2;
  for (size_t i = 0; good && i < parts.size(); ++i) {
    good = absl::SimpleAtoi(parts[i], &sides[i]) && sides[i] > 0 && sides[i] <= kMaxSide;
  }
  if (!good) return UsageError(absl::StrCat(flag, " ", text, ": want N or WIDTHxHEIGHT"));
  return std::pair(sides[0], sides[1]);
}

// The per-channel form of a list of one or `channels` values; `fallback` when it is empty.
absl::StatusOr<std::vector<float>> PerChannel(const char* what, const std::vector<float>& values, int64_t channels,
                                              float fallback) {
  if (values.empty()) return std::vector<float>(channels, fallback);
  if (values.size() == 1) return std::vector<float>(channels, values[0]);
  if (static_cast<int64_t>(values.size()) == channels) return values;
  return UsageError(absl::StrCat(what, " has ", values.size(), " values, but the input has ", channels, " channels"));
}

struct Geometry {
  int64_t count, height, width, channels;
};

// Picks channel `c` of the model's input out of a source pixel.
uint8_t Channel(const uint8_t* pixel, int64_t source_channels, int64_t channels, bool bgr, int64_t c) {
  if (source_channels == 1) return pixel[0];
  if (channels == 1) return Gray(pixel[0], pixel[1], pixel[2]);
  return pixel[bgr ? 2 - c : c];
}

std::string ShapeText(const std::vector<int64_t>& shape) { return ShapeToString(shape); }

// The input's [height, width, channels], batch left out; -1 where any size fits.
absl::StatusOr<Geometry> InputGeometry(const client::TensorMetadata& input, Layout layout) {
  const std::vector<int64_t>& shape = input.shape;
  if (shape.size() != 4) {
    return UsageError(
        absl::StrCat("input \"", input.name, "\" has shape ", ShapeText(shape), ", not that of an image"));
  }
  if (layout == Layout::kNhwc) return Geometry{shape[0], shape[1], shape[2], shape[3]};
  return Geometry{shape[0], shape[2], shape[3], shape[1]};
}

}  // namespace

void PreprocessingFlags::Register(CLI::App* command) {
  CLI::Option_group* group = command->add_option_group("Images",
                                                       "value = (pixel * scale - mean) / std; each flag replaces "
                                                       "what the model's precision.textproto says");
  group->add_option("--mean", mean_, "Mean per channel, or one for all; default 0")->delimiter(',')->type_name("R,G,B");
  group->add_option("--std", std_, "Standard deviation per channel, or one for all; default 1")
      ->delimiter(',')
      ->type_name("R,G,B");
  group->add_option("--scale", scale_, "What a pixel of 0..255 is multiplied by first; default 1/255");
  group->add_option("--layout", layout_, "Order of the input's dimensions; default nchw")
      ->check(CLI::IsMember({"nchw", "nhwc"}, CLI::ignore_case));
  group->add_option("--color", color_, "Order of its channels; default rgb, or gray for one channel")
      ->check(CLI::IsMember({"rgb", "bgr", "gray"}, CLI::ignore_case));
  group->add_option("--resize", resize_, "Resize image files: N for the shorter side, or WIDTHxHEIGHT (bilinear)")
      ->type_name("SIZE");
  group->add_option("--crop", crop_, "Then keep the middle: N for a square, or WIDTHxHEIGHT")->type_name("SIZE");
}

absl::StatusOr<std::optional<client::Preprocessing>> PreprocessingFlags::Merge(
    const std::optional<client::Preprocessing>& model) const {
  const bool given = !mean_.empty() || !std_.empty() || scale_ || !layout_.empty() || !color_.empty();
  if (!given) return model;
  client::Preprocessing merged = model.value_or(client::Preprocessing());
  if (!mean_.empty()) merged.mean = mean_;
  if (!std_.empty()) merged.std = std_;
  if (scale_) merged.scale = *scale_;
  if (!layout_.empty()) merged.layout = CLI::detail::to_lower(layout_) == "nhwc" ? Layout::kNhwc : Layout::kNchw;
  const std::string color = CLI::detail::to_lower(color_);
  if (color == "rgb") merged.color = Color::kRgb;
  if (color == "bgr") merged.color = Color::kBgr;
  if (color == "gray") merged.color = Color::kGray;
  for (const float std : merged.std) {
    if (std == 0) return UsageError("--std must not hold 0");
  }
  return merged;
}

absl::StatusOr<Image> PreprocessingFlags::Fit(const Image& image) const {
  Image result = image;
  if (!resize_.empty()) {
    PRECIS_ASSIGN_OR_RETURN(const auto size, ParseSize("--resize", resize_));
    result = size.second == 0 ? ResizeShorterSide(result, size.first) : Resize(result, size.first, size.second);
  }
  if (!crop_.empty()) {
    PRECIS_ASSIGN_OR_RETURN(const auto size, ParseSize("--crop", crop_));
    absl::StatusOr<Image> cropped = CenterCrop(result, size.first, size.second == 0 ? size.first : size.second);
    if (!cropped.ok()) return UsageError(std::string(cropped.status().message()));
    result = *std::move(cropped);
  }
  return result;
}

absl::StatusOr<client::Tensor> MakeImageInput(const TensorView& pixels, const client::Preprocessing& preprocessing,
                                              const client::TensorMetadata& input) {
  PRECIS_ASSIGN_OR_RETURN(const Geometry wanted, InputGeometry(input, preprocessing.layout));
  const Shape& shape = pixels.shape;
  const bool has_channels = shape.size() == 4;
  if (pixels.dtype != DataType::kU8 || (shape.size() != 3 && !has_channels)) {
    return UsageError(absl::StrCat("images are ", std::string(Name(pixels.dtype)), " ", ShapeText(shape),
                                   ", want u8 [n,height,width,channels]"));
  }
  const Geometry source{shape[0], shape[1], shape[2], has_channels ? shape[3] : 1};
  const bool gray = preprocessing.color == Color::kGray || wanted.channels == 1;
  const int64_t channels = wanted.channels > 0 ? wanted.channels : (gray ? 1 : source.channels);
  const auto fits = [](int64_t want, int64_t have) { return want < 0 || want == have; };
  if ((source.channels != 1 && source.channels != 3) || (channels != 1 && channels != 3) || (gray && channels != 1) ||
      !fits(wanted.height, source.height) || !fits(wanted.width, source.width)) {
    return UsageError(absl::StrCat(
        "image of ", source.width, "x", source.height, " with ", source.channels, " channels does not fit input \"",
        input.name, "\" of shape ", ShapeText(input.shape),
        preprocessing.layout == Layout::kNhwc ? " (NHWC)" : " (NCHW)", "; see --resize, --crop, --layout and --color"));
  }
  const bool nhwc = preprocessing.layout == Layout::kNhwc;
  const bool bgr = preprocessing.color == Color::kBgr;
  const bool is_float = input.datatype == "FP32";
  if (!is_float && input.datatype != "UINT8") {
    return UsageError(absl::StrCat("input \"", input.name, "\" is ", input.datatype, ", images make FP32 or UINT8"));
  }
  PRECIS_ASSIGN_OR_RETURN(const std::vector<float> mean, PerChannel("mean", preprocessing.mean, channels, 0));
  PRECIS_ASSIGN_OR_RETURN(const std::vector<float> std, PerChannel("std", preprocessing.std, channels, 1));

  client::Tensor tensor{input.name, input.datatype, {}, {}};
  tensor.shape = nhwc ? Shape{source.count, source.height, source.width, channels}
                      : Shape{source.count, channels, source.height, source.width};
  const int64_t area = source.height * source.width;
  tensor.data.resize(source.count * channels * area * (is_float ? sizeof(float) : 1));
  const uint8_t* from = static_cast<const uint8_t*>(pixels.data);
  for (int64_t i = 0; i < source.count * area; ++i) {
    for (int64_t c = 0; c < channels; ++c) {
      const uint8_t pixel = Channel(from + i * source.channels, source.channels, channels, bgr, c);
      const int64_t at = nhwc ? i * channels + c : (i / area * channels + c) * area + i % area;
      if (is_float) {
        const float value = (static_cast<float>(pixel * preprocessing.scale) - mean[c]) / std[c];
        std::memcpy(tensor.data.data() + at * sizeof(float), &value, sizeof(value));
      } else {
        tensor.data[at] = static_cast<char>(pixel);
      }
    }
  }
  return tensor;
}

}  // namespace precis::cli
