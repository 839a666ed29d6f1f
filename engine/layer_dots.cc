// Runs the f32 plan as calibration does and keeps the layer's operands.
#include "engine/layer_dots.h"

#include <algorithm>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/accumulate/layer_dots.h"
#include "engine/base/status_macros.h"
#include "engine/kernels/nest.h"
#include "engine/pipeline.h"
#include "engine/quant/samples.h"

namespace precis {
namespace {

constexpr int64_t kMostSamples = 8;

// Random inputs for networks without samples at hand.
class RandomSamples final : public quant::SampleSource {
 public:
  RandomSamples(const std::vector<TensorSpec>& inputs, uint32_t seed)
      : inputs_(inputs), shapes_(DefaultShapes(inputs)), seed_(seed) {}
  int64_t size() const override { return kMostSamples; }
  absl::StatusOr<std::vector<Tensor>> Sample(int64_t index) const override {
    std::mt19937 random(seed_ + static_cast<uint32_t>(index));
    std::vector<Tensor> sample;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      Tensor& t = sample.emplace_back(inputs_[i].dtype, shapes_[i]);
      std::fill_n(static_cast<char*>(t.data()), t.size_bytes(), 0);
      std::normal_distribution<float> normal;
      if (t.dtype() == DataType::kF32) {
        for (float& x : t.As<float>()) x = normal(random);
      } else {  // little-endian ones
        for (size_t j = 0; j < t.size_bytes(); j += SizeOf(t.dtype())) static_cast<char*>(t.data())[j] = 1;
      }
    }
    return sample;
  }

 private:
  const std::vector<TensorSpec> inputs_;
  const std::vector<Shape> shapes_;
  const uint32_t seed_;
};

absl::StatusOr<std::unique_ptr<quant::SampleSource>> Samples(const ModelFile& file, const std::string& folder,
                                                             uint32_t seed) {
  if (folder.empty()) return std::make_unique<RandomSamples>(file.inputs(), seed);
  std::vector<quant::SampleInput> inputs;
  for (const TensorSpec& spec : file.inputs()) inputs.push_back({spec.name, spec.dtype, spec.shape});
  return quant::OpenSamples(folder, inputs);
}

absl::StatusOr<ir::NodeId> FindLayer(const ir::Graph& graph, const std::string& layer) {
  std::vector<std::string> names;
  for (ir::NodeId id = 0; id < graph.num_node_slots(); ++id) {
    if (!graph.alive(id) || !accumulate::HasDots(graph.node(id).op)) continue;
    if (graph.node(id).name == layer) return id;
    names.push_back(graph.node(id).name);
  }
  return absl::NotFoundError(absl::StrCat("there is no convolution or matrix product called \"", layer,
                                          "\"; there are: ", absl::StrJoin(names, ", ")));
}

// Row-major copy of what was observed.
Tensor Dense(const quant::Observation& observation) {
  Tensor t(DataType::kF32, observation.shape);
  kernels::StridedCopy(observation.shape, observation.strides, RowMajorStrides(observation.shape), sizeof(float))(
      observation.data, t.data());
  return t;
}

}  // namespace

absl::StatusOr<LayerDots> DrawLayerDots(const std::string& model_path, const std::string& layer,
                                        const std::string& calibration_dir, int64_t count, uint32_t seed) {
  PRECIS_ASSIGN_OR_RETURN(const auto file, ModelFile::Open(model_path));
  PRECIS_ASSIGN_OR_RETURN(const auto samples, Samples(*file, calibration_dir, seed));
  PRECIS_ASSIGN_OR_RETURN(const std::vector<Tensor> first, samples->Sample(0));
  std::vector<Shape> shapes;
  for (const Tensor& t : first) shapes.push_back(t.shape());
  PRECIS_ASSIGN_OR_RETURN(const ir::Graph graph, Optimise(*file, shapes));
  PRECIS_ASSIGN_OR_RETURN(const ir::NodeId id, FindLayer(graph, layer));
  const ir::Node& node = graph.node(id);

  std::map<ir::ValueId, Tensor> operands;
  std::vector<ir::ValueId> watched;
  for (const ir::ValueId v : {node.inputs[0], node.inputs[1]}) {
    if (graph.value(v).dtype != DataType::kF32) {
      return absl::UnimplementedError(absl::StrCat("layer \"", layer, "\" multiplies ", Name(graph.value(v).dtype),
                                                   " values; swamping is measured on the float network"));
    }
    if (const Tensor* constant = graph.ConstantOrNull(v)) {
      operands[v] = constant->Clone();
    } else if (!operands.contains(v)) {
      operands[v] = Tensor();
      watched.push_back(v);
    }
  }
  std::sort(watched.begin(), watched.end());

  LayerDots result{layer, std::string(ir::OpName(node.op)), std::min(samples->size(), kMostSamples), {}};
  std::mt19937 random(seed);
  const auto draw = [&](int64_t products) {
    return accumulate::AddLayerDots(graph, id, operands[node.inputs[0]].view(), operands[node.inputs[1]].view(),
                                    products, random, result.dots);
  };
  const auto runner = MakeCalibrationRunner(graph, /*threads=*/1);
  for (int64_t i = 0; i < result.samples; ++i) {
    PRECIS_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, samples->Sample(i));
    for (size_t j = 0; j < sample.size(); ++j) {
      if (sample[j].shape() == shapes[j]) continue;
      return absl::InvalidArgumentError(absl::StrCat("sample ", i, ", input \"", file->inputs()[j].name, "\": shape ",
                                                     ShapeToString(sample[j].shape()), ", want ",
                                                     ShapeToString(shapes[j]), " as in the first sample"));
    }
    PRECIS_RETURN_IF_ERROR(
        runner->Run(sample, watched, [&](const quant::Observation& o) { operands[o.value] = Dense(o); }));
    if (i == 0) {  // learns the length
      PRECIS_RETURN_IF_ERROR(draw(0));
      count = std::min(count, std::max<int64_t>(kMostTerms / std::max<int64_t>(result.dots.k, 1), 1));
    }
    PRECIS_RETURN_IF_ERROR(draw(count * (i + 1) / result.samples - count * i / result.samples));
  }
  return result;
}

}  // namespace precis
