#include "client/cli/samples.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <tuple>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/cli/exit_code.h"
#include "engine/base/status_macros.h"
#include "engine/tensor/npy.h"

namespace precis::cli {
namespace {

namespace fs = std::filesystem;

// A file that the command line names and that cannot be used is wrong usage, whatever is wrong with it.
absl::Status AsUsageError(const absl::Status& status) { return UsageError(std::string(status.message())); }

absl::StatusOr<Tensor> ReadArray(const std::string& path) {
  absl::StatusOr<Tensor> tensor = ReadNpy(path);
  if (!tensor.ok()) return AsUsageError(tensor.status());
  if (tensor->shape().empty())
    return UsageError(absl::StrCat(path, ": is a scalar, want the samples in its first dimension"));
  return tensor;
}

// Row `row` of the first dimension, as a view.
TensorView Row(const Tensor& tensor, int64_t row) {
  Shape shape(tensor.shape().begin() + 1, tensor.shape().end());
  const size_t bytes = NumElements(shape) * SizeOf(tensor.dtype());
  return {tensor.dtype(), std::move(shape), static_cast<const char*>(tensor.data()) + row * bytes};
}

Shape WithBatchOfOne(const Shape& shape) {
  Shape result = {1};
  result.insert(result.end(), shape.begin(), shape.end());
  return result;
}

std::optional<int64_t> LabelAt(const std::vector<int64_t>& labels, int64_t row) {
  if (labels.empty()) return std::nullopt;
  return labels[row];
}

class ImageFiles final : public SampleSet {
 public:
  ImageFiles(std::vector<std::string> files, std::vector<int64_t> labels, client::Preprocessing preprocessing,
             client::TensorMetadata input, const PreprocessingFlags* flags)
      : files_(std::move(files)),
        labels_(std::move(labels)),
        preprocessing_(std::move(preprocessing)),
        input_(std::move(input)),
        flags_(flags) {}

  int64_t size() const override { return static_cast<int64_t>(files_.size()); }

  absl::StatusOr<Sample> Get(int64_t row) const override {
    absl::StatusOr<Image> image = ReadImage(files_[row]);
    if (!image.ok()) return AsUsageError(image.status());
    PRECIS_ASSIGN_OR_RETURN(const Image fitted, flags_->Fit(*image));
    absl::StatusOr<client::Tensor> tensor = MakeImageInput(ViewOf(fitted), preprocessing_, input_);
    if (!tensor.ok()) return UsageError(absl::StrCat(files_[row], ": ", tensor.status().message()));
    return Sample{{*std::move(tensor)}, LabelAt(labels_, row)};
  }

 private:
  const std::vector<std::string> files_;
  const std::vector<int64_t> labels_;
  const client::Preprocessing preprocessing_;
  const client::TensorMetadata input_;
  const PreprocessingFlags* const flags_;
};

class ImageArray final : public SampleSet {
 public:
  ImageArray(Tensor images, std::vector<int64_t> labels, std::optional<client::Preprocessing> preprocessing,
             client::TensorMetadata input)
      : images_(std::move(images)),
        labels_(std::move(labels)),
        preprocessing_(std::move(preprocessing)),
        input_(std::move(input)) {}

  int64_t size() const override { return images_.shape()[0]; }

  absl::StatusOr<Sample> Get(int64_t row) const override {
    TensorView view = Row(images_, row);
    view.shape = WithBatchOfOne(view.shape);
    if (!preprocessing_) return Sample{{ToWire(input_.name, view, view.shape)}, LabelAt(labels_, row)};
    PRECIS_ASSIGN_OR_RETURN(client::Tensor tensor, MakeImageInput(view, *preprocessing_, input_));
    return Sample{{std::move(tensor)}, LabelAt(labels_, row)};
  }

 private:
  const Tensor images_;
  const std::vector<int64_t> labels_;
  const std::optional<client::Preprocessing> preprocessing_;  // nothing: the images are inputs already
  const client::TensorMetadata input_;
};

class InputArrays final : public SampleSet {
 public:
  InputArrays(std::map<std::string, Tensor> inputs, std::vector<int64_t> labels)
      : inputs_(std::move(inputs)), labels_(std::move(labels)) {}

