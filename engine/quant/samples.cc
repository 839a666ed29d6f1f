// Calibration files stay in memory as they were read: a hundred images are 60 MB as f32, and none is converted before it is asked for.
#include "engine/quant/samples.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/tensor/npy.h"

namespace precis::quant {
namespace {

// One file's arrays, in the order of the model's inputs.
struct File {
  std::string path;
  std::vector<Tensor> arrays;
  int64_t samples = 0;
};

// Rows of an array that make one sample.
int64_t RowsPerSample(const SampleInput& input) {
  return !input.shape.empty() && input.shape[0] > 1 ? input.shape[0] : 1;
}

bool Converts(DataType from, DataType to) {
  return from == to || (IsFloat(from) && to == DataType::kF32) ||
         (!IsFloat(from) && !IsFloat(to) && to != DataType::kBool);
}

absl::Status CheckArray(const std::string& path, const SampleInput& input, const Tensor& array) {
  const auto fail = [&](const std::string& want, const std::string& got) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": input \"", input.name, "\": ", got, ", want ", want));
  };
  if (!Converts(array.dtype(), input.dtype)) {
    return fail(std::string(Name(input.dtype)), absl::StrCat("an array of ", Name(array.dtype())));
  }
  const Shape& shape = array.shape();
  bool fits = shape.size() == std::max<size_t>(1, input.shape.size());
  for (size_t i = 1; fits && i < shape.size(); ++i) fits = input.shape[i] == kUnknownDim || input.shape[i] == shape[i];
  if (fits) fits = shape[0] % RowsPerSample(input) == 0;
  if (!fits) {
    return fail(absl::StrCat("samples of shape ", ShapeToString(input.shape), " along the first dimension"),
                absl::StrCat("an array of shape ", ShapeToString(shape)));
  }
  return absl::OkStatus();
}

absl::StatusOr<File> ReadFile(const std::string& path, const std::vector<SampleInput>& inputs) {
  File file{path, {}, -1};
  std::map<std::string, Tensor> arrays;
  if (absl::EndsWith(path, ".npy")) {
    if (inputs.size() != 1) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": a .npy file feeds one input, and the model has ",
                                                     inputs.size(), "; use .npz with the inputs' names"));
    }
    PRECIS_ASSIGN_OR_RETURN(arrays[inputs[0].name], ReadNpy(path));
  } else {
    PRECIS_ASSIGN_OR_RETURN(arrays, ReadNpz(path));
  }
  for (const SampleInput& input : inputs) {
    const auto it = arrays.find(input.name);
    if (it == arrays.end())
      return absl::InvalidArgumentError(absl::StrCat(path, ": has no array for input \"", input.name, "\""));
    PRECIS_RETURN_IF_ERROR(CheckArray(path, input, it->second));
    const int64_t samples = it->second.shape()[0] / RowsPerSample(input);
    if (file.samples >= 0 && samples != file.samples) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": input \"", input.name, "\" has ", samples,
                                                     " samples, want ", file.samples, " as the inputs before it"));
    }
    file.samples = samples;
    file.arrays.push_back(std::move(it->second));
  }
  return file;
}

// `rows` rows of `array` from `first` on, as `input` wants them.
Tensor Rows(const SampleInput& input, const Tensor& array, int64_t first) {
  Shape shape = array.shape();
  const int64_t rows = RowsPerSample(input);
  const size_t row_bytes = shape[0] == 0 ? 0 : array.size_bytes() / static_cast<size_t>(shape[0]);
  shape[0] = rows;
  const TensorView view{array.dtype(), shape,
                        static_cast<const char*>(array.data()) + static_cast<size_t>(first) * row_bytes};
  if (input.shape.empty()) shape.clear();
  Tensor sample(input.dtype, shape);
  if (view.dtype == input.dtype) {
    std::copy_n(static_cast<const char*>(view.data), view.size_bytes(), static_cast<char*>(sample.data()));
  } else if (input.dtype == DataType::kF32) {
    const std::vector<float> values = ToFloat(view);
    std::copy(values.begin(), values.end(), sample.As<float>().begin());
  } else {
    const std::vector<int64_t> values = ToInt64(view);
    for (size_t i = 0; i < values.size(); ++i) {  // little endian: the low bytes are the narrower integer
      std::copy_n(reinterpret_cast<const char*>(&values[i]), SizeOf(input.dtype),
                  static_cast<char*>(sample.data()) + i * SizeOf(input.dtype));
    }
  }
  return sample;
}

class FolderSamples : public SampleSource {
 public:
  FolderSamples(std::vector<SampleInput> inputs, std::vector<File> files)
      : inputs_(std::move(inputs)), files_(std::move(files)) {
    for (const File& file : files_) size_ += file.samples;
  }
  int64_t size() const override { return size_; }
  absl::StatusOr<std::vector<Tensor>> Sample(int64_t index) const override {
    for (const File& file : files_) {
      if (index < file.samples) {
        std::vector<Tensor> sample;
        for (size_t i = 0; i < inputs_.size(); ++i) {
          sample.push_back(Rows(inputs_[i], file.arrays[i], index * RowsPerSample(inputs_[i])));
        }
        return sample;
      }
      index -= file.samples;
    }
    return absl::InvalidArgumentError(absl::StrCat("there are ", size_, " calibration samples"));
  }

 private:
  const std::vector<SampleInput> inputs_;
  const std::vector<File> files_;
  int64_t size_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SampleSource>> OpenSamples(const std::string& folder,
                                                          const std::vector<SampleInput>& inputs) {
  const auto missing = [&] {
    return absl::FailedPreconditionError(absl::StrCat(
        "int8 layers need calibration samples: put .npy (one input) or .npz (arrays named like the inputs) files in ",
        folder.empty() ? "the model's calibration/ folder" : folder, ", the first dimension counting samples"));
  };
  std::error_code error;
  std::vector<std::string> paths;
  if (!folder.empty()) {
    for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const std::string path = it->path().string();
      if (absl::EndsWith(path, ".npy") || absl::EndsWith(path, ".npz")) paths.push_back(path);
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<File> files;
  int64_t samples = 0;
  for (const std::string& path : paths) {
    PRECIS_ASSIGN_OR_RETURN(File file, ReadFile(path, inputs));
    samples += file.samples;
    files.push_back(std::move(file));
  }
  if (samples == 0) return missing();
  return std::make_unique<FolderSamples>(inputs, std::move(files));
}

}  // namespace precis::quant
