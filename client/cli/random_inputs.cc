#include "client/cli/random_inputs.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/exit_code.h"
#include "client/cli/samples.h"
#include "engine/base/float16.h"
#include "engine/tensor/tensor.h"

namespace precis::cli {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 30;

Tensor RandomTensor(DataType type, const Shape& shape, std::mt19937& engine) {
  Tensor tensor(type, shape);
  std::uniform_real_distribution<float> uniform(0, 1);
  for (int64_t i = 0; i < tensor.num_elements(); ++i) {
    const float value = uniform(engine);
    char* at = static_cast<char*>(tensor.data()) + i * static_cast<int64_t>(SizeOf(type));
    const auto put = [at](const auto& element) { std::memcpy(at, &element, sizeof(element)); };
    switch (type) {
      case DataType::kF32: put(value); break;
      case DataType::kF64: put(static_cast<double>(value)); break;
      case DataType::kF16: put(F32ToF16(value)); break;
      case DataType::kBF16: put(F32ToBF16(value)); break;
      default: std::memset(at, 0, SizeOf(type)); *at = value < 0.5f ? 0 : 1;
    }
  }
  return tensor;
}

}  // namespace

absl::StatusOr<ShapesByName> ParseShapes(const std::vector<std::string>& flags) {
  ShapesByName shapes;
  for (const std::string& flag : flags) {
    const size_t equals = flag.rfind('=');
    std::vector<int64_t> shape;
    bool good = equals != std::string::npos && equals > 0;
    for (const std::string& text : good ? absl::StrSplit(flag.substr(equals + 1), ',') : std::vector<std::string>()) {
      int64_t dimension = 0;
      good = good && absl::SimpleAtoi(text, &dimension) && dimension >= 0;
      shape.push_back(dimension);
    }
    if (!good) return UsageError(absl::StrCat("--shape ", flag, ": want INPUT=1,3,224,224"));
    shapes[flag.substr(0, equals)] = std::move(shape);
  }
  return shapes;
}

absl::StatusOr<std::vector<client::Tensor>> RandomInputs(const client::ModelMetadata& metadata,
                                                         const ShapesByName& shapes, uint32_t seed) {
  for (const auto& [name, shape] : shapes) {
    const auto is_named = [&name = name](const client::TensorMetadata& input) { return input.name == name; };
    if (std::none_of(metadata.inputs.begin(), metadata.inputs.end(), is_named)) {
      return UsageError(absl::StrCat("--shape ", name, ": model \"", metadata.name, "\" has no such input"));
    }
  }
  std::mt19937 engine(seed);
  std::vector<client::Tensor> tensors;
  for (const client::TensorMetadata& input : metadata.inputs) {
    const std::optional<DataType> type = DataTypeFromKServeName(input.datatype);
    if (!type) return absl::UnimplementedError(absl::StrCat("input \"", input.name, "\" is ", input.datatype));
    const auto given = shapes.find(input.name);
    Shape shape = given != shapes.end() ? given->second : input.shape;
    for (int64_t& dimension : shape) dimension = dimension < 0 ? 1 : dimension;
    if (CheckedNumElements(shape, kMaxElements) < 0) {
      return UsageError(absl::StrCat("--shape of ", input.name, " is too big"));
    }
    tensors.push_back(ToWire(input.name, RandomTensor(*type, shape, engine).view(), shape));
  }
  return tensors;
}

}  // namespace precis::cli
