// config.pbtxt counts shapes without the batch dimension when max_batch_size is above 0; a signature always counts with it.

#include "server/config/model_config.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "engine/base/status_macros.h"
#include "server/config/scheduling.h"

namespace precis::server {
namespace {

using inference::ModelConfig;

// Fields that are read, or that are right to leave unread without a word.
constexpr std::array<absl::string_view, 10> kReadFields = {
    "name",           "platform",        "backend",        "max_batch_size",
    "input",          "output",          "version_policy", "default_model_filename",
    "instance_group", "dynamic_batching"};
constexpr std::array<absl::string_view, 3> kOnnxBackends = {"", "onnxruntime", "precis"};
constexpr std::array<absl::string_view, 3> kOnnxPlatforms = {"", "onnxruntime_onnx", "onnx_precis"};

template <size_t N>
bool Contains(const std::array<absl::string_view, N>& values, absl::string_view value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

inference::DataType ToConfigType(DataType type) {
  inference::DataType result = inference::TYPE_INVALID;
  inference::DataType_Parse("TYPE_" + std::string(KServeName(type)), &result);
  return result;
}

absl::Status Mismatch(const std::string& name, absl::string_view what, absl::string_view config,
                      absl::string_view file) {
  return absl::InvalidArgumentError(
      absl::StrCat("config.pbtxt: tensor \"", name, "\": ", what, " ", config, ", the ONNX file has ", file));
}

// Shape of the configuration with the batch dimension in front.
Shape WithBatch(const google::protobuf::RepeatedField<int64_t>& dims, int max_batch_size) {
  Shape shape;
  if (max_batch_size > 0) shape.push_back(kUnknownDim);
  shape.insert(shape.end(), dims.begin(), dims.end());
  return shape;
}

bool Compatible(const Shape& a, const Shape& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](int64_t x, int64_t y) { return x == y || x < 0 || y < 0; });
}

// Free dimensions keep their values, in order; the others must hold as many elements.
bool SameElements(const Shape& a, const Shape& b) {
  constexpr int64_t kMaxElements = int64_t{1} << 40;
  const auto known = [](Shape shape) {
    std::erase(shape, kUnknownDim);
    return shape;
  };
  const int64_t elements = CheckedNumElements(known(a), kMaxElements);
  return elements >= 0 && elements == CheckedNumElements(known(b), kMaxElements) &&
         a.size() - known(a).size() == b.size() - known(b).size();
}

// ConfigTensor is ModelInput or ModelOutput: they share these fields.
template <typename ConfigTensor>
absl::StatusOr<WireTensor> ApplyConfig(const ConfigTensor& config, const TensorSpec& spec, int max_batch_size) {
  WireTensor tensor{spec.name, spec.dtype, spec.shape, spec.shape};
  if (config.data_type() != inference::TYPE_INVALID && config.data_type() != ToConfigType(spec.dtype)) {
    return Mismatch(spec.name, "type", inference::DataType_Name(config.data_type()),
                    std::string(KServeName(spec.dtype)));
  }
  tensor.shape = WithBatch(config.dims(), max_batch_size);
  Shape engine_shape = config.has_reshape() ? WithBatch(config.reshape().shape(), max_batch_size) : tensor.shape;
  for (const Shape* shape : {&tensor.shape, &engine_shape}) {
    if (std::any_of(shape->begin(), shape->end(), [](int64_t dim) { return dim < kUnknownDim; })) {
      return absl::InvalidArgumentError(absl::StrCat("config.pbtxt: tensor \"", spec.name, "\": dimension below -1"));
    }
  }
  if (!Compatible(engine_shape, spec.shape)) {
    return Mismatch(spec.name, "shape", ShapeToString(engine_shape), ShapeToString(spec.shape));
  }
  // A dimension that either side fixes is fixed.
  for (size_t i = 0; i < engine_shape.size(); ++i) {
    if (spec.shape[i] >= 0 && !(max_batch_size > 0 && i == 0)) engine_shape[i] = spec.shape[i];
  }
  tensor.engine_shape = engine_shape;
  if (!config.has_reshape()) tensor.shape = engine_shape;
  if (config.has_reshape() && !SameElements(tensor.shape, engine_shape)) {
    return Mismatch(spec.name, "reshape of", ShapeToString(tensor.shape), ShapeToString(engine_shape));
  }
  return tensor;
}

template <typename ConfigTensors>
absl::StatusOr<std::vector<WireTensor>> ApplyAll(const ConfigTensors& configs, const std::vector<TensorSpec>& specs,
                                                 int max_batch_size) {
  for (const auto& config : configs) {
    if (std::none_of(specs.begin(), specs.end(), [&](const TensorSpec& s) { return s.name == config.name(); })) {
      return absl::InvalidArgumentError(
          absl::StrCat("config.pbtxt: tensor \"", config.name(), "\" is not in the ONNX file"));
    }
  }
  std::vector<WireTensor> tensors;
  for (const TensorSpec& spec : specs) {
    const auto config =
        std::find_if(configs.begin(), configs.end(), [&](const auto& c) { return c.name() == spec.name; });
    if (config == configs.end()) {
      tensors.push_back({spec.name, spec.dtype, spec.shape, spec.shape});
      continue;
    }
    PRECIS_ASSIGN_OR_RETURN(WireTensor tensor, ApplyConfig(*config, spec, max_batch_size));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

absl::Status CheckBatchDimension(const std::vector<WireTensor>& tensors) {
  for (const WireTensor& tensor : tensors) {
    if (tensor.engine_shape.empty() || tensor.engine_shape[0] > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("config.pbtxt: max_batch_size is above 0 and tensor \"", tensor.name,
                       "\" has no batch dimension: ", ShapeToString(tensor.engine_shape)));
    }
  }
  return absl::OkStatus();
}

template <typename ConfigTensor>
void FillTensor(const WireTensor& tensor, int max_batch_size, ConfigTensor* out) {
  out->set_name(tensor.name);
  out->set_data_type(ToConfigType(tensor.dtype));
  out->clear_dims();
  for (size_t i = max_batch_size > 0 ? 1 : 0; i < tensor.shape.size(); ++i) out->add_dims(tensor.shape[i]);
}

template <typename ConfigTensors>
void FillTensors(const std::vector<WireTensor>& tensors, int max_batch_size, ConfigTensors* out) {
  const ConfigTensors given = *out;
  out->Clear();
  for (const WireTensor& tensor : tensors) {
    auto* filled = out->Add();
    const auto it = std::find_if(given.begin(), given.end(), [&](const auto& c) { return c.name() == tensor.name; });
    if (it != given.end()) *filled = *it;
    FillTensor(tensor, max_batch_size, filled);
  }
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CheckModelConfig(const ModelConfig& config, const std::string& model) {
  if (!config.name().empty() && config.name() != model) {
    return absl::InvalidArgumentError(
        absl::StrCat("config.pbtxt: name \"", config.name(), "\", the model is \"", model, "\""));
  }
  PRECIS_RETURN_IF_ERROR(MakeScheduling(config).status());
  if (config.has_ensemble_scheduling()) return absl::UnimplementedError("config.pbtxt: ensemble_scheduling");
  if (config.has_sequence_batching()) return absl::UnimplementedError("config.pbtxt: sequence_batching");
  if (config.model_transaction_policy().decoupled()) return absl::UnimplementedError("config.pbtxt: decoupled replies");
  std::vector<std::string> warnings;
  if (!Contains(kOnnxBackends, config.backend())) {
    warnings.push_back(absl::StrCat("backend \"", config.backend(), "\": served by Precis"));
  }
  if (!Contains(kOnnxPlatforms, config.platform())) {
    warnings.push_back(absl::StrCat("platform \"", config.platform(), "\": served by Precis"));
  }
  for (const auto& group : config.instance_group()) {
    if (group.kind() == inference::ModelInstanceGroup::KIND_GPU) {
      warnings.push_back("instance_group: KIND_GPU has no meaning here");
    }
  }
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  config.GetReflection()->ListFields(config, &fields);
  for (const auto* field : fields) {
    if (!Contains(kReadFields, field->name())) warnings.push_back(absl::StrCat(field->name(), ": not used"));
  }
  return warnings;
}

absl::StatusOr<Signature> MakeSignature(const ModelConfig& config, const std::vector<TensorSpec>& inputs,
                                        const std::vector<TensorSpec>& outputs) {
  Signature signature;
  signature.max_batch_size = config.max_batch_size();
  PRECIS_ASSIGN_OR_RETURN(signature.inputs, ApplyAll(config.input(), inputs, config.max_batch_size()));
  PRECIS_ASSIGN_OR_RETURN(signature.outputs, ApplyAll(config.output(), outputs, config.max_batch_size()));
  if (config.max_batch_size() > 0) {
    PRECIS_RETURN_IF_ERROR(CheckBatchDimension(signature.inputs));
    PRECIS_RETURN_IF_ERROR(CheckBatchDimension(signature.outputs));
  }
  return signature;
}

ModelConfig CompleteModelConfig(const ModelConfig& config, const std::string& model, const Signature& signature) {
  ModelConfig result = config;
  result.set_name(model);
  if (result.platform().empty()) result.set_platform("onnx_precis");
  if (result.backend().empty()) result.set_backend("precis");
  if (result.default_model_filename().empty()) result.set_default_model_filename("model.onnx");
  if (!result.has_version_policy()) result.mutable_version_policy()->mutable_latest()->set_num_versions(1);
  FillTensors(signature.inputs, signature.max_batch_size, result.mutable_input());
  FillTensors(signature.outputs, signature.max_batch_size, result.mutable_output());
  return result;
}

std::vector<Shape> WarmShapes(const Signature& signature, const std::vector<TensorSpec>& specs) {
  bool fixed = false;
  std::vector<Shape> shapes;
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    Shape shape = signature.inputs[i].engine_shape;
    for (size_t d = 0; d < shape.size(); ++d) {
      fixed |= shape[d] >= 0 && specs[i].shape[d] < 0;
      if (shape[d] < 0) shape[d] = 1;
    }
    shapes.push_back(std::move(shape));
  }
  if (!fixed) shapes.clear();
  return shapes;
}

}  // namespace precis::server
