#ifndef PRECIS_CLIENT_CLI_SAMPLES_H_
#define PRECIS_CLIENT_CLI_SAMPLES_H_

// Samples for one model: a folder in one of four forms, or one file.
//   labels.csv       file,label[,…] a line, with or without a heading; the image files lie beside it or in images/
//   images.npy       u8 [n,h,w,c] or [n,h,w], or already of the input's type; labels.npy [n] may lie beside it
//   NAME.npy         one per input of the model, [n,…]; labels.npy [n] may lie beside them
//   *.jpg *.png      images without labels, in the order of their names
//   FILE.npy         for a model of one input, [n,…]
//   FILE.npz         the inputs' arrays by name, [n,…] each
//   FILE.jpg         one image

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/preprocessing.h"
#include "precis/types.h"

namespace precis::cli {

struct Sample {
  std::vector<client::Tensor> inputs;  // with a batch dimension of 1
  std::optional<int64_t> label;
};

class SampleSet {
 public:
  virtual ~SampleSet() = default;
  virtual int64_t size() const = 0;
  // The sample at `row`, which must be below size(). UsageError when its file is bad or does not fit the model.
  virtual absl::StatusOr<Sample> Get(int64_t row) const = 0;
};

// UsageError: `path` has none of the forms; or its images need preprocessing and neither `flags` nor `model`
// (the model's own settings) says which. `flags` and `metadata` must outlive the set.
absl::StatusOr<std::unique_ptr<SampleSet>> OpenSamples(const std::string& path, const client::ModelMetadata& metadata,
                                                       const PreprocessingFlags& flags,
                                                       const std::optional<client::Preprocessing>& model);

// Rows of a Python-like slice of `size` rows: "100:", ":100", "100:200"; "" is all. UsageError when it is malformed or
// selects nothing.
absl::StatusOr<std::pair<int64_t, int64_t>> ParseRows(const std::string& text, int64_t size);

// --data and --rows of a command that reads samples, and the preprocessing of their images.
class SampleFlags {
 public:
  void Register(CLI::App* command);

  struct Chosen {
    std::unique_ptr<SampleSet> samples;
    int64_t first = 0, last = 0;  // rows; one behind the last
    int64_t count() const { return last - first; }
  };
  // As OpenSamples and ParseRows; `metadata` must outlive what it returns, and so must these flags.
  absl::StatusOr<Chosen> Open(const client::ModelMetadata& metadata,
                              const std::optional<client::Preprocessing>& model) const;

  // Where the samples come from, for people: "DIR (rows 100:)".
  std::string Description() const;

 private:
  std::string data_, rows_;
  PreprocessingFlags preprocessing_;
};

// The error of an image that came without preprocessing.
absl::Status PreprocessingIsMissing(const std::string& model);

// The input that images go to: the one that the settings name, or the model's only one.
absl::StatusOr<client::TensorMetadata> ImageInput(const client::ModelMetadata& metadata,
                                                  const client::Preprocessing& preprocessing);

// An image as u8 [1,h,w,3]; borrows its pixels.
TensorView ViewOf(const Image& image);

// The same bytes under the wire's names. `shape` replaces the tensor's own.
client::Tensor ToWire(const std::string& name, const TensorView& tensor, Shape shape);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_SAMPLES_H_