  int64_t size() const override { return inputs_.begin()->second.shape()[0]; }

  absl::StatusOr<Sample> Get(int64_t row) const override {
    Sample sample{{}, LabelAt(labels_, row)};
    for (const auto& [name, tensor] : inputs_) {
      const TensorView view = Row(tensor, row);
      sample.inputs.push_back(ToWire(name, view, WithBatchOfOne(view.shape)));
    }
    return sample;
  }

 private:
  const std::map<std::string, Tensor> inputs_;
  const std::vector<int64_t> labels_;
};

// The labels of `folder`/labels.npy, which must be as many as there are samples; none when there is no such file.
absl::StatusOr<std::vector<int64_t>> ReadLabels(const fs::path& folder, int64_t samples) {
  const fs::path path = folder / "labels.npy";
  if (!fs::exists(path)) return std::vector<int64_t>();
  PRECIS_ASSIGN_OR_RETURN(const Tensor labels, ReadArray(path));
  if (labels.num_elements() != samples) {
    return UsageError(absl::StrCat(path.string(), ": ", labels.num_elements(), " labels for ", samples, " samples"));
  }
  return ToInt64(labels.view());
}

// The first two fields of a CSV line; a field in double quotes may hold commas.
std::pair<std::string, std::string> FirstTwoFields(const std::string& line) {
  std::string fields[2];
  int field = 0;
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      if (++field == 2) break;
    } else if (c != '\r') {
      fields[field] += c;
    }
  }
  return {fields[0], fields[1]};
}

absl::StatusOr<std::unique_ptr<SampleSet>> OpenLabelledImages(const fs::path& folder,
                                                              const client::ModelMetadata& metadata,
                                                              const client::Preprocessing& preprocessing,
                                                              const PreprocessingFlags& flags) {
  const fs::path table = folder / "labels.csv";
  std::ifstream lines(table);
  std::vector<std::string> files;
  std::vector<int64_t> labels;
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const auto [file, text] = FirstTwoFields(line);
    int64_t label = 0;
    if (file.empty()) continue;
    if (!absl::SimpleAtoi(text, &label)) {
      if (number == 1) continue;  // heading
      return UsageError(absl::StrCat(table.string(), ":", number, ": \"", text, "\" is no label, want file,label"));
    }
    const fs::path beside = folder / file;
    files.push_back(fs::exists(beside) ? beside : folder / "images" / file);
    labels.push_back(label);
  }
  if (files.empty()) return UsageError(absl::StrCat(table.string(), ": names no images"));
  PRECIS_ASSIGN_OR_RETURN(client::TensorMetadata input, ImageInput(metadata, preprocessing));
  return std::make_unique<ImageFiles>(std::move(files), std::move(labels), preprocessing, std::move(input), &flags);
}

absl::StatusOr<std::unique_ptr<SampleSet>> OpenImages(std::vector<std::string> files,
                                                      const client::ModelMetadata& metadata,
                                                      const std::optional<client::Preprocessing>& preprocessing,
                                                      const PreprocessingFlags& flags) {
  if (!preprocessing) return PreprocessingIsMissing(metadata.name);
  PRECIS_ASSIGN_OR_RETURN(client::TensorMetadata input, ImageInput(metadata, *preprocessing));
  return std::make_unique<ImageFiles>(std::move(files), std::vector<int64_t>(), *preprocessing, std::move(input),
                                      &flags);
}

