#ifndef PRECIS_CLIENT_CLI_PREPROCESSING_H_
#define PRECIS_CLIENT_CLI_PREPROCESSING_H_

// How pictures become a model's input: from the flags, else from the model's precision.textproto, never from a guess.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/image.h"
#include "engine/tensor/tensor.h"
#include "precis/types.h"

namespace CLI {
class App;
}

namespace precis::cli {

// --mean --std --scale --layout --color --resize --crop of one command.
class PreprocessingFlags {
 public:
  void Register(CLI::App* command);

  // The flags over what the model says: each flag given replaces that one setting. Nothing when neither says anything.
  absl::StatusOr<std::optional<client::Preprocessing>> Merge(const std::optional<client::Preprocessing>& model) const;

  // The image after --resize and --crop. UsageError when a flag makes no sense for it.
  absl::StatusOr<Image> Fit(const Image& image) const;

 private:
  std::vector<float> mean_, std_;
  std::optional<double> scale_;
  std::string layout_, color_, resize_, crop_;
};

// One or more pictures of equal size as `input` wants them, value = (pixel * scale - mean) / std, with a batch dimension in
// front. `pixels` is u8 [n,h,w,c] or [n,h,w], c being 1 or 3 (RGB). The result's datatype is the input's, FP32 or UINT8
// (which takes the pixels as they are). UsageError when the settings or the size do not fit the input; the message says what
// was expected.
absl::StatusOr<client::Tensor> MakeImageInput(const TensorView& pixels, const client::Preprocessing& preprocessing,
                                              const client::TensorMetadata& input);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_PREPROCESSING_H_
