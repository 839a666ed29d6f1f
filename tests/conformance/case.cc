#include "tests/conformance/case.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/model.h"
#include "engine/onnx/importer.h"
#include "engine/quant/policy.h"
#include "onnx/onnx_pb.h"

namespace precis::conformance {
namespace {

namespace fs = std::filesystem;

// onnx/backend/test/runner: numpy.testing.assert_allclose(rtol, atol).
constexpr double kRelativeTolerance = 1e-3;
constexpr double kAbsoluteTolerance = 1e-7;

constexpr int kOldestOpset = 7;

bool ReadModel(const fs::path& path, onnx::ModelProto* model) {
  std::ifstream file(path, std::ios::binary);
  return file && model->ParseFromIstream(&file);
}

// Graph inputs that are no initializers: those that input_*.pb belong to, in order.
std::vector<std::string> InputNames(const onnx::GraphProto& graph) {
  std::set<std::string> constants;
  for (const auto& initializer : graph.initializer()) constants.insert(initializer.name());
  std::vector<std::string> names;
  for (const auto& input : graph.input()) {
    if (!constants.contains(input.name())) names.push_back(input.name());
  }
  return names;
}

absl::StatusOr<std::vector<Tensor>> ReadTensors(const fs::path& folder, const std::string& kind, size_t count) {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < count; ++i) {
    PRECIS_ASSIGN_OR_RETURN(Tensor tensor, onnx_import::ReadTensorFile(folder / absl::StrCat(kind, "_", i, ".pb")));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

bool Close(double got, double want) {
  if (std::isnan(got) || std::isnan(want)) return std::isnan(got) && std::isnan(want);
  if (got == want) return true;  // infinities too
  return std::abs(got - want) <= kAbsoluteTolerance + kRelativeTolerance * std::abs(want);
}

// Element `i` of the first that differs, or -1.
template <typename T, typename Same>
int64_t FirstDifference(const std::vector<T>& got, const std::vector<T>& want, Same same) {
  for (size_t i = 0; i < got.size(); ++i) {
    if (!same(got[i], want[i])) return static_cast<int64_t>(i);
  }
  return -1;
}

absl::Status Compare(const TensorView& got, const TensorView& want) {
  if (got.dtype != want.dtype || got.shape != want.shape) {
    return absl::DataLossError(absl::StrCat("got ", Name(got.dtype), ShapeToString(got.shape), ", want ",
                                            Name(want.dtype), ShapeToString(want.shape)));
  }
  if (!IsFloat(want.dtype)) {
    const auto a = ToInt64(got), b = ToInt64(want);
    const int64_t i = FirstDifference(a, b, [](int64_t x, int64_t y) { return x == y; });
    return i < 0 ? absl::OkStatus()
                 : absl::DataLossError(absl::StrCat("[", i, "]: got ", a[static_cast<size_t>(i)], ", want ",
                                                    b[static_cast<size_t>(i)]));
  }
  const auto a = ToFloat(got), b = ToFloat(want);
  const int64_t i = FirstDifference(a, b, [](float x, float y) { return Close(x, y); });
  return i < 0 ? absl::OkStatus()
               : absl::DataLossError(
                     absl::StrCat("[", i, "]: got ", a[static_cast<size_t>(i)], ", want ", b[static_cast<size_t>(i)]));
}

// A model file that is removed again.
class TemporaryModel {
 public:
  explicit TemporaryModel(const onnx::ModelProto& model) {
    static int count = 0;
    path_ = fs::temp_directory_path() / absl::StrCat("precis_conformance_", ::getpid(), "_", count++, ".onnx");
    std::ofstream file(path_, std::ios::binary);
    model.SerializeToOstream(&file);
  }
  ~TemporaryModel() { fs::remove(path_); }
  TemporaryModel(const TemporaryModel&) = delete;
  TemporaryModel& operator=(const TemporaryModel&) = delete;
  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

// numpy has no bfloat16: the suite stores its bits as UINT16, whatever the model declares.
bool IsDisguisedBFloat16(DataType stored, DataType declared) {
  return stored == DataType::kU16 && declared == DataType::kBF16;
}

// Makes the inputs from `first` on initializers, with the data set's values.
absl::Status Freeze(onnx::GraphProto* graph, const fs::path& data, size_t first) {
  const std::vector<std::string> names = InputNames(*graph);
  for (size_t i = first; i < names.size(); ++i) {
    onnx::TensorProto* tensor = graph->add_initializer();
    std::ifstream file(data / absl::StrCat("input_", i, ".pb"), std::ios::binary);
    if (!tensor->ParseFromIstream(&file)) return absl::NotFoundError(absl::StrCat("no tensor for input ", names[i]));
    tensor->set_name(names[i]);
    const auto declared = std::find_if(graph->input().begin(), graph->input().end(),
                                       [&](const onnx::ValueInfoProto& input) { return input.name() == names[i]; });
    if (declared->type().tensor_type().elem_type() == onnx::TensorProto::BFLOAT16) {
      tensor->set_data_type(onnx::TensorProto::BFLOAT16);
    }
  }
  return absl::OkStatus();
}

absl::Status RunModel(const std::string& path, const std::vector<std::string>& input_names, const fs::path& data) {
  PRECIS_ASSIGN_OR_RETURN(const auto model, Model::Open(path));
  PRECIS_ASSIGN_OR_RETURN(const std::vector<Tensor> given, ReadTensors(data, "input", input_names.size()));
  PRECIS_ASSIGN_OR_RETURN(const std::vector<Tensor> wanted, ReadTensors(data, "output", model->outputs().size()));
  LoadOptions options;
  PRECIS_ASSIGN_OR_RETURN(options.policy, quant::BuiltInPolicy("fp32"));
  std::vector<TensorView> inputs;
  for (const TensorSpec& spec : model->inputs()) {
    const auto at = std::find(input_names.begin(), input_names.end(), spec.name);
    if (at == input_names.end()) return absl::NotFoundError(absl::StrCat("no data for input ", spec.name));
    inputs.push_back(given[static_cast<size_t>(at - input_names.begin())].view());
    if (IsDisguisedBFloat16(inputs.back().dtype, spec.dtype)) inputs.back().dtype = DataType::kBF16;
    options.warm_shapes.push_back(inputs.back().shape);
  }
  PRECIS_ASSIGN_OR_RETURN(const auto variant, model->LoadVariant(options));
  PRECIS_ASSIGN_OR_RETURN(const auto session, variant->NewSession());
  std::vector<Tensor> outputs;
  PRECIS_RETURN_IF_ERROR(session->Run(inputs, &outputs));
  for (size_t i = 0; i < wanted.size(); ++i) {
    TensorView want = wanted[i].view();
    if (IsDisguisedBFloat16(want.dtype, outputs[i].dtype())) want.dtype = DataType::kBF16;
    if (const absl::Status same = Compare(outputs[i].view(), want); !same.ok()) {
      return absl::DataLossError(absl::StrCat("output ", i, ": ", same.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status RunDataSet(const Case& test_case, const onnx::ModelProto& model, const fs::path& data) {
  const std::vector<std::string> names = InputNames(model.graph());
  absl::Status status = RunModel((test_case.folder / "model.onnx").string(), names, data);
  for (size_t first : {size_t{1}, size_t{0}}) {
    if (!absl::IsUnimplemented(status) || names.empty()) break;
    onnx::ModelProto frozen = model;
    PRECIS_RETURN_IF_ERROR(Freeze(frozen.mutable_graph(), data, first));
    status = RunModel(TemporaryModel(frozen).path(), names, data);
  }
  return status;
}

}  // namespace

std::vector<Case> ListCases(const fs::path& root) {
  std::vector<Case> cases;
  for (const char* group : {"node", "simple", "pytorch-operator", "pytorch-converted"}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root / group, error)) {
      if (!fs::exists(entry.path() / "model.onnx")) continue;
      cases.push_back({absl::StrCat(group, "/", entry.path().filename().string()), entry.path()});
    }
  }
  std::sort(cases.begin(), cases.end(), [](const Case& a, const Case& b) { return a.name < b.name; });
  return cases;
}

bool IsClaimed(const Case& test_case) {
  onnx::ModelProto model;
  if (!ReadModel(test_case.folder / "model.onnx", &model)) return false;
  for (const auto& import : model.opset_import()) {
    if (import.domain().empty() && import.version() < kOldestOpset) return false;
  }
  const auto& nodes = model.graph().node();
  return std::all_of(nodes.begin(), nodes.end(), [](const onnx::NodeProto& node) {
    return onnx_import::IsSupportedOperator(node.domain(), node.op_type());
  });
}

absl::Status RunCase(const Case& test_case) {
  onnx::ModelProto model;
  if (!ReadModel(test_case.folder / "model.onnx", &model)) return absl::NotFoundError("no model");
  int data_sets = 0;
  for (const auto& entry : fs::directory_iterator(test_case.folder)) {
    if (!entry.is_directory()) continue;
    PRECIS_RETURN_IF_ERROR(RunDataSet(test_case, model, entry.path()));
    ++data_sets;
  }
  return data_sets > 0 ? absl::OkStatus() : absl::NotFoundError("no data sets");
}

}  // namespace precis::conformance