// The images of a folder by name; none when it cannot be read.
std::vector<std::string> ImagesIn(const fs::path& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (IsImageName(entry.path().string())) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

absl::StatusOr<std::unique_ptr<SampleSet>> OpenImageArray(const fs::path& folder, const client::ModelMetadata& metadata,
                                                          std::optional<client::Preprocessing> preprocessing) {
  PRECIS_ASSIGN_OR_RETURN(Tensor images, ReadArray(folder / "images.npy"));
  PRECIS_ASSIGN_OR_RETURN(std::vector<int64_t> labels, ReadLabels(folder, images.shape()[0]));
  PRECIS_ASSIGN_OR_RETURN(client::TensorMetadata input,
                          ImageInput(metadata, preprocessing.value_or(client::Preprocessing())));
  if (DataTypeFromKServeName(input.datatype) == images.dtype()) {
    preprocessing.reset();
  } else if (!preprocessing) {
    return PreprocessingIsMissing(metadata.name);
  }
  return std::make_unique<ImageArray>(std::move(images), std::move(labels), std::move(preprocessing), std::move(input));
}

// Every input of the model must be there and none besides, with one number of samples.
absl::Status CheckInputs(const std::map<std::string, Tensor>& inputs, const client::ModelMetadata& metadata,
                         const std::string& where) {
  for (const auto& [name, tensor] : inputs) {
    const auto is_named = [&wanted = name](const client::TensorMetadata& input) { return input.name == wanted; };
    if (std::none_of(metadata.inputs.begin(), metadata.inputs.end(), is_named)) {
      return UsageError(absl::StrCat(where, ": model \"", metadata.name, "\" has no input \"", name, "\""));
    }
    const auto& [first_name, first] = *inputs.begin();
    if (tensor.shape().empty() || first.shape().empty() || tensor.shape()[0] != first.shape()[0]) {
      return UsageError(absl::StrCat(where, ": \"", name, "\" has ", tensor.shape().empty() ? 0 : tensor.shape()[0],
                                     " samples, but \"", first_name, "\" has ",
                                     first.shape().empty() ? 0 : first.shape()[0]));
    }
  }
  for (const client::TensorMetadata& input : metadata.inputs) {
    if (!inputs.contains(input.name)) return UsageError(absl::StrCat(where, " lacks input \"", input.name, "\""));
  }
  if (inputs.empty()) return UsageError(absl::StrCat("model \"", metadata.name, "\" has no inputs"));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SampleSet>> OpenInputArrays(const fs::path& folder,
                                                           const client::ModelMetadata& metadata) {
  std::map<std::string, Tensor> inputs;
  for (const client::TensorMetadata& input : metadata.inputs) {
    const fs::path path = folder / (input.name + ".npy");
    if (!fs::exists(path)) {
      return UsageError(absl::StrCat(folder.string(), " has neither labels.csv nor images.npy nor ",
                                     path.filename().string(), " (one .npy for each input)"));
    }
    PRECIS_ASSIGN_OR_RETURN(Tensor tensor, ReadArray(path));
    if (!inputs.empty() && tensor.shape()[0] != inputs.begin()->second.shape()[0]) {
      return UsageError(absl::StrCat(path.string(), ": ", tensor.shape()[0], " samples, but ", inputs.begin()->first,
                                     ".npy has ", inputs.begin()->second.shape()[0]));
    }
    inputs.emplace(input.name, std::move(tensor));
  }
  if (inputs.empty()) return UsageError(absl::StrCat("model \"", metadata.name, "\" has no inputs"));
  PRECIS_ASSIGN_OR_RETURN(std::vector<int64_t> labels, ReadLabels(folder, inputs.begin()->second.shape()[0]));
  return std::make_unique<InputArrays>(std::move(inputs), std::move(labels));
}

absl::StatusOr<std::unique_ptr<SampleSet>> OpenArrayFile(const fs::path& path, const client::ModelMetadata& metadata) {
  std::map<std::string, Tensor> inputs;
  if (path.extension() == ".npz") {
    absl::StatusOr<std::map<std::string, Tensor>> arrays = ReadNpz(path);
    if (!arrays.ok()) return AsUsageError(arrays.status());
    inputs = *std::move(arrays);
  } else {
    PRECIS_ASSIGN_OR_RETURN(const client::TensorMetadata input, ImageInput(metadata, {}));
    PRECIS_ASSIGN_OR_RETURN(Tensor tensor, ReadArray(path));
    inputs.emplace(input.name, std::move(tensor));
  }
  PRECIS_RETURN_IF_ERROR(CheckInputs(inputs, metadata, path));
  return std::make_unique<InputArrays>(std::move(inputs), std::vector<int64_t>());
}

}  // namespace

absl::StatusOr<std::unique_ptr<SampleSet>> OpenSamples(const std::string& name, const client::ModelMetadata& metadata,
                                                       const PreprocessingFlags& flags,
                                                       const std::optional<client::Preprocessing>& model) {
  PRECIS_ASSIGN_OR_RETURN(const std::optional<client::Preprocessing> preprocessing, flags.Merge(model));
  const fs::path path = name;
  if (!fs::exists(path)) return UsageError(absl::StrCat(name, ": is no folder and no file"));
  if (!fs::is_directory(path)) {
    if (IsImageName(name)) return OpenImages({name}, metadata, preprocessing, flags);
    return OpenArrayFile(path, metadata);
  }
  if (fs::exists(path / "labels.csv")) {
    if (!preprocessing) return PreprocessingIsMissing(metadata.name);
    return OpenLabelledImages(path, metadata, *preprocessing, flags);
  }
  if (fs::exists(path / "images.npy")) return OpenImageArray(path, metadata, preprocessing);
  if (std::vector<std::string> images = ImagesIn(path); !images.empty()) {
    return OpenImages(std::move(images), metadata, preprocessing, flags);
  }
  return OpenInputArrays(path, metadata);
}

absl::StatusOr<std::pair<int64_t, int64_t>> ParseRows(const std::string& text, int64_t size) {
  int64_t first = 0, last = size;
  if (!text.empty()) {
    const size_t colon = text.find(':');
    bool good = colon != std::string::npos;
    if (good && colon > 0) good = absl::SimpleAtoi(text.substr(0, colon), &first) && first >= 0;
    if (good && colon + 1 < text.size()) good = absl::SimpleAtoi(text.substr(colon + 1), &last) && last >= 0;
    if (!good) return UsageError(absl::StrCat("--rows ", text, ": want FIRST:END, such as 100: or :100"));
  }
  last = std::min(last, size);
  if (first >= last) return UsageError(absl::StrCat("--rows ", text, " selects none of the ", size, " samples"));
  return std::pair(first, last);
}

void SampleFlags::Register(CLI::App* command) {
  command
      ->add_option("--data", data_,
                   "Folder of samples: labels.csv (file,label) with image files; or images.npy, with labels.npy or "
                   "without; or one NAME.npy for each input")
      ->required()
      ->type_name("DIR");
  command->add_option("--rows", rows_, "Which samples, as in Python: 100: or :100 or 100:200")->type_name("FIRST:END");
  preprocessing_.Register(command);
}

absl::StatusOr<SampleFlags::Chosen> SampleFlags::Open(const client::ModelMetadata& metadata,
                                                      const std::optional<client::Preprocessing>& model) const {
  Chosen chosen;
  PRECIS_ASSIGN_OR_RETURN(chosen.samples, OpenSamples(data_, metadata, preprocessing_, model));
  PRECIS_ASSIGN_OR_RETURN(const auto rows, ParseRows(rows_, chosen.samples->size()));
  std::tie(chosen.first, chosen.last) = rows;
  return chosen;
}

std::string SampleFlags::Description() const {
  return rows_.empty() ? data_ : absl::StrCat(data_, " (rows ", rows_, ")");
}

absl::Status PreprocessingIsMissing(const std::string& model) {
  return UsageError(absl::StrCat("nothing says how an image becomes the input of model \"", model,
                                 "\": give --mean and --std (and --layout, --scale, --color where the defaults do not "
                                 "fit), or write preprocessing { … } into the model's precision.textproto"));
}

absl::StatusOr<client::TensorMetadata> ImageInput(const client::ModelMetadata& metadata,
                                                  const client::Preprocessing& preprocessing) {
  if (preprocessing.input.empty() && metadata.inputs.size() == 1) return metadata.inputs[0];
  for (const client::TensorMetadata& input : metadata.inputs) {
    if (input.name == preprocessing.input) return input;
  }
  return UsageError(preprocessing.input.empty()
                        ? absl::StrCat("model \"", metadata.name, "\" has ", metadata.inputs.size(),
                                       " inputs, and nothing says which one takes images")
                        : absl::StrCat("model \"", metadata.name, "\" has no input \"", preprocessing.input, "\""));
}

TensorView ViewOf(const Image& image) { return {DataType::kU8, {1, image.height, image.width, 3}, image.rgb.data()}; }

client::Tensor ToWire(const std::string& name, const TensorView& tensor, Shape shape) {
  return {name, std::string(KServeName(tensor.dtype)), std::move(shape),
          std::string(static_cast<const char*>(tensor.data), tensor.size_bytes())};
}

}  // namespace precis::cli
