// run_model MODEL.onnx INPUTS.npz OUTPUTS.npz: runs a model once at fp32 in process, for scripts that compare outputs. Arrays go by
// the names of the model's inputs and outputs.
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/model.h"
#include "engine/tensor/npy.h"

namespace precis {
namespace {

absl::Status Run(const std::string& path, const std::string& inputs_file, const std::string& outputs_file) {
  PRECIS_ASSIGN_OR_RETURN(const auto arrays, ReadNpz(inputs_file));
  PRECIS_ASSIGN_OR_RETURN(const auto model, Model::Open(path));
  LoadOptions options;
  std::vector<TensorView> inputs;
  for (const TensorSpec& spec : model->inputs()) {
    const auto array = arrays.find(spec.name);
    if (array == arrays.end())
      return absl::InvalidArgumentError(absl::StrCat(inputs_file, " lacks \"", spec.name, "\""));
    inputs.push_back(array->second.view());
    options.warm_shapes.push_back(array->second.shape());
  }
  PRECIS_ASSIGN_OR_RETURN(const auto variant, model->LoadVariant(options));
  PRECIS_ASSIGN_OR_RETURN(const auto session, variant->NewSession());
  std::vector<Tensor> outputs;
  PRECIS_RETURN_IF_ERROR(session->Run(inputs, &outputs));
  std::map<std::string, TensorView> by_name;
  for (size_t i = 0; i < outputs.size(); ++i) by_name[model->outputs()[i].name] = outputs[i].view();
  return WriteFileAtomically(outputs_file, FormatNpz(by_name));
}

}  // namespace
}  // namespace precis

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: run_model MODEL.onnx INPUTS.npz OUTPUTS.npz\n";
    return 2;
  }
  const absl::Status status = precis::Run(argv[1], argv[2], argv[3]);
  if (!status.ok()) std::cerr << argv[1] << ": " << status.ToString() << "\n";
  return status.ok() ? 0 : 1;
}
