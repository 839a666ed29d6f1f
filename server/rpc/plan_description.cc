#include "server/rpc/plan_description.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/config/model_name.h"
#include "server/rpc/load_parameters.h"
#include "server/rpc/model_description.h"
#include "server/rpc/search_description.h"

namespace precis::server {
namespace {

constexpr int kMaxRepetitions = 1000;
constexpr int kWarmUps = 2;
constexpr int64_t kMaxElements = int64_t{1} << 28;  // of one input: 1 GiB of f32

absl::StatusOr<std::vector<Shape>> ShapesOf(const v1::DescribePlanRequest& request,
                                            const std::vector<TensorSpec>& inputs) {
  std::vector<Shape> shapes;
  if (request.shapes_size() == 0) return shapes;
  for (const TensorSpec& input : inputs) {
    const auto it = std::find_if(request.shapes().begin(), request.shapes().end(),
                                 [&](const v1::InputShape& shape) { return shape.input() == input.name; });
    if (it == request.shapes().end() || request.shapes_size() != static_cast<int>(inputs.size())) {
      return absl::InvalidArgumentError(
          absl::StrCat("shapes: want one for each of the ", inputs.size(), " inputs, such as \"", input.name, "\""));
    }
    Shape shape(it->shape().begin(), it->shape().end());
    const bool fits = std::equal(input.shape.begin(), input.shape.end(), shape.begin(), shape.end(),
                                 [](int64_t want, int64_t dim) { return dim >= 1 && (want < 0 || want == dim); });
    if (!fits || CheckedNumElements(shape, kMaxElements) < 0) {
      return absl::InvalidArgumentError(absl::StrCat("shapes: input \"", input.name, "\": ", ShapeToString(shape),
                                                     ", want ", ShapeToString(input.shape)));
    }
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

// Zeros of the given shapes; where those are not given, free dimensions are 1.
std::vector<Tensor> Zeros(const std::vector<TensorSpec>& inputs, const std::vector<Shape>& shapes) {
  std::vector<Tensor> zeros;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Shape shape = shapes.empty() ? inputs[i].shape : shapes[i];
    for (int64_t& dim : shape) dim = std::max<int64_t>(dim, 1);
    Tensor tensor(inputs[i].dtype, std::move(shape));
    std::memset(tensor.data(), 0, tensor.size_bytes());
    zeros.push_back(std::move(tensor));
  }
  return zeros;
}

// Gives the plan's layers the errors that the search measured.
void SetErrors(v1::DescribePlanResponse* response) {
  absl::flat_hash_map<absl::string_view, double> errors;
  for (const auto& layer : response->search().layers()) {
    if (layer.has_sqnr_db()) errors[layer.name()] = layer.sqnr_db();
  }
  for (v1::PlanLayer& layer : *response->mutable_layers()) {
    if (const auto error = errors.find(layer.name()); error != errors.end()) layer.set_error_sqnr_db(error->second);
  }
}

}  // namespace

absl::Status DescribePlan(const ModelStore& store, const v1::DescribePlanRequest& request,
                          v1::DescribePlanResponse* response) {
  PRECIS_ASSIGN_OR_RETURN(const ModelName name, NameOf(request.model(), request.variant()));
  PRECIS_ASSIGN_OR_RETURN(
      const VariantPin pin,
      store.Pin(name.variant.empty() ? name.model : JoinModelName(name.model, name.variant), request.version()));
  const Variant& variant = *pin->variant;
  PRECIS_ASSIGN_OR_RETURN(const std::vector<Shape> shapes, ShapesOf(request, variant.inputs()));
  if (request.repetitions() < 0 || request.repetitions() > kMaxRepetitions) {
    return absl::InvalidArgumentError(
        absl::StrCat("repetitions: ", request.repetitions(), ", want 0 to ", kMaxRepetitions));
  }
  std::vector<Layer> layers;
  if (request.repetitions() == 0) {
    PRECIS_ASSIGN_OR_RETURN(layers, variant.DescribePlan(shapes));
  } else {
    PRECIS_ASSIGN_OR_RETURN(const auto session, variant.NewSession());
    const std::vector<Tensor> zeros = Zeros(variant.inputs(), shapes);
    std::vector<TensorView> views;
    for (const Tensor& tensor : zeros) views.push_back(tensor.view());
    PRECIS_ASSIGN_OR_RETURN(layers, session->Profile(views, kWarmUps, request.repetitions()));
  }
  response->set_variant(pin->name);
  for (const Layer& layer : layers) DescribeLayer(layer, response->add_layers());
  if (const auto& report = variant.info().search; report != nullptr) {
    DescribeSearch(*report, response->mutable_search());
    SetErrors(response);
  }
  return absl::OkStatus();
}

}  // namespace precis::server
